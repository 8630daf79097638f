//! VaultStaticSecret: read, compare, write, restart, say so.

use std::sync::Arc;

use sidekey_core::Value;

use super::fetch::{self, Question};
use super::{
    Done, Job, Next, Refers, Tools, Verified, now, poll, rollout, secret, shape, tell, tell_event, unreadable,
    write_status,
};
use crate::plan::auth::Login;
use crate::plan::data::{self, Data};
use crate::plan::destination::Change;
use crate::plan::outcome::{self, Event, Trouble};
use crate::plan::remark;
use crate::plan::static_secret::{self as plan, Scene};
use crate::plan::transformation::Source;
use crate::types::condition::Verdict;
use crate::types::destination::RestartTarget;
use crate::types::static_secret::{ClientMeta, VaultStaticSecretSpec, VaultStaticSecretStatus};

/// VSO looks again after 80 to 90 % of the period; so do we.
const EARLY: (f64, f64) = (0.8, 0.9);

/// The reason of what was taken away with its source.
const GONE: &str = "SourceDeleted";

/// What a sync came to.
struct Synced {
    verdicts: Vec<Verdict>,
    mac: Option<String>,
    client: ClientMeta,
    /// Workloads whose restart is to be tried again.
    owed: Vec<RestartTarget>,
}

pub(super) async fn look(tools: &Tools, mut job: Job) -> Done {
    let status: VaultStaticSecretStatus = job.object.status();
    let spec = job.object.spec::<VaultStaticSecretSpec>().map_err(|words| unreadable(&job.key, &words));
    let mut outcome = match &spec {
        Ok(spec) => sync(tools, &mut job, spec, &status).await,
        Err(trouble) => Err(trouble.clone()),
    };
    if let (Ok(Synced { verdicts, .. }), Ok(spec)) = (&mut outcome, &spec) {
        outcome::remark(verdicts, &remark::of(spec));
    }
    tell(tools, &mut job, outcome.as_ref().err()).await;
    let generation = job.object.metadata.generation;
    let after = match (&outcome, &spec) {
        (Ok(Synced { verdicts, mac, client, owed }), Ok(spec)) => {
            let empty = Data::default();
            let scene = scene(tools, &job, spec, &status, &empty);
            scene.succeeded(mac.clone(), verdicts, owed.clone(), client.clone(), &now())
        }
        (Err(trouble), _) | (_, Err(trouble)) => {
            plan::failed(&status, &outcome::sync(Some(trouble)), generation, &now())
        }
    };
    let written = write_status(tools, &job, &status, &after).await;
    let well = outcome.is_ok() && written.is_ok();
    let next = match (well, spec.ok().and_then(|spec| plan::period(&spec))) {
        (false, _) => Next::Retry,
        (true, Some(period)) if let Some(turn) = job.turn => Next::Together(period, turn.of),
        (true, Some(period)) => Next::After(period, EARLY),
        (true, None) => Next::Never,
    };
    Done::new(job, next, well, written.unwrap_or_default()).owing(!after.restarts_owed.is_empty())
}

fn scene<'a>(
    tools: &'a Tools,
    job: &'a Job,
    spec: &'a VaultStaticSecretSpec,
    status: &'a VaultStaticSecretStatus,
    data: &'a Data,
) -> Scene<'a> {
    Scene { key: &job.key, metadata: &job.object.metadata, spec, status, data, mac_key: &tools.mac_key }
}

async fn sync(
    tools: &Tools,
    job: &mut Job,
    spec: &VaultStaticSecretSpec,
    status: &VaultStaticSecretStatus,
) -> Result<Synced, Trouble> {
    let invalid = |cause| Trouble::new("VaultStaticSecretError", cause);
    let lookup = plan::lookup(&job.key, spec).map_err(invalid)?;
    let Refers::Login(login) = &job.refers else { return Err(unreadable(&job.key, "it refers to no login")) };
    let login = login.clone()?;
    let question =
        Question { login: &login, namespace: spec.namespace.as_deref(), lookup: &lookup, reason: "VaultClientError" };
    let empty = Data::default();
    let before = job.memory.verified.as_ref().map(|verified| verified.mac.clone());
    if let Some(digest) = before.filter(|digest| is_untouched(job, &scene(tools, job, spec, status, &empty), digest))
        && let Some(session) = poll::unchanged(tools, job, &login, spec).await
    {
        let client = ClientMeta { cache_key: Some(session.cache_key), id: Some(session.id) };
        let (verdicts, mac) = (outcome::sync(None), plan::watches_drift(spec).then_some(digest));
        return Ok(Synced { verdicts, mac, client, owed: status.restarts_owed.clone() });
    }
    job.memory.seen = None;
    let answer = match fetch::together(tools, &question, job.turn).await {
        Err(trouble) if plan::goes(spec, status, trouble.cause.code) => {
            return withdraw(tools, job, spec, status).await;
        }
        answer => answer?,
    };
    let (session, response) = &*answer;
    let metadata = response.data.get("metadata").filter(|_| response.is_kv2());
    let joined = join(tools, job, &login, spec, response.user_data()).await?;
    let source = Source {
        raw: Some(&response.data).filter(|_| joined.is_none()),
        fields: joined.as_ref().unwrap_or_else(|| response.user_data()),
        metadata: response.data.get("metadata"),
    };
    let data = shape(tools, job, &spec.destination, source)?;
    let client = ClientMeta { cache_key: Some(session.cache_key.clone()), id: Some(session.id.clone()) };
    let scene = scene(tools, job, spec, status, &data);
    let Settled { verdicts, mac, owed, verified } = settle(tools, job, &scene).await?;
    job.memory.verified = verified;
    poll::note(tools, job, spec, metadata);
    Ok(Synced { verdicts, mac, client, owed })
}

