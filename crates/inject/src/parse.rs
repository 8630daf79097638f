//! annotations → spec. The order of the readings is the order in which errors are found: the reference's, where it has one.

use std::time::Duration;

use sidekey_core::contract::{AuthMethod, Dialect, Log, Refresh, Server};
use sidekey_core::goparse::parse_bool;
use sidekey_core::{Cause, Code};

use crate::amend;
use crate::changes;
use crate::explain::Origin;
use crate::reader::{Basis, Reader};
use crate::registry::{Field, Kind};
use crate::secrets;
use crate::settings::{DefaultTemplate, SecurityContext};
use crate::spec::{Amounts, End, Extras, InjectSpec, Login, ResourceSpec, Start, UserSpec};
use crate::value;

/// Reads everything.
///
/// # Errors
/// The first value that cannot be read, or that is missing.
pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<InjectSpec, Cause> {
    request_namespace(reader)?;
    let backoffs = backoffs(reader)?;
    let amendments = amend::amendments(reader)?;
    let volume = reader.filled(Field::TokenVolume);
    missing_keys(reader)?;
    let (mut start, end) = lifecycle(reader)?;
    let skip_verify = reader.flag(Field::TlsSkipVerify)?;
    let (user, share_processes) = user(reader)?;
    let (default_template, token_sink) = contents(reader)?;
    let refresh = refresh(reader)?;
    start.exit_on_login_failure =
        reader.found.get(Field::AuthExitOnError).is_some() && reader.flag(Field::AuthExitOnError)?;
    let dir = secrets::directory(reader)?;
    let mut spec = InjectSpec {
        dialect: reader.dialect,
        image: image(reader)?,
        server: server(reader, skip_verify)?,
        login: login(reader, volume, backoffs)?,
        resources: ResourceSpec { limits: limits(reader)?, requests: requests(reader)? },
        log: log(reader)?,
        extras: extras(reader),
        secrets: secrets::secrets(reader, &dir, default_template)?,
        containers: reader.given(Field::Containers).map(|given| value::list(given.value)),
        refresh,
        start,
        end,
        dir,
        token_sink,
        user,
        share_processes,
        amendments,
    };
    changes::image(&mut spec, reader);
    Ok(spec)
}

fn contents(reader: &mut Reader<'_>) -> Result<(DefaultTemplate, bool), Cause> {
    for field in [Field::CacheEnable, Field::CacheExitOnError] {
        reader.flag(field)?;
    }
    Ok((secrets::default_template(reader)?, reader.flag(Field::InjectToken)?))
}

fn request_namespace(reader: &Reader<'_>) -> Result<(), Cause> {
    match reader.found.get(Field::RequestNamespace) {
        Some(entry) if entry.value.is_empty() => Err(entry.refused(Kind::Text)),
        _ => Ok(()),
    }
}

