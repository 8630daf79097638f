//! annotations → spec. The order of the readings is the order in which errors are found: the reference's, where it has one.

use std::time::Duration;

use sidekey_core::contract::{Dialect, Listener, Log, Refresh, Server};
use sidekey_core::goparse::parse_bool;
use sidekey_core::{Cause, Code};

use crate::amend;
use crate::annotations::{Author, Entry};
use crate::changes;
use crate::reader::{Asked, Basis, Reader};
use crate::registry::{Field, Kind};
use crate::settings::{DefaultTemplate, PullPolicy, SecurityContext, Settings};
use crate::spec::{Amounts, End, Extras, InjectSpec, Metrics, Place, Pull, ResourceSpec, Start, UserSpec};
use crate::trust::{self, Bundle};
use crate::{environment, login, logins, secrets, value, words};

/// Reads everything; `volume_problem` is what is wrong with the token's volume, which has its place among the errors.
///
/// # Errors
/// The first value that cannot be read, or that is missing.
pub(crate) fn parse(reader: &mut Reader<'_>, volume_problem: Option<Cause>) -> Result<InjectSpec, Cause> {
    request_namespace(reader)?;
    let backoffs = backoffs(reader)?;
    let amendments = amend::amendments(reader)?;
    let volume = reader.filled(Field::TokenVolume);
    volume_problem.map_or(Ok(()), Err)?;
    missing_keys(reader)?;
    let (mut start, end) = lifecycle(reader)?;
    let skip_verify = reader.flag(Field::TlsSkipVerify)?;
    let (user, share_processes) = user(reader)?;
    let cache = asked(reader, Field::CacheEnable)?;
    let (default_template, token_sink) = contents(reader)?;
    let refresh = refresh(reader)?;
    let listener = listener(reader, cache)?;
    let metrics = metrics(reader, listener.as_ref())?;
    start.exit_on_login_failure =
        reader.found.get(Field::AuthExitOnError).is_some() && reader.flag(Field::AuthExitOnError)?;
    let dir = secrets::directory(reader)?;
    let image = image(reader)?;
    let own = own(reader, skip_verify, volume, backoffs)?;
    let resources = ResourceSpec { limits: limits(reader)?, requests: requests(reader)?, init: false };
    let init_resources = init_resources(reader, &resources)?;
    let pull = pull(reader)?;
    let (log, extras) = (log(reader)?, extras(reader));
    let mut secrets = secrets::secrets(reader, &dir, default_template)?;
    let environment = environment::parse(reader)?;
    let own_is_needed = token_sink
        || listener.is_some()
        || secrets.is_empty()
        || extras.config_map.is_some()
        || !environment.variables.is_empty();
    let places = logins::places(reader, &own, own_is_needed, &mut secrets)?;
    let mut spec = InjectSpec {
        dialect: reader.dialect,
        image,
        places,
        resources,
        init_resources,
        pull,
        metrics,
        log,
        extras,
        secrets,
        environment,
        containers: reader.given(Field::Containers).map(|given| value::list(given.value)),
        refresh,
        listener,
        start,
        end,
        dir,
        token_sink,
        user,
        share_processes,
        amendments,
    };
    changes::image(&mut spec, reader);
    doubtful_limits(&spec, reader);
    Ok(spec)
}

/// Limits that remove a file too soon, or not where it is read. Vault vouches for a secret without a lease only as often as it
/// is read; a file mounted by itself stays what the container was given, whatever goes from the volume.
fn doubtful_limits(spec: &InjectSpec, reader: &mut Reader<'_>) {
    let interval = spec.refresh.static_interval_ms / 1_000;
    for secret in &spec.secrets {
        let Some(limit) = secret.max_stale_seconds else { continue };
        let name = &secret.raw;
        if u64::from(limit) < interval {
            reader.warn(format!(
                "max-stale of {name} is {limit} s, and secrets without a lease are read every {interval} s: one failed read may remove the file"
            ));
        }
        if let Some(path) = &secret.subpath {
            reader.warn(format!(
                "max-stale of {name} does not reach {path}: a file mounted by subpath stays as long as its container"
            ));
        }
    }
}

fn contents(reader: &mut Reader<'_>) -> Result<(DefaultTemplate, bool), Cause> {
    reader.flag(Field::CacheExitOnError)?;
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
        (Some(entry), Some(id)) if !value::is_id(id) => Err(entry.refused(Kind::Uint)),
        _ => Ok(id),
    }
}

fn refresh(reader: &mut Reader<'_>) -> Result<Refresh, Cause> {
    reader.flag(Field::ExitOnRetryFailure)?;
    reader.int(Field::MaxConnections)?;
    let lease_renewal_threshold = reader.share(Field::RenewalThreshold)?.filter(|share| *share > 0.0);
    let interval = reader.seconds(Field::StaticInterval)?.map(milliseconds).filter(|interval| *interval > 0);
    let static_interval_ms = interval.unwrap_or(Refresh::default().static_interval_ms);
    let revoke_superseded_seconds = reader.duration(Field::RevokeSuperseded)?.map(whole_seconds);
    Ok(Refresh { static_interval_ms, lease_renewal_threshold, revoke_superseded_seconds })
}

/// A flag that is off, and no choice of anybody's, where the pod says nothing.
fn asked(reader: &mut Reader<'_>, field: Field) -> Result<bool, Cause> {
    if reader.found.get(field).is_some() { reader.flag(field) } else { Ok(false) }
}

