//! KV version 1 and 2.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::answer::{Answer, Envelope};
use crate::ask::{Ask, Operation};
use crate::clock::{At, Clock};
use crate::mount::Mount;
use crate::state::State;
use crate::ttl;

/// Version 1: one object per path.
pub(crate) type Kv1 = BTreeMap<String, Value>;

/// Version 2: all versions per path, the first is number 1.
pub(crate) type Kv2 = BTreeMap<String, Vec<Version>>;

pub(crate) struct Version {
    pub data: Value,
    pub created: At,
    pub deleted: Option<At>,
    pub destroyed: bool,
}

impl Version {
    pub(crate) const fn new(data: Value, created: At) -> Self {
        Self { data, created, deleted: None, destroyed: false }
    }

    fn metadata(&self, number: usize, clock: &Clock) -> Value {
        json!({
            "created_time": clock.rfc3339(self.created),
            "custom_metadata": null,
            "deletion_time": self.deleted.map(|at| clock.rfc3339(at)).unwrap_or_default(),
            "destroyed": self.destroyed,
            "version": number,
        })
    }
}

const WRONG_PATH: &str = "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API \
                          endpoints to use. If using the Vault CLI, use 'vault kv";
const ROOT: &str = "Non-listing operations on the root of a K/V v2 mount are not supported.";

impl State {
    pub(crate) fn kv1_route(&mut self, mount: &str, path: &str, ask: &Ask) -> Answer {
        let Some(Mount::Kv1(kv)) = self.mounts.get_mut(mount) else { return Answer::unsupported_path() };
        match ask.operation {
            Operation::Read => match kv.get(path).cloned() {
                Some(data) => {
                    // The field `ttl` (or `lease`) of the secret itself sets how soon a reader should look again.
                    let hint = ["ttl", "lease"].iter().find_map(|field| data.get(field)).and_then(ttl::parse);
                    let lease = hint.unwrap_or(ttl::SYSTEM);
                    let lease = if lease.is_zero() { ttl::SYSTEM } else { lease };
                    self.envelope(Envelope { lease, ..Envelope::data(data, "kv") })
                }
                None => Answer::nothing(),
            },
            Operation::Write if ask.body.as_object().is_none_or(Map::is_empty) => {
                Answer::error(400, "missing data fields")
            }
            Operation::Write => {
                kv.insert(path.to_owned(), ask.body.clone());
                Answer::no_content()
            }
            Operation::Delete => {
                kv.remove(path);
                Answer::no_content()
            }
            Operation::List => {
                let keys = children(kv.keys(), path);
                self.keys(&keys, "kv")
            }
            Operation::Other => Answer::unsupported_operation(),
        }
    }

    pub(crate) fn kv2_route(&mut self, mount: &str, rest: &str, ask: &Ask) -> Answer {
        let (endpoint, path) = rest.split_once('/').unwrap_or((rest, ""));
        match (endpoint, ask.operation) {
            ("metadata", Operation::List) => self.kv2_list(mount, path),
            (
                "data" | "metadata" | "delete" | "undelete" | "destroy",
                Operation::Read | Operation::Write | Operation::Delete,
            ) if path.is_empty() => self.kv2_warning(ROOT.to_owned()),
            ("data", Operation::Read) => self.kv2_read(mount, path, ask),
            ("data", Operation::Write) => self.kv2_write(mount, path, ask),
            ("data", Operation::Delete) => self.kv2_mark(mount, path, None, |version, now| version.deleted = Some(now)),
            ("delete", Operation::Write) => {
                self.kv2_mark(mount, path, Some(versions(ask)), |version, now| version.deleted = Some(now))
            }
            ("undelete", Operation::Write) => {
                self.kv2_mark(mount, path, Some(versions(ask)), |version, _| version.deleted = None)
            }
            ("destroy", Operation::Write) => self.kv2_mark(mount, path, Some(versions(ask)), |version, _| {
                version.destroyed = true;
                version.data = Value::Null;
            }),
            ("metadata", Operation::Read) => self.kv2_metadata(mount, path),
            ("metadata", Operation::Delete) => {
                if let Some(Mount::Kv2(kv)) = self.mounts.get_mut(mount) {
                    kv.remove(path);
                }
                Answer::no_content()
            }
            ("config", Operation::Read) if path.is_empty() => {
                let data = json!({ "cas_required": false, "delete_version_after": "0s", "max_versions": 0 });
                self.data(data, "kv")
            }
            ("data" | "metadata" | "delete" | "undelete" | "destroy" | "config", _) => Answer::unsupported_operation(),
            (_, operation) => {
                let word = match operation {
                    Operation::Read | Operation::Other => "get",
                    Operation::Write => "put",
                    Operation::Delete => "delete",
                    Operation::List => "list",
                };
                self.kv2_warning(format!("{WRONG_PATH} {word}' for this operation."))
            }
        }
    }

