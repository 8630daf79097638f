//! Which secrets engines are mounted where, as far as anybody has had to ask.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sidekey_core::{Value, lookup::Verb};

/// What matters of an engine: how its paths are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// Paths take `data/` or `metadata/` after the mount.
    Kv2,
    /// Paths are as written.
    Plain,
}

/// Known mounts, shared by all lookups of one pod and kept over restarts. Only answers are remembered, never failures.
#[derive(Debug, Default)]
pub struct Mounts(Mutex<BTreeMap<String, MountKind>>);

impl Mounts {
    /// The longest known mount that holds `path`, and what it is. Mounts end with a slash.
    pub fn find(&self, path: &str) -> Option<(String, MountKind)> {
        let path = format!("{path}/");
        self.entries()
            .iter()
            .filter(|(mount, _)| path.starts_with(mount.as_str()))
            .max_by_key(|(mount, _)| mount.len())
            .map(|(mount, kind)| (mount.clone(), *kind))
    }

    /// Keeps one mount; a mount made anew with another type replaces what was known.
    pub fn remember(&self, mount: &str, kind: MountKind) {
        self.entries().insert(format!("{}/", mount.trim_matches('/')), kind);
    }

    /// The map holds whole entries at every moment, so a panic elsewhere leaves nothing half done.
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, MountKind>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Mounts {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.entries().clone()))
    }
}

impl Serialize for Mounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Mounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(|entries| Self(Mutex::new(entries)))
    }
}

/// The type of one mount in `sys/mounts`' shape: `{"type": "kv", "options": {"version": "2"}}`.
pub(crate) fn kind_of(mount: &Value) -> MountKind {
    let is = |object: Option<&Value>, key, want| object.and_then(|o| o.get(key)).and_then(Value::as_text) == Some(want);
    let kv = is(Some(mount), "type", "kv") || is(Some(mount), "type", "generic");
    if kv && is(mount.get("options"), "version", "2") { MountKind::Kv2 } else { MountKind::Plain }
}

/// `path` below the KV v2 `mount` as its API wants it, or `None` when it is that already.
pub(crate) fn kv2_path(path: &str, mount: &str, verb: Verb) -> Option<String> {
    let rest = path.strip_prefix(mount).unwrap_or_default();
    let first = rest.split('/').next().unwrap_or_default();
    let wanted = if verb == Verb::List { "metadata" } else { "data" };
    let explicit = match first {
        "data" | "subkeys" | "metadata" if verb == Verb::Read => rest.len() > first.len(),
        "data" | "delete" | "undelete" | "destroy" | "metadata" if verb == Verb::Write => rest.len() > first.len(),
        "metadata" => verb == Verb::List,
        _ => false,
    };
    (!explicit).then(|| format!("{mount}{wanted}/{rest}").trim_end_matches('/').to_owned())
}

/// Whether a KV v2 write to `path` carries its fields inside `data`.
pub(crate) fn kv2_wraps(path: &str, mount: &str) -> bool {
    path.strip_prefix(mount).is_some_and(|rest| rest.starts_with("data/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_kv2_paths_as_their_api_wants_them() {
        let cases = [
            ("secret/web", Verb::Read, Some("secret/data/web")),
            ("secret/a/b", Verb::Read, Some("secret/data/a/b")),
            ("secret/data/web", Verb::Read, None),
            ("secret/metadata/web", Verb::Read, None),
            ("secret/subkeys/web", Verb::Read, None),
            ("secret/data", Verb::Read, Some("secret/data/data")),
            ("secret/database", Verb::Read, Some("secret/data/database")),
            ("secret/config", Verb::Read, Some("secret/data/config")),
            ("secret/web", Verb::List, Some("secret/metadata/web")),
            ("secret", Verb::List, Some("secret/metadata")),
            ("secret/metadata", Verb::List, None),
            ("secret/metadata/web", Verb::List, None),
            ("secret/web", Verb::Write, Some("secret/data/web")),
            ("secret/data/web", Verb::Write, None),
            ("secret/destroy/web", Verb::Write, None),
        ];
        for (path, verb, want) in cases {
            assert_eq!(kv2_path(path, "secret/", verb).as_deref(), want, "{path} {verb:?}");
        }
    }

    #[test]
    fn finds_the_longest_mount_at_a_border_of_segments() {
        let mounts = Mounts::default();
        mounts.remember("team", MountKind::Plain);
        mounts.remember("team/kv/", MountKind::Kv2);
        let cases = [
            ("team/kv/web", Some(("team/kv/", MountKind::Kv2))),
            ("team/kv", Some(("team/kv/", MountKind::Kv2))),
            ("team/kvx/web", Some(("team/", MountKind::Plain))),
            ("teams/web", None),
        ];
        for (path, want) in cases {
            assert_eq!(mounts.find(path), want.map(|(mount, kind)| (mount.to_owned(), kind)), "{path}");
        }
        let json = serde_json::to_string(&mounts).unwrap();
        let back: Mounts = serde_json::from_str(&json).unwrap();
        assert_eq!(back.find("team/kv/web"), mounts.find("team/kv/web"));
    }

    #[test]
    fn reads_mount_types() {
        let cases = [
            (r#"{"type":"kv","options":{"version":"2"}}"#, MountKind::Kv2),
            (r#"{"type":"kv","options":{"version":"1"}}"#, MountKind::Plain),
            (r#"{"type":"kv","options":null}"#, MountKind::Plain),
            (r#"{"type":"database"}"#, MountKind::Plain),
        ];
        for (json, want) in cases {
            assert_eq!(kind_of(&Value::parse(json).unwrap()), want, "{json}");
        }
    }
}
