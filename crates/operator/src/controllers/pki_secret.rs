//! VaultPKISecret: a certificate, replaced strictly before its end.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::de::IgnoredAny;
use sidekey_cluster::api::MERGE;
use sidekey_core::lookup::Verb;
use sidekey_core::{Cause, Code, Lookup, Response};

use super::fetch::{self, Question};
use super::{
    Done, Job, Next, Refers, Tools, Verified, answered, hold, is_asked, now, requested, rollout, secret, shape, tell,
    tell_event, unix, unreadable, write_status,
};
use crate::MANAGER;
use crate::plan::auth::Login;
use crate::plan::data::Data;
use crate::plan::destination::{self, Owner, Secret, Wish};
use crate::plan::outcome::{self, Event, Trouble};
use crate::plan::pki_secret as plan;
use crate::plan::request::OF_PKI;
use crate::plan::transformation::Source;
use crate::types::condition::merge;
use crate::types::pki_secret::{VaultPkiSecretSpec, VaultPkiSecretStatus};

/// Longest time without a look: a clock that was set, a Secret whose change was not told.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

pub(super) async fn look(tools: &Tools, mut job: Job) -> Done {
    let before: VaultPkiSecretStatus = job.object.status();
    let spec = job.object.spec::<VaultPkiSecretSpec>().map_err(|words| unreadable(&job.key, &words));
    let outcome = match &spec {
        Ok(spec) => sync(tools, &mut job, spec, &before).await,
        Err(trouble) => Err(trouble.clone()),
    };
    tell(tools, &mut job, outcome.as_ref().err()).await;
    let generation = job.object.metadata.generation;
    let trouble = outcome.as_ref().err();
    let mut verdicts = outcome::sync(trouble);
    let mut after = outcome.as_ref().map_or_else(|_| before.clone(), |look| look.status.clone());
    (after.valid, after.error) =
        (trouble.is_none(), trouble.map_or_else(String::new, |trouble| trouble.reason.to_owned()));
    if let Ok(spec) = &spec {
        let news = outcome.as_ref().is_ok_and(|look| look.restart);
        let round = rollout::round(tools, &job, &spec.rollout_restart_targets, &before.restarts_owed, news).await;
        if let Some(round) = round {
            verdicts.push(round.verdict);
            after.restarts_owed = round.owed;
        }
        if let Some((login, serial)) = outcome.as_ref().ok().and_then(|look| look.superseded.as_ref()) {
            revoke(tools, &job, spec, login, serial).await;
        }
    }
    after.conditions = merge(&before.conditions, &verdicts, generation, &now());
    let written = write_status(tools, &job, &before, &after).await;
    let well = trouble.is_none() && written.is_ok();
    let next = match spec {
        // Early rather than late, and not all at once.
        Ok(spec) if well => {
            Next::After(plan::due(&spec, &after, unix()).clamp(Duration::from_secs(1), LONGEST), (0.97, 1.0))
        }
        _ => Next::Retry,
    };
    Done::new(job, next, well, written.unwrap_or_default()).owing(!after.restarts_owed.is_empty())
}

/// What the object became.
struct Look {
    status: VaultPkiSecretStatus,
    /// Whether workloads have another certificate than the Secret holds now.
    restart: bool,
    /// A certificate that is to be revoked after their restart, and the login to do it with.
    superseded: Option<(Arc<Login>, String)>,
}

async fn sync(
    tools: &Tools,
    job: &mut Job,
    spec: &VaultPkiSecretSpec,
    before: &VaultPkiSecretStatus,
) -> Result<Look, Trouble> {
    let Refers::Login(login) = &job.refers else { return Err(unreadable(&job.key, "it refers to no login")) };
    let login = login.clone()?;
    let (generation, request) = (job.object.metadata.generation, requested(job, OF_PKI)?);
    let asks = plan::Asks { generation, request: &request };
    let known = job.known.as_ref().map(|owned| &owned.resource_version);
    let untouched = job.memory.verified.as_ref().filter(|verified| known == Some(&verified.resource_version));
    let asked = is_asked(job) && before.serial_number.is_some();
    if let Some(verified) = untouched
        && !asked
        && plan::reason(spec, before, asks, Some(&verified.mac), unix()).is_none()
    {
        answered(job);
        return go_on(tools, job, spec, before).await;
    }
    let observed = secret::read(tools, job, &spec.destination).await?;
    let said = before.secret_mac.as_deref().unwrap_or_default();
    let mac = observed.as_ref().map(|secret| secret.data.mac_as(said, &tools.mac_key));
    let due = plan::reason(spec, before, asks, mac.as_deref(), unix());
    let Some(reason) = due.or_else(|| asked.then_some("ForceSync")) else {
        answered(job);
        let version = observed.map(|secret| secret.resource_version().to_owned()).unwrap_or_default();
        job.memory.verified = mac.map(|mac| Verified { resource_version: version, mac });
        return go_on(tools, job, spec, before).await;
    };
    let (status, restart) = issue(tools, job, spec, before, &login, observed.as_ref(), reason).await?;
    answered(job);
    let old = before.serial_number.clone().filter(|serial| spec.revoke && !serial.is_empty());
    let superseded = old.map(|serial| (login, serial));
    Ok(Look { status: VaultPkiSecretStatus { request_digest: Some(request), ..status }, restart, superseded })
}

/// Nothing is issued. An edit that asks for no other certificate is taken up.
async fn go_on(
    tools: &Tools,
    job: &Job,
    spec: &VaultPkiSecretSpec,
    before: &VaultPkiSecretStatus,
) -> Result<Look, Trouble> {
    let generation = job.object.metadata.generation;
    if before.last_generation != generation && (spec.revoke || spec.clear) {
        hold(tools, job).await?;
    }
    let status = VaultPkiSecretStatus { last_generation: generation, ..before.clone() };
    Ok(Look { status, restart: false, superseded: None })
}

