//! What a template or a format asks of Vault.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The verb of a lookup, as consul-template's functions mean it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// `secret "path"`: GET.
    Read,
    /// `secret "path" "k=v"`: PUT of strings; in a KV v2 mount wrapped in `data`.
    Write,
    /// `secrets "path"`: LIST.
    List,
}

/// One request to Vault. Equal lookups are one request, one lease and one answer, whoever asks.
///
/// The whole of it is the key: unlike consul-template, whose keys ignore all query parameters but `version`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// Logical path without `/v1/` and without a leading slash, as the user wrote it (a KV v2 path may lack `data/`).
    pub path: String,
    /// Read, write or list.
    pub verb: Verb,
    /// Query parameters, such as `version`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Body of a write.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
}

impl Lookup {
    /// A plain read. A query string in `path` is split off, as consul-template does.
    pub fn read(path: &str) -> Self {
        Self::new(Verb::Read, path, BTreeMap::new())
    }

    /// Any verb; slashes at either end of `path` are dropped, `?a=b` becomes the query.
    pub fn new(verb: Verb, path: &str, params: BTreeMap<String, String>) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Self { path: path.trim().trim_matches('/').to_owned(), verb, query, params }
    }
}