    fn kv2(&self, mount: &str) -> Option<&Kv2> {
        match self.mounts.get(mount) {
            Some(Mount::Kv2(kv)) => Some(kv),
            _ => None,
        }
    }

    /// 404 with a warning in place of errors.
    fn kv2_warning(&mut self, warning: String) -> Answer {
        let id = self.ids.uuid();
        Envelope { warnings: vec![warning], ..Envelope::default() }.with_status(404, id, self.flavour)
    }

    fn kv2_list(&mut self, mount: &str, path: &str) -> Answer {
        let keys = self.kv2(mount).map(|kv| children(kv.keys(), path)).unwrap_or_default();
        self.keys(&keys, "kv")
    }

    fn kv2_read(&mut self, mount: &str, path: &str, ask: &Ask) -> Answer {
        let wanted = ask.query.get("version").and_then(|text| text.parse::<usize>().ok()).filter(|number| *number > 0);
        let now = self.clock.now();
        let found = self.kv2(mount).and_then(|kv| kv.get(path)).and_then(|versions| {
            let number = wanted.unwrap_or(versions.len());
            Some((number, versions.get(number.checked_sub(1)?)?))
        });
        let Some((number, version)) = found else { return Answer::nothing() };
        let gone = version.destroyed || version.deleted.is_some_and(|at| at <= now);
        let inner = if gone { Value::Null } else { version.data.clone() };
        let data = json!({ "data": inner, "metadata": version.metadata(number, &self.clock) });
        if gone {
            let id = self.ids.uuid();
            return Envelope::data(data, "").with_status(404, id, self.flavour);
        }
        self.data(data, "kv")
    }

    fn kv2_write(&mut self, mount: &str, path: &str, ask: &Ask) -> Answer {
        let Some(data) = ask.body.get("data").filter(|data| data.is_object()) else {
            return Answer::error(400, "no data provided");
        };
        let now = self.clock.now();
        let Some(Mount::Kv2(kv)) = self.mounts.get_mut(mount) else { return Answer::unsupported_path() };
        let versions = kv.entry(path.to_owned()).or_default();
        let cas = ask.body.pointer("/options/cas").and_then(Value::as_u64);
        if cas.is_some_and(|wanted| usize::try_from(wanted) != Ok(versions.len())) {
            return Answer::error(400, "check-and-set parameter did not match the current version");
        }
        let version = Version::new(data.clone(), now);
        let metadata = version.metadata(versions.len() + 1, &self.clock);
        versions.push(version);
        self.data(metadata, "kv")
    }