/// Shortest and longest wait, milliseconds.
fn backoffs(reader: &mut Reader<'_>) -> Result<(u64, u64), Cause> {
    let shortest = reader.duration(Field::AuthMinBackoff)?.map_or(1_000, milliseconds).max(1);
    let longest = reader.duration(Field::AuthMaxBackoff)?.map_or(300_000, milliseconds);
    Ok((shortest, longest.max(shortest)))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn missing_keys(reader: &Reader<'_>) -> Result<(), Cause> {
    let all = reader.found.suffixed().filter(|(_, field, _)| *field == Field::ErrorOnMissingKey);
    for (_, field, entry) in all {
        parse_bool(entry.value).ok_or_else(|| entry.refused(field.row().kind))?;
    }
    Ok(())
}

fn lifecycle(reader: &mut Reader<'_>) -> Result<(Start, End), Cause> {
    let first = reader.flag(Field::InitFirst)?;
    let pre_populate = reader.flag(Field::PrePopulate)?;
    let only = reader.flag(Field::PrePopulateOnly)?;
    let revoke = reader.flag(Field::Revoke)?;
    let grace_seconds = reader.uint(Field::RevokeGrace)?.unwrap_or(0);
    let native = reader.maybe_flag(Field::NativeSidecar)?;
    let deadline_seconds = reader.duration(Field::StartDeadline)?.map(whole_seconds).filter(|seconds| *seconds > 0);
    if only && !pre_populate {
        reader.warn("pre-populate is false and pre-populate-only true: no agent is added, and nothing is written");
    }
    let exit_on_login_failure = false;
    let start = Start { pre_populate, only, first, native, deadline_seconds, exit_on_login_failure };
    Ok((start, End { revoke, grace_seconds }))
}

/// The settings' security context counts unless the pod says who to run as, and the pod's own word counts most.
fn user(reader: &mut Reader<'_>) -> Result<(UserSpec, Option<bool>), Cause> {
    let user = id(reader, Field::RunAsUser, reader.settings.run_as_user)?;
    let group = id(reader, Field::RunAsGroup, reader.settings.run_as_group)?;
    let same = reader.flag(Field::RunAsSameUser)?;
    let share = reader.maybe_flag(Field::ShareProcesses)?;
    let context = reader.word(Field::SetSecurityContext, SecurityContext::parse)?.unwrap_or(SecurityContext::None);
    let asked =
        [Field::RunAsUser, Field::RunAsGroup, Field::RunAsSameUser].map(|field| reader.found.get(field).is_some());
    let silent = reader.found.get(Field::SetSecurityContext).is_none();
    let context = if silent && asked.contains(&true) { SecurityContext::Full } else { context };
    Ok((UserSpec { context, user, group, same }, share))
}

/// An id of the pod's own, else of the settings, else the dialect's default.
fn id(reader: &mut Reader<'_>, field: Field, setting: Option<i64>) -> Result<Option<i64>, Cause> {
    let entry = reader.found.get(field);
    if let (None, Some(id)) = (entry, setting) {
        return Ok(Some(id));
    }
    let id = reader.int(field)?;
    match (entry, id) {
        (Some(entry), Some(id)) if !(0..=i64::from(i32::MAX)).contains(&id) => Err(entry.refused(Kind::Uint)),
        _ => Ok(id),
    }
}

fn refresh(reader: &mut Reader<'_>) -> Result<Refresh, Cause> {
    reader.flag(Field::ExitOnRetryFailure)?;
    reader.int(Field::MaxConnections)?;
    let lease_renewal_threshold = reader.share(Field::RenewalThreshold)?.filter(|share| *share > 0.0);
    reader.flag(Field::EnableQuit)?;
    let interval = reader.seconds(Field::StaticInterval)?.map(milliseconds).filter(|interval| *interval > 0);
    let static_interval_ms = interval.unwrap_or(Refresh::default().static_interval_ms);
    Ok(Refresh { static_interval_ms, lease_renewal_threshold })
}

/// In the Vault dialect the image is Vault's, which cannot do the agent's work.
fn image(reader: &mut Reader<'_>) -> Result<String, Cause> {
    if let Some(entry) = reader.found.get(Field::Image).filter(|entry| entry.dialect == Dialect::Vault) {
        let name = entry.value.rsplit('/').next().unwrap_or_default();
        if entry.value.is_empty() {
            return Err(reader.missing(Field::Image, "image of the agent"));
        }
        if !name.contains("sidekey") {
            reader.warn(format!(
                "{} is ignored: {} is not an image of Sidekey's agent",
                entry.key,
                value::shown(entry.value)
            ));
            return Ok(reader.settings.agent_image.clone());
        }
    }
    reader.needed(Field::Image, "image of the agent")
}

fn server(reader: &mut Reader<'_>, skip_verify: bool) -> Result<Server, Cause> {
    let address = reader.needed(Field::Address, "address of Vault")?;
    if !["http://", "https://"].iter().any(|scheme| address.starts_with(scheme)) {
        let key = reader.found.get(Field::Address).map_or("settings field vaultAddress", |entry| entry.key);
        let answer = format!("`{}` has no scheme", value::shown(&address));
        return Err(Cause::new(Code::AnnotationValue, format!("reading {key}"), answer)
            .with_fix("Write Vault's URL, such as https://vault.vault.svc:8200."));
    }
    let (ca_file, ca_dir) = (reader.filled(Field::CaCert), reader.filled(Field::CaPath));
    let bundle = reader.settings.ca_pem.trim();
    let ca_pem = (ca_file.is_none() && ca_dir.is_none() && !bundle.is_empty()).then(|| bundle.to_owned());
    Ok(Server {
        address,
        namespace: reader.filled(Field::Namespace),
        ca_pem,
        ca_file,
        ca_dir,
        client_cert_file: reader.filled(Field::ClientCert),
        client_key_file: reader.filled(Field::ClientKey),
        server_name: reader.filled(Field::TlsServerName),
        skip_verify,
        proxy: reader.filled(Field::Proxy),
        timeout_seconds: reader.seconds(Field::ClientTimeout)?.map_or(60, whole_seconds).max(1),
    })
}

fn login(reader: &mut Reader<'_>, volume: Option<String>, backoffs: (u64, u64)) -> Result<Login, Cause> {
    let method = method(reader)?;
    let mut param = |name: &str| {
        let entry = reader.found.of(Field::AuthConfig, name).filter(|entry| !entry.value.is_empty())?;
        reader.trace.choose("auth-config", entry.value.to_owned(), Origin::Annotation(entry.key.to_owned()));
        Some(entry.value.to_owned())
    };
    let config_role = param("role");
    let token_path = param("token-path").or_else(|| param("token_path"));
    let path = if method == AuthMethod::Jwt { param("path") } else { None };
    auth_config_warnings(reader, method);
    let role = reader.filled(Field::Role).or(config_role).unwrap_or_default();
    if role.is_empty() && method == AuthMethod::Kubernetes {
        return Err(reader.missing(Field::Role, "Vault role to log in as"));
    }
    let token_file = path.or(token_path);
    let mount = mount(reader)?;
    let audience = audience(reader, volume.is_some());
    let (min_backoff_ms, max_backoff_ms) = backoffs;
    Ok(Login { method, mount, role, volume, token_file, audience, min_backoff_ms, max_backoff_ms })
}

fn method(reader: &mut Reader<'_>) -> Result<AuthMethod, Cause> {
    match reader.needed(Field::AuthType, "auth method")?.as_str() {
        "kubernetes" => Ok(AuthMethod::Kubernetes),
        "jwt" => Ok(AuthMethod::Jwt),
        other => {
            let answer = format!("the auth method `{}` is not served", value::shown(other));
            Err(Cause::new(Code::AuthMethodRefused, "reading the auth type", answer).with_fix("Use kubernetes or jwt."))
        }
    }
}

fn auth_config_warnings(reader: &mut Reader<'_>, method: AuthMethod) {
    let all: Vec<_> = reader.found.suffixed().filter(|(_, field, _)| *field == Field::AuthConfig).collect();
    for (suffix, _, entry) in all {
        let known =
            matches!(suffix, "role" | "token-path" | "token_path") || (suffix == "path" && method == AuthMethod::Jwt);
        if !known {
            reader.warn(format!("{} has no effect yet", entry.key));
        }
    }
}

/// Native users may leave `auth/` out.
fn mount(reader: &mut Reader<'_>) -> Result<String, Cause> {
    let path = reader.needed(Field::AuthPath, "path of the auth method")?;
    let path = path.trim_matches('/');
    let short = reader.dialect == Dialect::Native && !path.starts_with("auth/") && !path.contains("/auth/");
    Ok(if short { format!("auth/{path}") } else { path.to_owned() })
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

fn limits(reader: &mut Reader<'_>) -> Result<Amounts, Cause> {
    Ok(Amounts {
        cpu: reader.quantity(Field::LimitsCpu)?,
        memory: reader.quantity(Field::LimitsMemory)?,
        ephemeral: reader.quantity(Field::LimitsEphemeral)?,
    })
}

fn requests(reader: &mut Reader<'_>) -> Result<Amounts, Cause> {
    Ok(Amounts {
        cpu: reader.quantity(Field::RequestsCpu)?,
        memory: reader.quantity(Field::RequestsMemory)?,
        ephemeral: reader.quantity(Field::RequestsEphemeral)?,
    })
}

fn log(reader: &mut Reader<'_>) -> Result<Log, Cause> {
    let default = Log::default();
    let level = word(reader, Field::LogLevel, |text| value::log_level(text).map(str::to_owned))?;
    let json = word(reader, Field::LogFormat, |text| match text {
        "json" => Some(true),
        "standard" => Some(false),
        _ => None,
    })?;
    Ok(Log { level: level.unwrap_or(default.level), json: json.unwrap_or(default.json) })
}

/// One of a row's words; empty is absent.
fn word<T>(reader: &mut Reader<'_>, field: Field, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Cause> {
    let Some(given) = reader.given(field).filter(|given| !given.value.is_empty()) else { return Ok(None) };
    match (parse(given.value), given.from) {
        (Some(word), _) => Ok(Some(word)),
        (None, Basis::Annotation(entry)) => Err(entry.refused(field.row().kind)),
        (None, _) => Ok(None),
    }
}

fn extras(reader: &mut Reader<'_>) -> Extras {
    Extras {
        tls_secret: reader.filled(Field::TlsSecret),
        extra_secret: reader.filled(Field::ExtraSecret),
        copy_from: reader.filled(Field::CopyMounts),
    }
}
