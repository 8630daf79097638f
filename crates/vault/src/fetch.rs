//! A lookup, in the form its mount wants.
//!
//! known mount → its form; else as written → 404 or 403 that leaves the form open → look the mount up once → its form

use sidekey_core::lookup::Verb;
use sidekey_core::{Lookup, Response, Sensitive};

use crate::ask::Ask;
use crate::client::Client;
use crate::error::{Class, VaultError};
use crate::mounts::{MountKind, Mounts, kv2_path, kv2_wraps};

/// Vault's and OpenBao's remark on a KV v2 path without `data/`, and on the root of a mount.
const KV2_REMARKS: [&str; 2] = ["versioned K/V", "K/V v2 mount"];

pub(crate) async fn fetch(
    client: &Client,
    token: &Sensitive<String>,
    lookup: &Lookup,
    mounts: &Mounts,
) -> Result<Response, VaultError> {
    if let Some((mount, kind)) = mounts.find(&lookup.path) {
        return send(client, token, &formed(lookup, &mount, kind)).await;
    }
    let mut first = None;
    if !reads_the_mounts_own_page(lookup) {
        match send(client, token, &Form::written(lookup)).await {
            Err(error) if leaves_form_open(&error, lookup) => first = Some(error),
            settled => return settled,
        }
    }
    match (client.mount_of(token, &lookup.path).await, first) {
        (Ok((mount, kind)), first) => {
            mounts.remember(&mount, kind);
            let form = formed(lookup, &mount, kind);
            match first {
                // The same request would only get the same answer.
                Some(error) if form == Form::written(lookup) => Err(error),
                _ => send(client, token, &form).await,
            }
        }
        // Nothing is learnt from a look-up that fails: the next fetch tries it again.
        (Err(_), Some(error)) => Err(error),
        (Err(_), None) => send(client, token, &Form::written(lookup)).await,
    }
}

/// A lookup with its path and body settled.
#[derive(PartialEq)]
struct Form<'a> {
    lookup: &'a Lookup,
    path: String,
    wrapped: bool,
}

impl<'a> Form<'a> {
    fn written(lookup: &'a Lookup) -> Self {
        Self { lookup, path: lookup.path.clone(), wrapped: false }
    }
}

fn formed<'a>(lookup: &'a Lookup, mount: &str, kind: MountKind) -> Form<'a> {
    let mut form = Form::written(lookup);
    if kind == MountKind::Kv2 {
        form.path = kv2_path(&lookup.path, mount, lookup.verb).unwrap_or(form.path);
        form.wrapped = lookup.verb == Verb::Write && kv2_wraps(&form.path, mount);
    }
    form
}

/// `secret/config` is a secret to whoever writes it, but as written it is the settings page of a KV v2 mount.
fn reads_the_mounts_own_page(lookup: &Lookup) -> bool {
    lookup.verb == Verb::Read
        && lookup.path.split_once('/').is_some_and(|(_, rest)| rest == "config" || rest.ends_with("/config"))
}

fn leaves_form_open(error: &VaultError, lookup: &Lookup) -> bool {
    match error.class {
        Class::Denied => true,
        Class::Missing => KV2_REMARKS.iter().any(|remark| error.says(remark)),
        // A write to `…/data/…` of KV v2 without the wrapper; nothing was written.
        Class::BadRequest => lookup.verb == Verb::Write && error.says("no data provided"),
        _ => false,
    }
}

async fn send(client: &Client, token: &Sensitive<String>, form: &Form<'_>) -> Result<Response, VaultError> {
    let lookup = form.lookup;
    let query = lookup.query.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let ask = match lookup.verb {
        Verb::Read => Ask::get(form.path.as_str()).with_query(query),
        // Vault's own clients list this way, as proxies know no LIST.
        Verb::List => Ask::get(form.path.as_str()).with_query(query.chain([("list", "true")])),
        Verb::Write => Ask::put(form.path.as_str(), body(form)).with_query(query),
    }
    .with_token(token);
    client.ask(&ask).await?.into_response(&ask)
}

fn body(form: &Form<'_>) -> Vec<u8> {
    let fields = serde_json::json!(form.lookup.params);
    let body = if form.wrapped { serde_json::json!({ "data": fields }) } else { fields };
    body.to_string().into_bytes()
}