/// Vault Agent's own endpoints, where they are asked for.
fn listener(reader: &mut Reader<'_>, cache: bool) -> Result<Option<Listener>, Cause> {
    let quit = asked(reader, Field::EnableQuit)?;
    if !cache && !quit {
        return Ok(None);
    }
    let port = reader.parsed(Field::CachePort, value::port)?.unwrap_or(8_200);
    let bearer = reader.parsed(Field::CacheToken, words::bearer)?;
    Ok(Some(Listener { port, quit, forward: bearer.filter(|_| cache) }))
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

/// Where the pod's own login is made. What the settings chose, they allow.
fn own(
    reader: &mut Reader<'_>,
    skip_verify: bool,
    volume: Option<String>,
    backoffs: (u64, u64),
) -> Result<Place, Cause> {
    let theirs = |entry: Option<Entry<'_>>| entry.is_some_and(|it| it.author != Author::Pod && !it.value.is_empty());
    let (role, address) = (reader.found.get(Field::Role), reader.found.get(Field::Address));
    let bundle = trust::bundle(reader, None)?;
    // What is wrong with the login is said first, as today.
    let server = server(reader, skip_verify, bundle.as_ref());
    let login = login::login(reader, volume, backoffs)?;
    Ok(Place {
        server: server?,
        login,
        bundle,
        from: None,
        role_is_free: theirs(role),
        address_is_free: address.is_none() || theirs(address),
    })
}

/// Refuses an address without one; `key` says where it stands.
pub(crate) fn scheme(address: &str, key: &str) -> Result<(), Cause> {
    if value::has_scheme(address) {
        return Ok(());
    }
    let answer = format!("`{}` has no scheme", value::shown(address));
    Err(Cause::new(Code::AnnotationValue, format!("reading {key}"), answer)
        .with_fix("Write Vault's URL, such as https://vault.vault.svc:8200."))
}

/// The settings' CA certificates, if there are any.
pub(crate) fn settings_bundle(settings: &Settings) -> Option<String> {
    Some(settings.ca_pem.trim().to_owned()).filter(|bundle| !bundle.is_empty())
}

fn server(reader: &mut Reader<'_>, skip_verify: bool, bundle: Option<&Bundle>) -> Result<Server, Cause> {
    let address = reader.needed(Field::Address, "address of Vault")?;
    scheme(&address, reader.found.get(Field::Address).map_or("settings field vaultAddress", |entry| entry.key))?;
    let ca_file = reader.filled(Field::CaCert).or_else(|| bundle.map(Bundle::path));
    let ca_dir = reader.filled(Field::CaPath);
    let ca_pem = settings_bundle(reader.settings).filter(|_| ca_file.is_none() && ca_dir.is_none());
    let (client_cert_file, client_key_file) = (reader.filled(Field::ClientCert), reader.filled(Field::ClientKey));
    if client_cert_file.is_some() != client_key_file.is_some() {
        reader.warn("a client certificate needs both, the certificate and its key: one of the two is not named");
    }
    Ok(Server {
        address,
        namespace: reader.filled(Field::Namespace),
        ca_pem,
        ca_file,
        ca_dir,
        client_cert_file,
        client_key_file,
        server_name: reader.filled(Field::TlsServerName),
        skip_verify,
        proxy: reader.filled(Field::Proxy),
        no_proxy: reader.filled(Field::NoProxy),
        // To Vault's client, too, none at all means its default.
        timeout_seconds: reader
            .seconds(Field::ClientTimeout)?
            .filter(|it| !it.is_zero())
            .map_or(60, whole_seconds)
            .max(1),
    })
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

/// What the init container's annotations leave out is the sidecar's.
fn init_resources(reader: &mut Reader<'_>, sidecar: &ResourceSpec) -> Result<Option<ResourceSpec>, Cause> {
    let mut init = ResourceSpec { init: true, ..sidecar.clone() };
    let fields = [
        (Field::InitLimitsCpu, &mut init.limits.cpu),
        (Field::InitLimitsMemory, &mut init.limits.memory),
        (Field::InitRequestsCpu, &mut init.requests.cpu),
        (Field::InitRequestsMemory, &mut init.requests.memory),
    ];
    let mut said = false;
    for (field, amount) in fields {
        let asked = reader.quantity(field)?;
        if asked != Asked::Default {
            (*amount, said) = (asked, true);
        }
    }
    Ok(said.then_some(init))
}

fn pull(reader: &mut Reader<'_>) -> Result<Pull, Cause> {
    let policy = reader.word(Field::PullPolicy, PullPolicy::parse)?.flatten();
    Ok(Pull { policy, secrets: value::list(reader.text(Field::PullSecrets)) })
}

fn metrics(reader: &mut Reader<'_>, listener: Option<&Listener>) -> Result<Option<Metrics>, Cause> {
    let filled = reader.found.get(Field::MetricsPort).is_some_and(|entry| !entry.value.is_empty());
    let port = if filled { reader.parsed(Field::MetricsPort, value::port)? } else { None };
    let scrape = asked(reader, Field::MetricsScrape)?;
    match (port, listener) {
        (Some(port), Some(listener)) if listener.port == port => {
            let key = Field::MetricsPort.row().full_key(Dialect::Native);
            let answer = format!("{port} is the port of the agent's listener on loopback");
            Err(Cause::new(Code::AnnotationConflict, format!("reading annotation {key}"), answer)
                .with_fix("Choose another port."))
        }
        (Some(port), _) => Ok(Some(Metrics { port, scrape })),
        (None, _) if scrape => {
            reader.warn("metrics-scrape is ignored: there is no metrics-port");
            Ok(None)
        }
        (None, _) => Ok(None),
    }
}

fn log(reader: &mut Reader<'_>) -> Result<Log, Cause> {
    let default = Log::default();
    let level = word(reader, Field::LogLevel, |text| value::log_level(text).map(str::to_owned))?;
    let json = word(reader, Field::LogFormat, words::log_json)?;
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
        config_map: reader.filled(Field::ConfigMap),
    }
}
