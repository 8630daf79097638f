//! How the pod logs in: method, mount, role, and `auth-config-<PARAM>`, each of which has an effect or is named.

use std::collections::BTreeMap;

use sidekey_core::contract::{AppRole, AuthMethod, Aws, Cert, Dialect, Service};
use sidekey_core::goparse::parse_bool;
use sidekey_core::{Cause, Code};

use crate::annotations::Entry;
use crate::explain::Origin;
use crate::logins;
use crate::reader::Reader;
use crate::registry::{Field, Kind};
use crate::spec::Login;
use crate::value::shown;

/// What comes of a parameter.
#[derive(Clone, Copy, Debug)]
enum Use {
    Now,
    Never(&'static str),
    Secret,
}

const AGAIN: Use = Use::Never("files, keys and certificates are read again at every login");
const LEFT: Use = Use::Never("the token's file is left in place and read again at every login");

/// The parameters of one method, as Vault Agent names them; `role` is everybody's.
const PARAMS: &[(&str, &str, Use)] = &[
    ("kubernetes", "token_path", Use::Now),
    ("jwt", "token_path", Use::Now),
    ("jwt", "path", Use::Now),
    ("jwt", "remove_jwt_after_reading", LEFT),
    ("jwt", "remove_jwt_follows_symlinks", LEFT),
    ("jwt", "jwt_read_period", AGAIN),
    ("approle", "role_id_file_path", Use::Now),
    ("approle", "secret_id_file_path", Use::Now),
    ("approle", "remove_secret_id_file_after_reading", Use::Now),
    ("approle", "secret_id_response_wrapping_path", Use::Now),
    ("cert", "name", Use::Now),
    ("cert", "ca_cert", Use::Now),
    ("cert", "client_cert", Use::Now),
    ("cert", "client_key", Use::Now),
    ("cert", "reload", AGAIN),
    ("aws", "type", Use::Now),
    ("aws", "region", Use::Now),
    ("aws", "header_value", Use::Now),
    ("aws", "credentials_file", Use::Now),
    ("aws", "credential_poll_interval", AGAIN),
    ("aws", "nonce", Use::Never("only the ec2 type has one")),
    ("aws", "access_key", Use::Secret),
    ("aws", "secret_key", Use::Secret),
    ("aws", "session_token", Use::Secret),
    ("token_file", "token_file_path", Use::Now),
];

/// Reads everything about the login.
///
/// # Errors
/// `AuthMethodRefused` for a method that is not served, `AnnotationMissing`, `AnnotationValue`.
pub(crate) fn login(reader: &mut Reader<'_>, volume: Option<String>, backoffs: (u64, u64)) -> Result<Login, Cause> {
    let name = served(reader)?;
    if is_by_files(reader) {
        return Ok(by_files(reader, &name, volume, backoffs));
    }
    let params = Params::read(reader, &name)?;
    let (method, token_file) = method(reader, &name, &params)?;
    let role = role(reader, &method, &params)?;
    let mount = mount(reader, &name)?;
    let audience = if method.shows_service_account() { audience(reader, volume.is_some()) } else { None };
    let (min_backoff_ms, max_backoff_ms) = backoffs;
    Ok(Login { method, mount, role, volume, token_file, audience, min_backoff_ms, max_backoff_ms })
}

/// Whether Vault Agent's own files say how.
pub(crate) fn is_by_files(reader: &Reader<'_>) -> bool {
    reader.found.get(Field::ConfigMap).is_some_and(|entry| !entry.value.is_empty())
}

/// Vault Agent's files say how to log in; what the pod brings for it is all that is wanted of us.
fn by_files(reader: &mut Reader<'_>, name: &str, volume: Option<String>, backoffs: (u64, u64)) -> Login {
    let method = if name == "aws" { AuthMethod::Aws(Aws::default()) } else { AuthMethod::Kubernetes };
    let audience = audience(reader, volume.is_some());
    let (min_backoff_ms, max_backoff_ms) = backoffs;
    let (mount, role) = (format!("auth/{name}"), reader.filled(Field::Role).unwrap_or_default());
    Login { method, mount, role, volume, token_file: None, audience, min_backoff_ms, max_backoff_ms }
}

fn served(reader: &mut Reader<'_>) -> Result<String, Cause> {
    let name = reader.needed(Field::AuthType, "auth method")?;
    let Some(answer) = unserved(&name) else { return Ok(name) };
    Err(Cause::new(Code::AuthMethodRefused, "reading the auth type", answer)
        .with_fix(format!("Use one of {}.", Service::served())))
}

/// Why an auth method is refused; `None` for one that is served.
pub(crate) fn unserved(name: &str) -> Option<String> {
    match Service::of(name) {
        Some(Service::Served) => None,
        Some(Service::Refused(reason)) => Some(format!("the auth method `{name}` is not served: {reason}")),
        None => Some(format!("there is no auth method `{}`", shown(name))),
    }
}

/// The method with what only it needs, and its token's file where an annotation names one.
fn method(reader: &mut Reader<'_>, name: &str, params: &Params<'_>) -> Result<(AuthMethod, Option<String>), Cause> {
    let text = |param| params.text(param);
    Ok(match name {
        "approle" => (AuthMethod::AppRole(app_role(reader, params)?), None),
        "cert" => (AuthMethod::Cert(cert(reader, params)?), None),
        "aws" => (AuthMethod::Aws(aws(params)?), None),
        "token_file" => (AuthMethod::TokenFile, Some(needed(reader, params, "token_file_path")?)),
        "jwt" => (AuthMethod::Jwt, text("path").or_else(|| text("token_path"))),
        _ => (AuthMethod::Kubernetes, text("token_path")),
    })
}

fn app_role(reader: &Reader<'_>, params: &Params<'_>) -> Result<AppRole, Cause> {
    Ok(AppRole {
        role_id_file: needed(reader, params, "role_id_file_path")?,
        secret_id_file: params.text("secret_id_file_path"),
        remove_secret_id_file: params.flag("remove_secret_id_file_after_reading", true)?,
        wrapping_path: params.text("secret_id_response_wrapping_path"),
    })
}

/// Own files, or those of the connection.
fn cert(reader: &Reader<'_>, params: &Params<'_>) -> Result<Cert, Cause> {
    let cert = Cert {
        name: params.text("name").unwrap_or_default(),
        ca_file: params.text("ca_cert"),
        cert_file: params.text("client_cert"),
        key_file: params.text("client_key"),
    };
    let general = |field| reader.found.get(field).is_some_and(|entry| !entry.value.is_empty());
    if cert.cert_file.is_none() && !general(Field::ClientCert) {
        return Err(missing(reader, "client_cert"));
    }
    if cert.key_file.is_none() && !general(Field::ClientKey) {
        return Err(missing(reader, "client_key"));
    }
    Ok(cert)
}

fn aws(params: &Params<'_>) -> Result<Aws, Cause> {
    match params.entry("type") {
        Some(entry) if entry.value != "iam" => {
            let answer =
                format!("the type `{}` of aws is not served: pods have no identity document", shown(entry.value));
            return Err(Cause::new(Code::AuthMethodRefused, format!("reading annotation {}", entry.key), answer)
                .with_fix("Use iam."));
        }
        _ => {}
    }
    let (region, header_value) = (params.text("region"), params.text("header_value"));
    Ok(Aws { region, header_value, credentials_file: params.text("credentials_file") })
}

fn role(reader: &mut Reader<'_>, method: &AuthMethod, params: &Params<'_>) -> Result<String, Cause> {
    let role = reader.filled(Field::Role).or_else(|| params.text("role")).unwrap_or_default();
    if role.is_empty() && needs_role(method) && !logins::some_role(reader) {
        return Err(reader.missing(Field::Role, "Vault role to log in as"));
    }
    if names_no_role(method) && !role.is_empty() {
        reader.warn(format!("the role is ignored: a login by {} names none", method.name()));
        return Ok(String::new());
    }
    Ok(role)
}

/// Whether a login by it has to name a role.
pub(crate) const fn needs_role(method: &AuthMethod) -> bool {
    matches!(method, AuthMethod::Kubernetes | AuthMethod::Aws(_))
}

/// Whether it has no room for one.
pub(crate) const fn names_no_role(method: &AuthMethod) -> bool {
    matches!(method, AuthMethod::AppRole(_) | AuthMethod::Cert(_) | AuthMethod::TokenFile)
}

/// As the contract has it; native users may leave `auth/` out.
pub(crate) fn mount_path(path: &str, native: bool) -> String {
    let path = path.trim_matches('/');
    let short = native && !path.starts_with("auth/") && !path.contains("/auth/");
    if short { format!("auth/{path}") } else { path.to_owned() }
}

/// A pod that chooses another method than the settings gets that method's usual mount. One that was written for
/// vault-k8s works there only if the method is mounted at the injector's path, and so goes on to log in at that.
fn mount(reader: &mut Reader<'_>, method: &str) -> Result<String, Cause> {
    let native = reader.dialect == Dialect::Native;
    let other = reader.settings.value(Field::AuthType) != Some(method);
    let unsaid = other && reader.found.get(Field::AuthPath).is_none();
    if unsaid && native {
        let mount = format!("auth/{method}");
        reader.trace.choose("auth-path", mount.clone(), Origin::Derived("auth-type".into()));
        return Ok(mount);
    }
    let path = reader.needed(Field::AuthPath, "path of the auth method")?;
    if unsaid && method != "token_file" {
        reader.warn(format!(
            "auth-type is {method}, and auth-path says nothing: the login is at {path}, the path of all"
        ));
    }
    Ok(mount_path(&path, native))
}

/// `None` is the API server's own, which a Vault role without an audience and a reviewer of any kind accept.
fn audience(reader: &mut Reader<'_>, foreign_volume: bool) -> Option<String> {
    let given = reader.given(Field::TokenAudience).map(|given| given.value);
    if foreign_volume {
        if given.is_some() {
            reader.warn("token-audience is ignored: the token is that of the volume named");
        }
        return None;
    }
    let audience = match (given, reader.dialect) {
        (Some(audience), _) => audience,
        (None, Dialect::Native) => {
            reader.trace.choose("token-audience", reader.settings.audience.clone(), Origin::Settings("audience"));
            &reader.settings.audience
        }
        (None, Dialect::Vault) => {
            reader.trace.choose("token-audience", "the API server's", Origin::Default);
            ""
        }
    };
    Some(audience.to_owned()).filter(|audience| !audience.is_empty())
}

/// `auth-config-<PARAM>` by Vault Agent's own names, whichever way they are spelt.
struct Params<'a>(BTreeMap<String, Entry<'a>>);

