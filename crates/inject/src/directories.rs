//! Volumes of secrets: which directory is whose, and which single files lie elsewhere too.

use k8s_openapi::api::core::v1::VolumeMount;
use serde_json::Value;
use sidekey_core::contract::Dialect;
use sidekey_core::{Cause, Code};

use crate::pod::text;
use crate::registry::Field;
use crate::spec::{InjectSpec, Secret};
use crate::targets::Target;
use crate::value::shown;

/// One volume of secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    /// The volume's name.
    pub(crate) volume: String,
    /// Its mount path, in agent and app alike.
    pub(crate) dir: String,
    /// Only these containers get it; `None` is all that get secrets.
    pub(crate) containers: Option<Vec<String>>,
    /// Files in it, and where else the app has them.
    pub(crate) subpaths: Vec<(String, String)>,
}

/// The shared volume first, then one for each other path, in the order of the secrets.
///
/// # Errors
/// `AnnotationConflict` when files of one directory are for different containers.
pub(crate) fn directories(spec: &InjectSpec) -> Result<Vec<Directory>, Cause> {
    let shared = match spec.dialect {
        Dialect::Vault => "vault-secrets",
        Dialect::Native => "sidekey-secrets",
    };
    let mut all = vec![directory(shared.to_owned(), &spec.dir, spec)?];
    for secret in &spec.secrets {
        if !all.iter().any(|known| known.dir == secret.dir) {
            all.push(directory(format!("{shared}-custom-{}", all.len() - 1), &secret.dir, spec)?);
        }
    }
    Ok(all)
}

fn directory(volume: String, dir: &str, spec: &InjectSpec) -> Result<Directory, Cause> {
    let files: Vec<&Secret> = spec.secrets.iter().filter(|secret| secret.dir == dir).collect();
    let containers = files.first().and_then(|file| file.containers.clone());
    let shared_token = spec.token_sink && dir == spec.dir;
    if let Some(odd) = files.iter().find(|file| file.containers != containers) {
        return Err(mixed(files[0], odd, dir, spec));
    }
    if let (true, Some(file), true) = (shared_token, files.first(), containers.is_some()) {
        return Err(mixed(file, file, dir, spec));
    }
    let elsewhere = |file: &&Secret| Some((file.file.to_string(), file.subpath.clone()?));
    Ok(Directory { volume, dir: dir.to_owned(), containers, subpaths: files.iter().filter_map(elsewhere).collect() })
}

/// A volume is mounted whole, so its files are for the same containers.
fn mixed(one: &Secret, other: &Secret, dir: &str, spec: &InjectSpec) -> Cause {
    let own = if one.containers.is_some() { one } else { other };
    let key = Field::VolumePath.row().full_key(Dialect::Native).replace("[-<NAME>]", &format!("-{}", own.raw));
    let answer = format!("`{}` is not for the same containers as all else in {dir}", own.raw);
    Cause::new(Code::AnnotationConflict, "mounting the secrets", answer)
        .with_fix(format!("Give it a directory of its own with {key}{}.", token(spec)))
}

const fn token(spec: &InjectSpec) -> &'static str {
    if spec.token_sink { ", as the Vault token is for all" } else { "" }
}

impl Directory {
    /// Whether a container gets it.
    pub(crate) fn is_for(&self, target: &Target<'_>) -> bool {
        match &self.containers {
            Some(names) => names.iter().any(|name| name == text(target.container, "name")),
            None => target.listed,
        }
    }

    /// The mounts of a container that gets it: the directory, then single files.
    pub(crate) fn mounts(&self, dialect: Dialect) -> Vec<VolumeMount> {
        let mount = |path: &str, sub_path: Option<&String>| VolumeMount {
            name: self.volume.clone(),
            mount_path: path.to_owned(),
            sub_path: sub_path.cloned(),
            // The known injector's volume is writable.
            read_only: (dialect == Dialect::Native || sub_path.is_some()).then_some(true),
            ..VolumeMount::default()
        };
        let files = self.subpaths.iter().map(|(file, path)| mount(path, Some(file)));
        std::iter::once(mount(&self.dir, None)).chain(files).collect()
    }
}

/// Refuses two mounts of one container at one path, as the API server would, in words.
///
/// # Errors
/// `AnnotationConflict`.
pub(crate) fn apart(mounts: &[VolumeMount], container: &str, spec: &InjectSpec) -> Result<(), Cause> {
    let same = |one: &VolumeMount, other: &VolumeMount| {
        one.mount_path.trim_end_matches('/') == other.mount_path.trim_end_matches('/')
    };
    let mut all = mounts.iter().enumerate();
    let Some((one, other)) = all.find_map(|(at, one)| Some((mounts[..at].iter().find(|known| same(known, one))?, one)))
    else {
        return Ok(());
    };
    let (path, key) =
        (shown(&one.mount_path), if other.sub_path.is_some() { Field::SubPath } else { Field::VolumePath });
    let answer = match one.name == other.name {
        true => format!("two files would be at {path} in {container}"),
        false => format!("the volumes `{}` and `{}` would both be at {path} in {container}", one.name, other.name),
    };
    Err(Cause::new(Code::AnnotationConflict, "mounting the agent's volumes", answer)
        .with_fix(format!("Choose another path with {}.", key.row().full_key(spec.dialect))))
}

/// Whether a mount of a pod is that one.
pub(crate) fn same(known: &Value, mount: &VolumeMount) -> bool {
    text(known, "name") == mount.name && text(known, "subPath") == mount.sub_path.as_deref().unwrap_or_default()
}
