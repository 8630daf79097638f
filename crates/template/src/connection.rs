//! The formats that are about one login: which fields of a secret are its host, user and so on, and what those may be.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use sidekey_core::contract::Format;
use sidekey_core::{Sensitive, Value};

use crate::failure::Failure;
use crate::format;
use crate::helpers::{Out, quoting};
use crate::value::Val;

type Fields = BTreeMap<String, Value>;

/// Names under which a secret may hold a part, the first that is there wins. Those of AWS, GCP and Vault's own engines.
const HOST: &[&str] = &["host", "hostname", "server", "machine"];
const PORT: &[&str] = &["port"];
const DATABASE: &[&str] = &["dbname", "database", "db"];
const USERNAME: &[&str] = &["username", "user", "login"];
const PASSWORD: &[&str] = &["password", "pass"];
const ENGINE: &[&str] = &["engine", "type"];
const REGISTRY: &[&str] = &["registry", "server", "host"];
const KEY: &[&str] = &["private_key", "tls.key", "key"];
const CERTIFICATE: &[&str] = &["certificate", "tls.crt", "cert"];
const CHAIN: &[&str] = &["ca_chain", "chain", "issuing_ca", "ca.crt", "ca"];

/// What docker and kubectl take when no registry is named.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What the template of the format sees.
pub(crate) fn context(format: Format, fields: &Fields) -> Result<Json, Failure> {
    if format == Format::Pem {
        return pem(fields);
    }
    if format == Format::Dockerconfigjson {
        return registry(fields);
    }
    let (username, password) = (required(fields, USERNAME)?, required(fields, PASSWORD)?);
    let (host, port, database) = (part(fields, HOST)?, part(fields, PORT)?, part(fields, DATABASE)?);
    let quote = quote(format, fields)?;
    let optional = [("host", &host), ("port", &port), ("database", &database)];
    let optional = optional.into_iter().filter_map(|(name, part)| Some((name, part.as_ref()?)));
    for (name, part) in optional.chain([("username", &username), ("password", &password)]) {
        format::fits(name, part.expose(), quote)?;
    }
    let mut context = json!({
        "username": username.expose(), "password": password.expose(),
        "host": shown(host.as_ref()), "port": shown(port.as_ref()), "database": shown(database.as_ref()),
    });
    if format == Format::Jdbc {
        context["engine"] = engine(fields)?.into();
        context["host"] = url_host(required(fields, HOST)?.expose())?.into();
        if port.is_some_and(|port| port.expose().is_empty() || !port.expose().bytes().all(|b| b.is_ascii_digit())) {
            return Err(Failure::new("the field `port` is not a number"));
        }
    }
    Ok(context)
}

/// What the format's template calls for each part.
fn quote(format: Format, fields: &Fields) -> Result<fn(&[Val]) -> Out, Failure> {
    Ok(match format {
        Format::Pgpass => quoting::pgpass,
        Format::Netrc => quoting::netrc,
        Format::Mycnf => quoting::mycnf,
        _ if format == Format::Jdbc && engine(fields)? == "sqlserver" => quoting::braces,
        _ => quoting::url,
    })
}

fn registry(fields: &Fields) -> Result<Json, Failure> {
    let (username, password) = (required(fields, USERNAME)?, required(fields, PASSWORD)?);
    let registry = part(fields, REGISTRY)?.unwrap_or_else(|| Sensitive::from(DOCKER_HUB));
    if username.expose().contains(':') {
        return Err(Failure::new("a registry's user has no colon in its name"));
    }
    let pair = Sensitive::new(format!("{}:{}", username.expose(), password.expose()));
    Ok(json!({
        "registry": registry.expose(), "username": username.expose(), "password": password.expose(), "pair": pair.expose(),
    }))
}

fn shown(part: Option<&Sensitive<String>>) -> Json {
    part.map_or(Json::Null, |part| part.expose().as_str().into())
}

