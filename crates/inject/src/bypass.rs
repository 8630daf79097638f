//! Which annotations would count in the place of others: a setting for these has to hold for those, too.

use crate::registry::Field;
use crate::trust;

/// What Vault Agent's own files say, so that the annotations' word on it counts for nothing beside an `agent-configmap`.
pub(crate) const OF_FILES: &[Field] = &[
    Field::Secret,
    Field::Template,
    Field::TemplateFile,
    Field::ErrorOnMissingKey,
    Field::File,
    Field::Mode,
    Field::MaxStale,
    Field::Command,
    Field::OnChange,
    Field::InjectToken,
    Field::CacheEnable,
    Field::CacheToken,
    Field::CachePort,
    Field::EnableQuit,
    Field::Address,
    Field::AuthType,
    Field::AuthPath,
    Field::Namespace,
    Field::Role,
    Field::AuthConfig,
    Field::AuthMinBackoff,
    Field::AuthMaxBackoff,
    Field::AuthExitOnError,
    Field::TokenVolume,
    Field::TokenAudience,
    Field::CaCert,
    Field::CaConfigMap,
    Field::CaSecret,
    Field::CaPath,
    Field::ClientCert,
    Field::ClientKey,
    Field::TlsServerName,
    Field::TlsSkipVerify,
    Field::LogLevel,
    Field::LogFormat,
    Field::StaticInterval,
    Field::RevokeSuperseded,
    Field::RenewalThreshold,
];

/// An annotation: what it is about, its suffix, its value.
pub(crate) type Said<'a> = (Field, Option<&'a str>, &'a str);

/// Whether `own` counts where `forced` should, and says something else.
pub(crate) fn displaces(own: Said<'_>, forced: Said<'_>) -> bool {
    let ((own, own_suffix, own_value), (field, suffix, value)) = (own, forced);
    if own != field && is_trust(own) && is_trust(field) {
        // A path and the name of an object are never the same.
        return whom_to_trust((own, own_suffix), (field, suffix));
    }
    let stands_in = match (own_suffix, suffix) {
        (Some(_), None) if own == field => true,
        (None, Some(param)) => (own, field) == (Field::Role, Field::AuthConfig) && param == "role",
        (Some(param), None) if own == Field::AuthConfig => is_of_connection(&parameter(param), field),
        (Some(spelt), Some(param)) if (own, field) == (Field::AuthConfig, Field::AuthConfig) => {
            spelt != param && parameter(spelt) == parameter(param)
        }
        _ => false,
    };
    stands_in && own_value != value
}

fn is_trust(field: Field) -> bool {
    field == Field::CaPath || trust::KINDS.contains(&field)
}

/// A file's own comes before all of the pod's; a directory is believed beside the rest.
fn whom_to_trust((own, own_suffix): (Field, Option<&str>), (field, suffix): (Field, Option<&str>)) -> bool {
    let rank = |field: Field| trust::KINDS.iter().position(|one| *one == field);
    match (own_suffix, suffix) {
        (Some(_), None) => true,
        _ => own_suffix == suffix && (own == Field::CaPath || field == Field::CaPath || rank(own) < rank(field)),
    }
}

/// A login by certificate has files of its own before those of the connection.
fn is_of_connection(param: &str, field: Field) -> bool {
    match param {
        "ca_cert" => is_trust(field),
        "client_cert" => field == Field::ClientCert,
        "client_key" => field == Field::ClientKey,
        _ => false,
    }
}

/// The parameter's name, whichever way it is spelt.
pub(crate) fn parameter(suffix: &str) -> String {
    suffix.replace('-', "_")
}