/// The source is deleted, and what was made of it is to go with it. Its digest stays: workloads restart when there are other data,
/// not when there are the same again.
async fn withdraw(
    tools: &Tools,
    job: &mut Job,
    spec: &VaultStaticSecretSpec,
    status: &VaultStaticSecretStatus,
) -> Result<Synced, Trouble> {
    job.memory.verified = None;
    let name = &spec.destination.name;
    if secret::withdraw(tools, job, &spec.destination).await? {
        tracing::info!(object = %job.key, secret = name, "the source is deleted, and what was made of it is taken away");
        tell_event(
            tools,
            job,
            &Event::normal(GONE, format!("Secret {name} holds nothing of the deleted source any more")),
        )
        .await;
    }
    let words = "The source is deleted in Vault, and what was made of it is taken away.";
    let mut verdicts = outcome::health(None, words);
    verdicts.push(Verdict::new(outcome::SYNCED, true, GONE, words));
    let client = status.vault_client_meta.clone().unwrap_or_default();
    Ok(Synced { verdicts, mac: status.secret_mac.clone(), client, owed: Vec::new() })
}

/// The fields of all sources together; none where there is but one.
async fn join(
    tools: &Tools,
    job: &Job,
    login: &Arc<Login>,
    spec: &VaultStaticSecretSpec,
    first: &Value,
) -> Result<Option<Value>, Trouble> {
    if spec.sources.is_empty() {
        return Ok(None);
    }
    let mut fields = first.as_map().cloned().unwrap_or_default();
    for source in &spec.sources {
        let lookup = plan::further(&job.key, source).map_err(|cause| Trouble::new("VaultStaticSecretError", cause))?;
        let own = source.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        let namespace = own.or(spec.namespace.as_deref());
        let question = Question { login, namespace, lookup: &lookup, reason: "VaultClientError" };
        let answer = fetch::together(tools, &question, job.turn).await?;
        let prefix = source.prefix.as_deref().unwrap_or_default();
        data::join(&mut fields, &lookup.path, answer.1.user_data(), prefix)
            .map_err(|cause| Trouble::new("SecretDataBuilderError", cause))?;
    }
    Ok(Some(Value::Map(fields)))
}

/// What the destination, and who takes from it, came to.
struct Settled {
    verdicts: Vec<Verdict>,
    mac: Option<String>,
    owed: Vec<RestartTarget>,
    verified: Option<Verified>,
}

/// Brings the destination to the data, and restarts who must be.
async fn settle(tools: &Tools, job: &Job, scene: &Scene<'_>) -> Result<Settled, Trouble> {
    let digest = scene.data.mac(scene.mac_key);
    let mut verdicts = outcome::sync(None);
    let mac = plan::watches_drift(scene.spec).then(|| digest.clone());
    if is_untouched(job, scene, &digest) {
        let (owed, verified) = (scene.status.restarts_owed.clone(), job.memory.verified.clone());
        return Ok(Settled { verdicts, mac, owed, verified });
    }
    let name = &scene.spec.destination.name;
    let observed = secret::read(tools, job, &scene.spec.destination).await?;
    let plan = scene.plan(observed.as_ref()).map_err(|cause| Trouble::new("SecretSyncError", cause))?;
    let written = secret::apply(tools, &job.key.namespace, name, &plan.change, scene.data, observed.as_ref()).await?;
    if !matches!(plan.change, Change::Nothing) {
        tracing::info!(object = %job.key, secret = name, reason = plan.reason, "the Secret is written");
        tell_event(tools, job, &Event::normal(plan.reason, format!("Secret {name} is written"))).await;
    }
    secret::prune(tools, job).await;
    let (named, mut owed) = (&scene.spec.rollout_restart_targets, scene.status.restarts_owed.clone());
    if let Some(round) = rollout::round(tools, job, named, &owed, plan.restart).await {
        verdicts.push(round.verdict);
        owed = round.owed;
    }
    let resource_version = written.or_else(|| observed.map(|secret| secret.resource_version().to_owned()));
    let verified = resource_version.map(|resource_version| Verified { resource_version, mac: digest });
    Ok(Settled { verdicts, mac: plan.mac, owed, verified })
}

/// Whether the Secret is, by its version, the one that was right at the last look, and is to hold the same.
fn is_untouched(job: &Job, scene: &Scene<'_>, digest: &str) -> bool {
    let known = job.known.as_ref().map(|owned| owned.resource_version.as_str());
    let Some(verified) = &job.memory.verified else { return false };
    let synced = !plan::watches_drift(scene.spec) || scene.status.secret_mac.as_deref() == Some(digest);
    synced
        && (scene.status.restarts_owed.is_empty() || !rollout::is_due(job))
        && !scene.respec()
        && job.strays.is_empty()
        && known == Some(verified.resource_version.as_str())
        && verified.mac == digest
}
