//! Files of other roles, mounts, namespaces or servers: each distinct login is made once, whoever asks for it.

use sidekey_core::contract::{AuthMethod, Dialect, Server};
use sidekey_core::{Cause, Code};

use crate::annotations::{Author, Entry};
use crate::explain::Origin;
use crate::reader::Reader;
use crate::registry::Field;
use crate::settings::Settings;
use crate::spec::{Login, Place, Secret};
use crate::trust::{self, Bundle};
use crate::{login, parse};

/// What one file may say of its login.
const FIELDS: [Field; 9] = [
    Field::Address,
    Field::Namespace,
    Field::CaCert,
    Field::CaConfigMap,
    Field::CaSecret,
    Field::TlsServerName,
    Field::AuthPath,
    Field::Role,
    Field::TokenAudience,
];

/// Whether some file names a role of its own, so that the pod's may be missing.
pub(crate) fn some_role(reader: &Reader<'_>) -> bool {
    reader.found.suffixed().any(|(_, field, entry)| field == Field::Role && !entry.value.is_empty())
}

/// Gives each file its place. The pod's own login comes first where anything needs it; else the first file's does.
///
/// # Errors
/// `AnnotationMissing` for a login without the role it needs, `AnnotationValue`, `NotSupported`.
pub(crate) fn places(
    reader: &mut Reader<'_>,
    own: &Place,
    own_is_needed: bool,
    secrets: &mut [Secret],
) -> Result<Vec<Place>, Cause> {
    let mut all = Vec::new();
    if own_is_needed || secrets.iter().any(|secret| !says_something(reader, &secret.raw)) {
        all.push(own.clone());
    }
    for secret in secrets {
        let place = if says_something(reader, &secret.raw) { of_file(reader, &secret.raw, own)? } else { own.clone() };
        secret.login = index(&mut all, place);
    }
    let lacks = |place: &Place| place.login.role.is_empty() && login::needs_role(&place.login.method);
    if !login::is_by_files(reader) && all.iter().any(lacks) {
        return Err(reader.missing(Field::Role, "Vault role to log in as"));
    }
    for place in all.iter().skip(1) {
        let from = place.from.clone().map_or(Origin::Default, Origin::Annotation);
        reader.trace.choose("another login", place.name(), from);
    }
    Ok(all)
}

fn says_something(reader: &Reader<'_>, raw: &str) -> bool {
    FIELDS.iter().any(|field| reader.found.of(*field, raw).is_some())
}

/// What the settings chose for one file and a pod for another was chosen by the pod.
fn index(all: &mut Vec<Place>, place: Place) -> usize {
    match all.iter().position(|known| known.server == place.server && known.login == place.login) {
        Some(at) => {
            all[at].role_is_free &= place.role_is_free;
            all[at].address_is_free &= place.address_is_free;
            at
        }
        None => {
            all.push(place);
            all.len() - 1
        }
    }
}

fn of_file(reader: &mut Reader<'_>, raw: &str, own: &Place) -> Result<Place, Cause> {
    if let AuthMethod::AppRole(_) = own.login.method {
        return Err(approle(reader, raw));
    }
    let mut place = own.clone();
    place.from = FIELDS.iter().find_map(|field| Some(reader.found.of(*field, raw)?.key.to_owned()));
    server(reader, raw, &mut place)?;
    if let Some(entry) = filled(reader, Field::Role, raw)? {
        role(reader, &entry, &mut place);
    }
    if let Some(entry) = filled(reader, Field::AuthPath, raw)? {
        place.login.mount = login::mount_path(entry.value, entry.dialect == Dialect::Native);
    }
    if let Some(entry) = reader.found.of(Field::TokenAudience, raw) {
        audience(reader, &entry, &mut place.login);
    }
    Ok(place)
}

fn approle(reader: &Reader<'_>, raw: &str) -> Cause {
    let key = FIELDS.iter().find_map(|field| reader.found.of(*field, raw)).map_or("", |entry| entry.key);
    let answer = "a pod that logs in by approle has one login: its secret id may be good for one use only";
    Cause::new(Code::NotSupported, format!("reading annotation {key}"), answer)
        .with_fix("Use the auth method kubernetes or jwt, or leave the annotation out.")
}

/// What belongs to the pod's address is not taken along to another one, unless it is forced; trust is, as both are often of
/// one house.
fn server(reader: &mut Reader<'_>, raw: &str, place: &mut Place) -> Result<(), Cause> {
    if let Some(entry) = filled(reader, Field::Address, raw)? {
        parse::scheme(entry.value, entry.key)?;
        entry.value.clone_into(&mut place.server.address);
        place.address_is_free = entry.author != Author::Pod;
        let name = reader.found.get(Field::TlsServerName);
        place.server.server_name.take_if(|_| name.is_none_or(|name| name.author != Author::Forced));
    }
    let of = |field| reader.found.of(field, raw).map(|entry| text(entry.value));
    if let Some(namespace) = of(Field::Namespace) {
        place.server.namespace = namespace;
    }
    if let Some(name) = of(Field::TlsServerName) {
        place.server.server_name = name;
    }
    let file = of(Field::CaCert);
    let bundle = trust::bundle(reader, Some(raw))?;
    if file.is_some() || bundle.is_some() {
        let file = file.flatten().or_else(|| bundle.as_ref().map(Bundle::path));
        believe(&mut place.server, file, reader.settings);
        place.bundle = bundle;
    }
    Ok(())
}

/// A file, else the settings' bundle.
fn believe(server: &mut Server, file: Option<String>, settings: &Settings) {
    server.ca_pem = parse::settings_bundle(settings).filter(|_| file.is_none());
    (server.ca_file, server.ca_dir) = (file, None);
}

fn role(reader: &mut Reader<'_>, entry: &Entry<'_>, place: &mut Place) {
    if login::names_no_role(&place.login.method) {
        return reader.warn(format!("{} is ignored: a login by {} names none", entry.key, place.login.method.name()));
    }
    entry.value.clone_into(&mut place.login.role);
    place.role_is_free = entry.author != Author::Pod;
}

fn audience(reader: &mut Reader<'_>, entry: &Entry<'_>, login: &mut Login) {
    let why = match (&login.volume, &login.token_file) {
        (Some(_), _) => "the token is that of the volume named",
        (None, Some(_)) => "the token is that of the file named",
        _ if !login.method.shows_service_account() => "the auth method shows no service account token",
        _ => return login.audience = text(entry.value),
    };
    reader.warn(format!("{} is ignored: {why}", entry.key));
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned()).filter(|value| !value.is_empty())
}

/// Empty is refused where it would mean nothing.
fn filled<'a>(reader: &Reader<'a>, field: Field, raw: &str) -> Result<Option<Entry<'a>>, Cause> {
    match reader.found.of(field, raw) {
        Some(entry) if entry.value.is_empty() => Err(entry.refused(field.row().kind)),
        entry => Ok(entry),
    }
}
