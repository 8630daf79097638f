//! The service account token the agent logs in with.

use serde_json::Value;
use sidekey_core::contract::Dialect;
use sidekey_core::{Cause, Code};

use crate::annotations::Annotations;
use crate::pod::{List, Pod, items, text};
use crate::registry::Field;
use crate::settings::Settings;
use crate::spec::{InjectSpec, Login, Place};
use crate::value::shown;

/// Name of our own volume.
pub(crate) const VOLUME: &str = "sidekey-token";
const DIRECTORY: &str = "/var/run/secrets/sidekey.dev/serviceaccount";
/// Where the known injector mounts a named volume that no container mounts.
const UNMOUNTED: &str = "/var/run/secrets/vault.hashicorp.com/serviceaccount";

/// A mount of the agent and the token file in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) volume: String,
    pub(crate) directory: String,
    pub(crate) file: String,
}

impl Token {
    /// The file of a login of the pod's.
    pub(crate) fn file_of(&self, spec: &InjectSpec, place: &Place) -> String {
        match spec.audiences().iter().position(|audience| **audience == place.login.audience) {
            Some(at) if at > 0 && self.own() => format!("{}/{}", self.directory, file_name(at)),
            _ => self.file.clone(),
        }
    }

    /// Whether the volume is ours to add.
    pub(crate) fn own(&self) -> bool {
        self.volume == VOLUME
    }
}

/// What is wrong with the volume that an annotation names, for logins that show its token.
pub(crate) fn problem(pod: &Pod<'_>, found: &Annotations<'_>, settings: &Settings, dialect: Dialect) -> Option<Cause> {
    let name = found.get(Field::TokenVolume).filter(|entry| !entry.value.is_empty())?.value;
    let method = found.get(Field::AuthType).map_or(settings.auth_type.as_str(), |entry| entry.value);
    matches!(method, "kubernetes" | "jwt").then(|| named(pod, name, dialect).err()).flatten()
}

/// Of the token for the audience at that place among those of the pod.
pub(crate) fn file_name(at: usize) -> String {
    if at == 0 { "token".to_owned() } else { format!("token-{at}") }
}

/// Our own volume, or the pod's that the annotations name; for logins that show a service account token.
///
/// # Errors
/// `AnnotationValue` when the named volume is not there or holds no token.
pub(crate) fn token(pod: &Pod<'_>, login: &Login, dialect: Dialect) -> Result<Token, Cause> {
    let mut token = match &login.volume {
        None => {
            Token { volume: VOLUME.to_owned(), directory: DIRECTORY.to_owned(), file: format!("{DIRECTORY}/token") }
        }
        Some(name) => named(pod, name, dialect)?,
    };
    if let Some(file) = &login.token_file {
        token.file.clone_from(file);
    }
    Ok(token)
}

/// The first regular container that mounts it says where.
fn named(pod: &Pod<'_>, name: &str, dialect: Dialect) -> Result<Token, Cause> {
    let mounts = pod.containers(List::Regular).iter().flat_map(|one| items(one, "volumeMounts"));
    let mounted = mounts.into_iter().find(|mount| text(mount, "name") == name).map(|mount| text(mount, "mountPath"));
    let refuse = |answer: String| {
        let key = Field::TokenVolume.row().full_key(dialect);
        Cause::new(Code::AnnotationValue, format!("reading annotation {key}"), answer)
            .with_fix("Name a projected volume of the pod with a serviceAccountToken source.")
    };
    let volume = pod.volumes().iter().find(|volume| text(volume, "name") == name);
    let volume = volume.ok_or_else(|| refuse(format!("the pod has no volume called `{}`", shown(name))))?;
    let path = token_path(volume)
        .ok_or_else(|| refuse(format!("the volume `{}` projects no service account token", shown(name))))?;
    let directory = mounted.unwrap_or(UNMOUNTED).trim_end_matches('/').to_owned();
    Ok(Token { volume: name.to_owned(), file: format!("{directory}/{path}"), directory })
}

fn token_path(volume: &Value) -> Option<&str> {
    let sources = items(volume.get("projected")?, "sources");
    let mut paths = sources.iter().filter_map(|source| Some(text(source.get("serviceAccountToken")?, "path")));
    paths.find(|path| !path.is_empty())
}
