//! `auto_auth`: the method and the sinks.

use sidekey_core::contract::{AppRole, Auth, AuthMethod, Aws, Cert, Seal, Service, TokenSink};

use super::said::Said;
use crate::hcl::{Block, Entry};

/// Where a pod's token is when nobody says.
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

const AGAIN: &str = "files, keys and certificates are read again at every login";

/// What `auto_auth` says.
#[derive(Debug, Default)]
pub(super) struct AutoAuth {
    pub(super) auth: Option<Auth>,
    pub(super) namespace: Option<String>,
    pub(super) exit_on_error: bool,
    pub(super) sinks: Vec<TokenSink>,
}

pub(super) fn read(block: &Block, said: &mut Said) -> AutoAuth {
    let mut found = AutoAuth::default();
    for entry in block {
        match entry.key.as_str() {
            "method" | "methods" => {
                for (kind, block) in said.typed(entry) {
                    if found.auth.is_some() {
                        said.wrong(entry.line, "auto_auth has more than one method");
                    }
                    method(&kind, block, entry.line, &mut found, said);
                }
            }
            "sink" | "sinks" => {
                for (kind, block) in said.typed(entry) {
                    match kind.as_str() {
                        "file" => found.sinks.extend(sink(block, entry.line, said)),
                        _ => said.wrong(entry.line, "only sinks of type file are served"),
                    }
                }
            }
            "enable_reauth_on_new_credentials" => said.idle(entry, AGAIN),
            _ => said.unknown(entry, "auto_auth"),
        }
    }
    found
}

fn method(kind: &str, block: &Block, line: usize, found: &mut AutoAuth, said: &mut Said) {
    let method = match (Service::of(kind), kind) {
        (Some(Service::Refused(reason)), _) => {
            return said.wrong(line, &format!("the method {kind} is not served: {reason}"));
        }
        (None, _) => return said.wrong(line, &format!("there is no such method; use one of {}", Service::served())),
        (_, "jwt") => AuthMethod::Jwt,
        (_, "approle") => AuthMethod::AppRole(AppRole { remove_secret_id_file: true, ..AppRole::default() }),
        (_, "cert") => AuthMethod::Cert(Cert::default()),
        (_, "aws") => AuthMethod::Aws(Aws::default()),
        (_, "token_file") => AuthMethod::TokenFile,
        _ => AuthMethod::Kubernetes,
    };
    let token_file = if method == AuthMethod::Kubernetes { POD_TOKEN.to_owned() } else { String::new() };
    let mount = format!("auth/{kind}");
    let mut auth =
        Auth { method, mount, role: String::new(), token_file, min_backoff_ms: 1_000, max_backoff_ms: 300_000 };
    let milliseconds = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    for entry in block {
        match entry.key.as_str() {
            "type" => {}
            "mount_path" => auth.mount = said.filled(entry).unwrap_or(auth.mount).trim_matches('/').to_owned(),
            "namespace" => found.namespace = said.filled(entry),
            "min_backoff" => auth.min_backoff_ms = said.duration(entry).map_or(1_000, milliseconds).max(1),
            "max_backoff" => auth.max_backoff_ms = said.duration(entry).map_or(300_000, milliseconds),
            "exit_on_err" => found.exit_on_error = said.flag(entry),
            "wrap_ttl" => said.wrong(entry.line, "wrap_ttl of a method is not served; give a sink one"),
            "enable_reauth_on_new_credentials" => said.idle(entry, AGAIN),
            "config" => {
                for block in said.blocks(entry) {
                    for entry in block {
                        parameter(entry, &mut auth, said);
                    }
                }
            }
            _ => said.unknown(entry, "method"),
        }
    }
    if auth.max_backoff_ms < auth.min_backoff_ms {
        said.wrong(line, "max_backoff is less than min_backoff");
    }
    complete(&auth, line, said);
    found.auth = Some(auth);
}