    /// Changes some versions, or the newest one.
    fn kv2_mark(
        &mut self,
        mount: &str,
        path: &str,
        which: Option<Vec<usize>>,
        change: impl Fn(&mut Version, At),
    ) -> Answer {
        let now = self.clock.now();
        if which.as_ref().is_some_and(Vec::is_empty) {
            return Answer::error(400, "No version number provided");
        }
        if let Some(Mount::Kv2(kv)) = self.mounts.get_mut(mount)
            && let Some(versions) = kv.get_mut(path)
        {
            for number in which.unwrap_or_else(|| vec![versions.len()]) {
                if let Some(version) = number.checked_sub(1).and_then(|index| versions.get_mut(index)) {
                    change(version, now);
                }
            }
        }
        Answer::no_content()
    }

    fn kv2_metadata(&mut self, mount: &str, path: &str) -> Answer {
        let Some(versions) = self.kv2(mount).and_then(|kv| kv.get(path)) else { return Answer::nothing() };
        let time =
            |version: Option<&Version>| version.map(|version| self.clock.rfc3339(version.created)).unwrap_or_default();
        let one = |(index, version): (usize, &Version)| {
            let mut metadata = version.metadata(index + 1, &self.clock);
            if let Some(fields) = metadata.as_object_mut() {
                fields.retain(|key, _| !matches!(key.as_str(), "version" | "custom_metadata"));
            }
            ((index + 1).to_string(), metadata)
        };
        let data = json!({
            "cas_required": false,
            "created_time": time(versions.first()),
            "current_version": versions.len(),
            "custom_metadata": null,
            "delete_version_after": "0s",
            "max_versions": 0,
            "oldest_version": 0,
            "updated_time": time(versions.last()),
            "versions": versions.iter().enumerate().map(one).collect::<Map<_, _>>(),
        });
        self.data(data, "kv")
    }

    /// Sets a secret as an operator would; a mount that is not there becomes KV version 2.
    pub(crate) fn put(&mut self, path: &str, data: Value) {
        let path = path.trim_matches('/');
        let (mount, rest) = match self.find_mount(path) {
            Some((mount, rest)) => (mount, rest.to_owned()),
            None => {
                let (mount, rest) = path.split_once('/').unwrap_or((path, ""));
                self.mounts.insert(mount.to_owned(), Mount::Kv2(Kv2::new()));
                (mount.to_owned(), rest.to_owned())
            }
        };
        let now = self.clock.now();
        match self.mounts.get_mut(&mount) {
            Some(Mount::Kv1(kv)) => {
                kv.insert(rest, data);
            }
            Some(Mount::Kv2(kv)) => {
                let path = rest.strip_prefix("data/").unwrap_or(&rest).to_owned();
                kv.entry(path).or_default().push(Version::new(data, now));
            }
            _ => {}
        }
    }

    /// Marks the newest version of a secret in a KV version 2 mount, or removes one of version 1.
    pub(crate) fn remove(&mut self, path: &str, destroy: bool) {
        let now = self.clock.now();
        let Some((mount, rest)) = self.find_mount(path.trim_matches('/')) else { return };
        match self.mounts.get_mut(&mount) {
            Some(Mount::Kv1(kv)) => {
                kv.remove(rest);
            }
            Some(Mount::Kv2(kv)) => {
                let path = rest.strip_prefix("data/").unwrap_or(rest);
                if let Some(version) = kv.get_mut(path).and_then(|versions| versions.last_mut()) {
                    version.destroyed = destroy;
                    version.deleted = (!destroy).then_some(now);
                }
            }
            _ => {}
        }
    }
}

fn versions(ask: &Ask) -> Vec<usize> {
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| usize::try_from(number).ok()),
    };
    ask.body
        .get("versions")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(number).collect())
        .unwrap_or_default()
}

/// The next segment of every path below `folder`, with a slash when there is more.
fn children<'a>(paths: impl Iterator<Item = &'a String>, folder: &str) -> BTreeSet<String> {
    let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    paths
        .filter_map(|path| path.strip_prefix(&start))
        .map(|rest| rest.split_once('/').map_or_else(|| rest.to_owned(), |(first, _)| format!("{first}/")))
        .collect()
}