impl<'a> Params<'a> {
    /// Warns of those without an effect.
    fn read(reader: &mut Reader<'a>, method: &str) -> Result<Self, Cause> {
        let all: Vec<_> = reader.found.suffixed().filter(|(_, field, _)| *field == Field::AuthConfig).collect();
        let mut params = BTreeMap::new();
        for (suffix, _, entry) in all {
            let name = suffix.replace('-', "_");
            match fate(method, &name) {
                Ok(Use::Now) if entry.value.is_empty() => {}
                Ok(Use::Now) => {
                    if let Some(other) = params.get(&name) {
                        let Entry { key, .. }: &Entry<'_> = other;
                        reader.warn(format!("{key} wins over {}, which says the same thing", entry.key));
                        continue;
                    }
                    let origin = Origin::Annotation(entry.key.to_owned());
                    reader.trace.choose("auth-config", entry.value.to_owned(), origin);
                    params.insert(name, entry);
                }
                Ok(Use::Never(reason)) => reader.warn(format!("{} has no effect: {reason}", entry.key)),
                Ok(Use::Secret) => return Err(secret(&entry)),
                Err(reason) => reader.warn(format!("{} has no effect: {reason}", entry.key)),
            }
        }
        Ok(Self(params))
    }

    fn entry(&self, name: &str) -> Option<&Entry<'a>> {
        self.0.get(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.entry(name).map(|entry| entry.value.to_owned())
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool, Cause> {
        let Some(entry) = self.entry(name) else { return Ok(default) };
        parse_bool(entry.value).ok_or_else(|| entry.refused(Kind::Bool))
    }
}

fn fate(method: &str, name: &str) -> Result<Use, String> {
    if name == "role" {
        return Ok(Use::Now);
    }
    let of = |known: &&(&str, &str, Use)| known.1 == name;
    if let Some((.., fate)) = PARAMS.iter().filter(of).find(|(one, ..)| *one == method) {
        return Ok(*fate);
    }
    Err(match PARAMS.iter().find(of) {
        Some((other, ..)) => format!("it belongs to the auth method {other}, and this pod's is {method}"),
        None => format!("the auth method {method} has no such parameter"),
    })
}

fn secret(entry: &Entry<'_>) -> Cause {
    let answer = "a secret does not belong into an annotation, which everybody reads who may see the pod";
    Cause::new(Code::AnnotationValue, format!("reading annotation {}", entry.key), answer).with_fix(
        "Take it out and change the key. Use IAM roles for service accounts, or an AWS credentials file from a \
         Secret, named with auth-config-credentials-file.",
    )
}

fn needed(reader: &Reader<'_>, params: &Params<'_>, name: &str) -> Result<String, Cause> {
    params.text(name).ok_or_else(|| missing(reader, name))
}

fn missing(reader: &Reader<'_>, name: &str) -> Cause {
    let key = Field::AuthConfig.row().full_key(reader.dialect).replace("<PARAM>", &name.replace('_', "-"));
    let answer = format!("the auth method needs {}", name.replace('_', " "));
    Cause::new(Code::AnnotationMissing, "reading the pod's annotations", answer)
        .with_fix(format!("Set {key} to the file's path in the agent container."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_served_method_has_its_rows_and_every_row_a_served_method() {
        for (method, name, _) in PARAMS {
            assert_eq!(Service::of(method), Some(Service::Served), "{method} {name}");
        }
        assert!(matches!(fate("cert", "name"), Ok(Use::Now)));
        assert!(fate("kubernetes", "region").unwrap_err().contains("aws"));
        assert!(fate("kubernetes", "nmae").unwrap_err().contains("no such parameter"));
    }
}
