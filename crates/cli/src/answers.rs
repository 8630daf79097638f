//! Where a dry run's answers come from: Vault, with the usual environment, or a file.

use std::collections::BTreeMap;
use std::path::Path;

use sidekey_core::contract::{Dialect, Server};
use sidekey_core::{Cause, Code, Lookup, Response, Sensitive, Value};
use sidekey_vault::{Client, Mounts, diagnose};

/// Longest data file, in bytes.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Seconds for one request.
const PATIENCE: u32 = 30;

/// Fields that only a whole answer has.
const ENVELOPE: [&str; 4] = ["request_id", "lease_id", "lease_duration", "renewable"];

/// One of both.
pub(crate) enum Source {
    /// Answers by path.
    File(BTreeMap<String, Value>, String),
    /// A server, and a token for it.
    Vault(Box<(Client, Sensitive<String>, Mounts)>),
}

impl Source {
    /// Reads a file of answers: YAML or JSON, a path of Vault to its data or to a whole answer of `vault read -format=json`.
    pub(crate) fn file(path: &Path) -> Result<Self, Cause> {
        let shown = path.display().to_string();
        let failed = |answer: String| Cause::new(Code::ManifestMalformed, format!("reading {shown}"), answer);
        let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
        if length > LONGEST {
            return Err(failed("it is longer than 16 MiB".to_owned()));
        }
        let text = std::fs::read_to_string(path).map(Sensitive::new).map_err(|error| failed(error.to_string()))?;
        match parse(text.expose()).map_err(failed)? {
            Value::Map(all) => Ok(Self::File(all, shown)),
            _ => Err(failed("it is not a map of paths to secrets".to_owned())),
        }
    }

    /// The server of `VAULT_ADDR`, with `VAULT_TOKEN` or the token file of `vault login`.
    pub(crate) fn vault(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Cause> {
        let needed = |name: &str, fix: &str| {
            let answer = format!("{name} is not set");
            Cause::new(Code::AuthCredential, "finding Vault for a dry run", answer).with_fix(fix)
        };
        let file = |name: &str| std::fs::read_to_string(Path::new(&variable("HOME")?).join(name)).ok();
        let address = variable("VAULT_ADDR")
            .ok_or_else(|| needed("VAULT_ADDR", "Set VAULT_ADDR and VAULT_TOKEN, or name a file with --data."))?;
        let token = variable("VAULT_TOKEN").or_else(|| file(".vault-token")).map(|token| token.trim().to_owned());
        let token = token.ok_or_else(|| needed("VAULT_TOKEN", "Set VAULT_TOKEN, or run vault login."))?;
        let skip_verify = variable("VAULT_SKIP_VERIFY").is_some_and(|word| matches!(word.as_str(), "1" | "t" | "true"));
        let server = Server {
            address,
            namespace: variable("VAULT_NAMESPACE"),
            ca_file: variable("VAULT_CACERT"),
            ca_dir: variable("VAULT_CAPATH"),
            client_cert_file: variable("VAULT_CLIENT_CERT"),
            client_key_file: variable("VAULT_CLIENT_KEY"),
            server_name: variable("VAULT_TLS_SERVER_NAME"),
            skip_verify,
            timeout_seconds: PATIENCE,
            ..Server::default()
        };
        let client = Client::new(&server).map_err(|error| diagnose::transport(&error, &server))?;
        Ok(Self::Vault(Box::new((client, Sensitive::new(token), Mounts::default()))))
    }

    /// One answer.
    pub(crate) async fn answer(&self, lookup: &Lookup) -> Result<Response, Cause> {
        match self {
            Self::File(all, file) => of_file(all, lookup).ok_or_else(|| absent(lookup, file)),
            Self::Vault(vault) => {
                let (client, token, mounts) = &**vault;
                match client.fetch(token, lookup, mounts).await {
                    Ok(response) => Ok(response),
                    Err(error) => Err(diagnose::fetch(client, token, lookup, None::<Dialect>, &error).await),
                }
            }
        }
    }

    /// Gives a lease back that only the dry run had; what came of it, in words.
    pub(crate) async fn give_back(&self, response: &Response) -> Option<String> {
        let Self::Vault(vault) = self else { return None };
        if response.lease_id.is_empty() {
            return None;
        }
        Some(match vault.0.revoke_lease(&vault.1, &response.lease_id).await {
            Ok(()) => "its lease is revoked".to_owned(),
            Err(error) => format!("its lease is left to expire in {} s: {error}", response.lease_duration),
        })
    }
}

/// JSON first: its numbers keep their text.
fn parse(text: &str) -> Result<Value, String> {
    if let Ok(value) = Value::parse(text) {
        return Ok(value);
    }
    let value: serde_json::Value =
        serde_saphyr::from_str(text).map_err(|error| error.without_snippet().to_string().replace('\n', " "))?;
    Value::parse(&value.to_string()).map_err(|error| error.to_string())
}

fn of_file(all: &BTreeMap<String, Value>, lookup: &Lookup) -> Option<Response> {
    let query: Vec<String> = lookup.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let exact = format!("{}?{}", lookup.path, query.join("&"));
    let found = all
        .get(&exact)
        .or_else(|| all.iter().find(|(path, _)| plain(path) == plain(&lookup.path)).map(|(_, value)| value))?;
    Some(response(found, &lookup.path))
}

/// KV version 2 is written with and without `data/`.
fn plain(path: &str) -> String {
    path.trim_matches('/').replacen("/data/", "/", 1)
}

fn response(value: &Value, path: &str) -> Response {
    if let (Some(data), true) = (value.get("data"), ENVELOPE.iter().any(|field| value.get(field).is_some())) {
        let text = |name: &str| value.get(name).and_then(Value::as_text).unwrap_or_default().to_owned();
        return Response {
            lease_id: text("lease_id"),
            lease_duration: value.get("lease_duration").and_then(Value::as_u64).unwrap_or_default(),
            data: data.clone(),
            ..Response::default()
        };
    }
    let versioned = Response { data: value.clone(), ..Response::default() };
    match value {
        Value::List(_) => of([("keys", value.clone())]),
        _ if !versioned.is_kv2() && path.split('/').nth(1) == Some("data") => of([
            ("data", value.clone()),
            ("metadata", Value::parse(r#"{"version": 1, "created_time": "1970-01-01T00:00:00Z"}"#).unwrap_or_default()),
        ]),
        _ => versioned,
    }
}

fn of<const N: usize>(fields: [(&str, Value); N]) -> Response {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    Response { data: Value::Map(fields.collect()), ..Response::default() }
}

fn absent(lookup: &Lookup, file: &str) -> Cause {
    Cause::new(Code::SecretNotFound, format!("looking for {}", lookup.path), format!("{file} does not have it"))
        .with_fix(format!("Add `{}:` with the secret's fields below it.", lookup.path))
}
