//! `listener`, `cache` and `api_proxy`: what is served on loopback.

use sidekey_core::contract::{Bearer, Listener};

use super::said::Said;
use crate::hcl::{Block, Entry};

/// What the three say together.
#[derive(Default)]
pub(super) struct Endpoints {
    listener: Option<Listener>,
    /// Whether requests are sent on, and whose token they carry.
    forward: Option<Bearer>,
    /// Of the first that asks for it.
    line: usize,
}

impl Endpoints {
    pub(super) fn listener(&mut self, entry: &Entry, said: &mut Said) {
        for (kind, block) in said.typed(entry) {
            if kind != "tcp" {
                said.wrong(entry.line, "only listeners of type tcp are served");
            } else if self.listener.is_some() {
                said.wrong(entry.line, "one listener is served, not several");
            } else {
                self.listener = tcp(block, entry.line, said);
            }
        }
    }

    pub(super) fn forwards(&mut self, entry: &Entry, said: &mut Said) {
        self.line = entry.line;
        let mut bearer = Bearer::Caller;
        for block in said.blocks(entry) {
            for entry in block {
                match entry.key.as_str() {
                    "use_auto_auth_token" => bearer = whose(entry, said),
                    "persist" => said.note(entry, "tokens, leases and answers are kept over restarts without it"),
                    "enforce_consistency" | "when_inconsistent" => {
                        said.note(entry, "requests are sent on as they come");
                    }
                    "cache_static_secrets"
                    | "disable_caching_dynamic_secrets"
                    | "static_secret_token_capability_refresh_interval"
                    | "static_secret_token_capability_refresh_behavior" => {
                        said.note(entry, "nothing is cached: each request is Vault's own answer");
                    }
                    "prepend_configured_namespace" => {
                        said.wrong(entry.line, "prepend_configured_namespace is not served");
                    }
                    _ => said.unknown(entry, "cache or api_proxy"),
                }
            }
        }
        // The one that names a token counts.
        if self.forward.is_none_or(|known| known == Bearer::Caller) {
            self.forward = Some(bearer);
        }
    }

    pub(super) fn finish(self, said: &mut Said) -> Option<Listener> {
        match (self.listener, self.forward) {
            (Some(listener), forward) => Some(Listener { forward, ..listener }),
            (None, Some(Bearer::Agent | Bearer::Force)) => {
                said.wrong(self.line, "use_auto_auth_token needs a listener");
                None
            }
            (None, _) => None,
        }
    }
}

fn whose(entry: &Entry, said: &mut Said) -> Bearer {
    match said.word(entry).as_deref() {
        Some("force") => Bearer::Force,
        _ if said.flag(entry) => Bearer::Agent,
        _ => Bearer::Caller,
    }
}

/// What Vault Agent's listeners have, and this agent's not.
const UNSERVED: [&str; 9] = [
    "chroot_namespace",
    "custom_response_headers",
    "max_request_duration",
    "max_request_size",
    "profiling",
    "require_request_header",
    "role",
    "socket_mode",
    "telemetry",
];

fn tcp(block: &Block, line: usize, said: &mut Said) -> Option<Listener> {
    let (mut port, mut plain, mut quit) = (None, false, false);
    for entry in block {
        match entry.key.as_str() {
            "type" => {}
            "address" => {
                let address = said.text(entry).unwrap_or_default();
                port = address.rsplit_once(':').and_then(|(host, port)| {
                    matches!(host, "127.0.0.1" | "localhost").then(|| port.parse().ok()).flatten()
                });
                if port.is_none() {
                    said.wrong(entry.line, "a listener is served on 127.0.0.1:PORT only");
                }
            }
            "tls_disable" => plain = said.flag(entry),
            "agent_api" => {
                for entry in said.blocks(entry).into_iter().flatten() {
                    match entry.key.as_str() {
                        "enable_quit" => quit = said.flag(entry),
                        _ => said.unknown(entry, "agent_api"),
                    }
                }
            }
            "require_request_header" if !said.flag(entry) => {}
            "role" if said.word(entry).as_deref() == Some("default") => {}
            key if UNSERVED.contains(&key)
                || ["tls_", "proxy_protocol_", "x_forwarded_for_"].iter().any(|of| key.starts_with(of)) =>
            {
                said.wrong(entry.line, &format!("{key} is not served"));
            }
            _ => said.unknown(entry, "listener"),
        }
    }
    if !plain {
        said.wrong(line, "a listener on loopback is served without TLS: set tls_disable");
    }
    Some(Listener { port: port?, quit, forward: None })
}