/// A new certificate into the destination; whether workloads had another one before.
async fn issue(
    tools: &Tools,
    job: &mut Job,
    spec: &VaultPkiSecretSpec,
    before: &VaultPkiSecretStatus,
    login: &Arc<Login>,
    observed: Option<&Secret>,
    reason: &'static str,
) -> Result<(VaultPkiSecretStatus, bool), Trouble> {
    let (key, object) = (job.key.clone(), Arc::clone(&job.object));
    let generation = object.metadata.generation;
    let owner = Owner { key: &key, metadata: &object.metadata };
    let wish =
        |data| Wish { owner, destination: &spec.destination, data, respec: before.last_generation != generation };
    let blocked = |cause| Trouble::new("SecretSyncError", cause);
    // Before a certificate is issued for nothing.
    let empty = Data::default();
    destination::decide(wish(&empty), observed).map_err(blocked)?;
    if spec.revoke || spec.clear {
        hold(tools, job).await?;
    }
    let lookup = plan::lookup(&key, spec).map_err(|cause| Trouble::new("InvalidConfiguration", cause))?;
    let question =
        Question { login, namespace: spec.namespace.as_deref(), lookup: &lookup, reason: "VaultClientError" };
    let (_, response) = fetch::ask(tools, &question).await?;
    let (serial, end, data) = certificate(tools, job, spec, &lookup, &response)?;
    let change = destination::decide(wish(&data), observed).map_err(blocked)?;
    let written = secret::apply(tools, &key.namespace, &spec.destination.name, &change, &data, observed).await?;
    let mac = data.mac(&tools.mac_key);
    job.memory.verified = written.map(|resource_version| Verified { resource_version, mac: mac.clone() });
    // A certificate whose status was lost is in use all the same.
    let had = before.serial_number.as_ref().is_some_and(|serial| !serial.is_empty())
        || observed.is_some_and(|secret| secret.is_filled_by(&object.metadata.uid, &spec.destination));
    let why = if had { "SecretRotated" } else { "SecretSynced" };
    let message = format!("Secret {} holds certificate {serial} ({reason})", spec.destination.name);
    tracing::info!(object = %key, serial, reason, "a certificate is issued");
    tell_event(tools, job, &Event::normal(why, message)).await;
    secret::prune(tools, job).await;
    let status = VaultPkiSecretStatus {
        serial_number: Some(serial),
        expiration: Some(end),
        last_generation: generation,
        last_rotation: unix(),
        secret_mac: Some(mac),
        ..before.clone()
    };
    Ok((status, had && !spec.rollout_restart_targets.is_empty()))
}

/// Serial number, end in seconds since 1970, and what the Secret is to hold of an answer.
fn certificate(
    tools: &Tools,
    job: &Job,
    spec: &VaultPkiSecretSpec,
    lookup: &Lookup,
    response: &Response,
) -> Result<(String, i64, Data), Trouble> {
    let wrong = |words: String| {
        Trouble::new(
            "VaultClientError",
            Cause::new(Code::SecretShape, format!("reading the answer of {}", lookup.path), words),
        )
    };
    let (serial, end) = plan::issued(&response.data).map_err(wrong)?;
    let templated = !spec.destination.transformation.templates.is_empty()
        || !spec.destination.transformation.transformation_refs.is_empty();
    let tls = spec.destination.secret_type() == "kubernetes.io/tls";
    let fields = plan::fields(&response.data);
    let mut data =
        shape(tools, job, &spec.destination, Source { raw: Some(&response.data), fields: &fields, metadata: None })?;
    if tls && !templated {
        data.0.extend(plan::tls(&response.data).0);
    }
    if tls && !plan::is_pair(&data) {
        return Err(wrong(
            "it does not make tls.crt and tls.key, which the type kubernetes.io/tls must have".to_owned(),
        ));
    }
    Ok((serial, end, data))
}

/// Revokes a certificate. One that cannot be revoked is told of, and runs to its end.
async fn revoke(tools: &Tools, job: &Job, spec: &VaultPkiSecretSpec, login: &Arc<Login>, serial: &str) {
    let path = format!("{}/revoke", spec.mount.trim_matches('/'));
    let params = [("serial_number".to_owned(), serial.to_owned())].into();
    let lookup = Lookup { path, verb: Verb::Write, query: [].into(), params };
    let question =
        Question { login, namespace: spec.namespace.as_deref(), lookup: &lookup, reason: "CertificateRevocationError" };
    if let Err(trouble) = fetch::ask(tools, &question).await {
        tell_event(tools, job, &Event::warning(trouble.reason, trouble.cause.to_string())).await;
    }
}

/// The object goes: its certificate is revoked, a Secret that is not its own emptied, where the spec says so.
pub(super) async fn leave(tools: &Tools, job: &Job) {
    let status: VaultPkiSecretStatus = job.object.status();
    let Ok(spec) = job.object.spec::<VaultPkiSecretSpec>() else { return };
    if let (true, Refers::Login(Ok(login)), Some(serial)) = (spec.revoke, &job.refers, status.serial_number.as_deref())
    {
        revoke(tools, job, &spec, login, serial).await;
    }
    if spec.clear && !spec.destination.create {
        let path = format!(
            "/api/v1/namespaces/{}/secrets/{}?fieldManager={MANAGER}",
            job.key.namespace, spec.destination.name
        );
        let sent = tools.api.send::<IgnoredAny>(Method::PATCH, &path, MERGE, &plan::cleared()).await;
        tools.metrics.wrote("secret", sent.is_ok());
    }
}
