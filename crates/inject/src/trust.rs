//! CA certificates from a ConfigMap or a Secret of the pod's namespace: one projected volume holds them all.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, KeyToPath, ProjectedVolumeSource, SecretProjection, Volume, VolumeProjection,
};
use sidekey_core::{Cause, Code};

use crate::annotations::Entry;
use crate::reader::Reader;
use crate::registry::Field;
use crate::spec::Place;
use crate::value::shown;

/// The volume's name.
pub(crate) const VOLUME: &str = "sidekey-ca";
/// Where the agent has it.
pub(crate) const DIRECTORY: &str = "/sidekey/ca";
/// What most who write such objects call it.
const KEY: &str = "ca.crt";
/// What says whom to trust: an earlier one counts before a later one.
pub(crate) const KINDS: [Field; 3] = [Field::CaCert, Field::CaConfigMap, Field::CaSecret];

/// One key of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bundle {
    secret: bool,
    name: String,
    key: String,
}

impl Bundle {
    /// Its file in the agent.
    pub(crate) fn path(&self) -> String {
        format!("{DIRECTORY}/{}", self.file())
    }

    fn file(&self) -> String {
        format!("{}-{}-{}", if self.secret { "secret" } else { "configmap" }, self.name, self.key)
    }

    fn projection(&self) -> VolumeProjection {
        let item = KeyToPath { key: self.key.clone(), path: self.file(), mode: None };
        let (name, items, mut source) = (self.name.clone(), Some(vec![item]), VolumeProjection::default());
        if self.secret {
            source.secret = Some(SecretProjection { name, items, optional: None });
        } else {
            source.config_map = Some(ConfigMapProjection { name, items, optional: None });
        }
        source
    }
}

/// The pod's, or that of one file; a path of a file wins over both kinds, a ConfigMap over a Secret.
///
/// # Errors
/// `AnnotationValue`.
pub(crate) fn bundle(reader: &mut Reader<'_>, raw: Option<&str>) -> Result<Option<Bundle>, Cause> {
    let find = |field| match raw {
        Some(raw) => reader.found.of(field, raw),
        None => reader.found.get(field),
    };
    let found: Vec<(Field, Entry<'_>)> = KINDS
        .into_iter()
        .filter_map(|field| Some((field, find(field)?)))
        .filter(|(_, it)| !it.value.is_empty())
        .collect();
    let Some((field, first)) = found.first().copied() else { return Ok(None) };
    for (_, entry) in &found[1..] {
        reader.warn(format!("{} is ignored: {} says whom to trust", entry.key, first.key));
    }
    if field == Field::CaCert {
        return Ok(None);
    }
    reader.trace.choose(field.label(), first.value.to_owned(), first.origin());
    read(&first, field == Field::CaSecret).map(Some)
}

fn read(entry: &Entry<'_>, secret: bool) -> Result<Bundle, Cause> {
    let (name, key) = entry.value.split_once('/').unwrap_or((entry.value, KEY));
    let plain = |text: &str| {
        let mut all = text.chars();
        !text.is_empty() && text != ".." && all.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
    };
    if plain(name) && plain(key) {
        return Ok(Bundle { secret, name: name.to_owned(), key: key.to_owned() });
    }
    let answer = format!("`{}` is not the name of an object and a key", shown(entry.value));
    Err(Cause::new(Code::AnnotationValue, format!("reading {}", entry.origin()), answer)
        .with_fix(format!("Write NAME, or NAME/KEY where the key is not {KEY}.")))
}

/// The volume of all that the logins trust.
pub(crate) fn volume(places: &[Place]) -> Option<Volume> {
    let mut bundles: Vec<&Bundle> = Vec::new();
    for bundle in places.iter().filter_map(|place| place.bundle.as_ref()) {
        if !bundles.contains(&bundle) {
            bundles.push(bundle);
        }
    }
    let sources: Vec<VolumeProjection> = bundles.into_iter().map(Bundle::projection).collect();
    (!sources.is_empty()).then(|| Volume {
        name: VOLUME.to_owned(),
        projected: Some(ProjectedVolumeSource { sources: Some(sources), ..ProjectedVolumeSource::default() }),
        ..Volume::default()
    })
}