/// One of `config`.
fn parameter(entry: &Entry, auth: &mut Auth, said: &mut Said) {
    let key = entry.key.as_str();
    match (&mut auth.method, key) {
        (_, "role") => auth.role = said.text(entry).unwrap_or_default(),
        (AuthMethod::Kubernetes, "token_path")
        | (AuthMethod::Jwt, "path")
        | (AuthMethod::TokenFile, "token_file_path") => {
            auth.token_file = said.text(entry).unwrap_or_default();
        }
        (AuthMethod::Jwt, "remove_jwt_after_reading" | "remove_jwt_follows_symlinks") => {
            said.idle(entry, "the token's file is left in place and read again at every login");
        }
        (AuthMethod::Jwt, "jwt_read_period") => said.note(entry, AGAIN),
        (AuthMethod::AppRole(files), "role_id_file_path") => files.role_id_file = said.text(entry).unwrap_or_default(),
        (AuthMethod::AppRole(files), "secret_id_file_path") => files.secret_id_file = said.filled(entry),
        (AuthMethod::AppRole(files), "remove_secret_id_file_after_reading") => {
            files.remove_secret_id_file = said.flag(entry);
        }
        (AuthMethod::AppRole(files), "secret_id_response_wrapping_path") => files.wrapping_path = said.filled(entry),
        (AuthMethod::Cert(cert), "name") => cert.name = said.text(entry).unwrap_or_default(),
        (AuthMethod::Cert(cert), "ca_cert") => cert.ca_file = said.filled(entry),
        (AuthMethod::Cert(cert), "client_cert") => cert.cert_file = said.filled(entry),
        (AuthMethod::Cert(cert), "client_key") => cert.key_file = said.filled(entry),
        (AuthMethod::Cert(_), "reload") => said.idle(entry, AGAIN),
        (AuthMethod::Aws(_), "type") => {
            if said.text(entry).as_deref() != Some("iam") {
                said.wrong(entry.line, "of aws only the type iam is served: pods have no identity document");
            }
        }
        (AuthMethod::Aws(aws), "region") => aws.region = said.filled(entry),
        (AuthMethod::Aws(aws), "header_value") => aws.header_value = said.filled(entry),
        (AuthMethod::Aws(aws), "credentials_file") => aws.credentials_file = said.filled(entry),
        (AuthMethod::Aws(_), "access_key" | "secret_key" | "session_token") => {
            said.wrong(entry.line, "keys do not belong into this file: name a credentials_file, or use a web identity");
        }
        (AuthMethod::Aws(_), "credential_poll_interval") => said.note(entry, AGAIN),
        (AuthMethod::Aws(_), "nonce") => said.note(entry, "only the ec2 type has one"),
        (method, _) => {
            let block = format!("config of method {}", method.name());
            said.unknown(entry, &block);
        }
    }
}

fn complete(auth: &Auth, line: usize, said: &mut Said) {
    match &auth.method {
        AuthMethod::Kubernetes | AuthMethod::Aws(_) if auth.role.is_empty() => {
            said.wrong(line, "the method has no role");
        }
        AuthMethod::AppRole(files) if files.role_id_file.is_empty() => {
            said.wrong(line, "the method has no role_id_file_path");
        }
        AuthMethod::Jwt if auth.token_file.is_empty() => said.wrong(line, "the method has no path"),
        AuthMethod::TokenFile if auth.token_file.is_empty() => said.wrong(line, "the method has no token_file_path"),
        _ => {}
    }
}

fn sink(block: &Block, line: usize, said: &mut Said) -> Option<TokenSink> {
    let mut sink = TokenSink { mode: 0o640, ..TokenSink::default() };
    let (mut seal, mut sealed) = (Seal::default(), false);
    for entry in block {
        match entry.key.as_str() {
            "type" => {}
            "wrap_ttl" => sink.wrap_ttl_seconds = said.duration(entry).map(|ttl| ttl.as_secs()).filter(|ttl| *ttl > 0),
            "dh_type" => {
                sealed = true;
                if said.text(entry).as_deref() != Some("curve25519") {
                    said.wrong(entry.line, "dh_type can be curve25519 only");
                }
            }
            "dh_path" => seal.key_file = said.text(entry).unwrap_or_default(),
            "derive_key" => seal.derive_key = said.flag(entry),
            "aad" => seal.aad = said.text(entry).unwrap_or_default(),
            "aad_env_var" => seal.aad_variable = said.filled(entry),
            "config" => {
                for block in said.blocks(entry) {
                    for entry in block {
                        match entry.key.as_str() {
                            "path" => sink.path = said.text(entry).unwrap_or_default(),
                            "mode" => sink.mode = said.mode(entry).unwrap_or(sink.mode),
                            "uid" | "gid" => said.note(entry, "the agent cannot give files away"),
                            _ => said.unknown(entry, "config of the sink"),
                        }
                    }
                }
            }
            _ => said.unknown(entry, "sink"),
        }
    }
    if sealed == seal.key_file.is_empty() {
        said.wrong(line, "dh_type and dh_path need each other");
    } else if !sealed && seal != Seal::default() {
        said.wrong(line, "aad, aad_env_var and derive_key do nothing without dh_type and dh_path");
    }
    sink.seal = sealed.then_some(seal);
    if !sink.path.starts_with('/') {
        said.wrong(line, "the sink has no absolute path");
        return None;
    }
    Some(sink)
}
