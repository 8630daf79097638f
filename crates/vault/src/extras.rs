//! What a client is given beside its `contract::Server`, by who holds it in memory.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use sidekey_core::Sensitive;

/// What is no part of the contract. No `Debug`, for the key's sake.
#[derive(Clone, Default)]
pub struct Extras {
    /// Headers of every request. The client's own win.
    pub headers: BTreeMap<String, String>,
    /// Client certificate and its key, in PEM one after the other; in the place of the server's files.
    pub identity: Option<Sensitive<String>>,
    /// Where sockets may be opened.
    pub guard: Guard,
}

type Rule = dyn Fn(&str, Option<IpAddr>) -> Result<(), String> + Send + Sync;

/// Asked before each socket is opened, redirects included, so that neither a name that resolves anew nor another server leads
/// elsewhere. By default all is allowed.
#[derive(Clone, Default)]
pub struct Guard(Option<Arc<Rule>>);

impl Guard {
    /// By a rule that is asked for the host of each connection as it is written, without an address, and for what is dialled (that
    /// host, or a proxy) with each address that it has just resolved to. It answers in words.
    pub fn new(rule: impl Fn(&str, Option<IpAddr>) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(rule)))
    }

    pub(crate) fn ask(&self, host: &str, address: Option<IpAddr>) -> Result<(), String> {
        self.0.as_ref().map_or(Ok(()), |rule| rule(host, address))
    }
}