/// A text or a number; what is empty or null is not there.
fn part(fields: &Fields, names: &[&str]) -> Result<Option<Sensitive<String>>, Failure> {
    let there = names.iter().filter_map(|name| Some((*name, fields.get(*name)?)));
    let Some((name, value)) = there.into_iter().find(|(_, value)| !matches!(value, Value::Null)) else {
        return Ok(None);
    };
    let text = match value {
        Value::Text(text) => Sensitive::from(text.expose()),
        Value::Number(_) => value.to_json(),
        _ => return Err(Failure::new(format!("the field `{name}` is neither a text nor a number"))),
    };
    Ok(Some(text).filter(|text| !text.expose().is_empty()))
}

fn required(fields: &Fields, names: &[&str]) -> Result<Sensitive<String>, Failure> {
    part(fields, names)?.ok_or_else(|| missing(fields, names))
}

fn missing(fields: &Fields, names: &[&str]) -> Failure {
    let wanted = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
    let has = fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    Failure::new(format!("the format needs a field {wanted}")).hint(format!("the secret has: {has}"))
}

/// The word of a JDBC URL for the database.
fn engine(fields: &Fields) -> Result<&'static str, Failure> {
    let engine = required(fields, ENGINE)?;
    Ok(match engine.expose().to_ascii_lowercase().as_str() {
        "postgres" | "postgresql" | "aurora-postgresql" => "postgresql",
        "mysql" | "aurora-mysql" => "mysql",
        "mariadb" => "mariadb",
        "sqlserver" | "mssql" | "sqlserver-ex" | "sqlserver-se" | "sqlserver-ee" | "sqlserver-web" => "sqlserver",
        _ => {
            return Err(Failure::new("the field `engine` names no database that this format knows")
                .hint("it knows postgresql, mysql, mariadb and sqlserver; for others write a template"));
        }
    })
}

/// A name or an address as a URL writes it.
fn url_host(host: &str) -> Result<String, Failure> {
    if host.contains(':')
        && !host.starts_with('[')
        && host.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'))
    {
        return Ok(format!("[{host}]"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    if host.chars().all(allowed) {
        Ok(host.to_owned())
    } else {
        Err(Failure::new("the field `host` is not the name of a host"))
    }
}

/// Key, certificate and chain, as Vault's own `pem_bundle` orders them.
fn pem(fields: &Fields) -> Result<Json, Failure> {
    let certificate = required(fields, CERTIFICATE)?;
    let mut blocks = Vec::new();
    if let Some(key) = part(fields, KEY)? {
        blocks.push(block("private_key", key.expose())?);
    }
    let first = block("certificate", certificate.expose())?;
    blocks.push(first.clone());
    for issuer in chain(fields)? {
        let issuer = block("ca_chain", issuer.expose())?;
        if !blocks.contains(&issuer) && !first.contains(&issuer) {
            blocks.push(issuer);
        }
    }
    Ok(json!({ "blocks": blocks }))
}

/// The issuers: a list of texts, or one text.
fn chain(fields: &Fields) -> Result<Vec<Sensitive<String>>, Failure> {
    let found = CHAIN.iter().find_map(|name| match fields.get(*name) {
        None | Some(Value::Null) => None,
        Some(Value::List(items)) if items.is_empty() => None,
        Some(value) => Some(value),
    });
    match found {
        None => Ok(Vec::new()),
        Some(Value::List(items)) => {
            let texts = items.iter().map(|item| item.as_text().map(Sensitive::from));
            texts.collect::<Option<Vec<_>>>().ok_or_else(|| Failure::new("the chain holds something that is no text"))
        }
        Some(value) => match value.as_text() {
            Some(text) => Ok(Some(text).filter(|text| !text.is_empty()).map(Sensitive::from).into_iter().collect()),
            None => Err(Failure::new("the chain is neither a text nor a list of texts")),
        },
    }
}

fn block(name: &str, text: &str) -> Result<String, Failure> {
    let text = text.replace("\r\n", "\n");
    let text = text.trim();
    if text.starts_with("-----BEGIN ") && text.ends_with("-----") {
        return Ok(text.to_owned());
    }
    Err(Failure::new(format!("the field for `{name}` is not in PEM form"))
        .hint("it begins with -----BEGIN and ends with -----; Vault writes it with format=pem"))
}
