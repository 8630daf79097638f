//! VaultDynamicSecret: credentials with a lease, renewed and replaced before their end; and those that Vault rotates.

use std::time::Duration;

use sidekey_vault::Class;
use tokio::time::Instant;

use super::fetch::{self, Question};
use super::rollout::Round;
use super::{
    Done, Job, Next, Refers, Tools, Verified, answered, hold, is_asked, now, requested, rollout, secret, shape, tell,
    tell_event, unix, unreadable, write_status,
};
use crate::plan::data::Data;
use crate::plan::destination::{self, Change, Owner, Wish};
use crate::plan::dynamic_secret::{self as plan, Destination, Scene, Step, Wait};
use crate::plan::outcome::{self, Event, Trouble};
use crate::plan::remark;
use crate::plan::request::OF_DYNAMIC;
use crate::plan::respite::{self, Earlier};
use crate::plan::storage::Persistence;
use crate::plan::transformation::Source;
use crate::sessions::Session;
use crate::types::condition::{Verdict, merge};
use crate::types::dynamic_secret::{VaultDynamicSecretSpec, VaultDynamicSecretStatus};
use crate::types::object::Object;
use crate::types::static_secret::ClientMeta;

/// The lease was renewed, or is at its end.
const RENEWAL: &str = "SecretLeaseRenewal";
/// Vault did not renew it.
const UNRENEWED: &str = "SecretLeaseRenewalError";

/// What came of a renewal.
enum Renewed {
    /// It lives as long as it was first given for.
    Kept { renewable: bool },
    /// It cannot be extended any further.
    AtEnd,
    /// Vault's words.
    Refused(String),
}

/// What the object became.
struct Look {
    status: VaultDynamicSecretStatus,
    verdicts: Vec<Verdict>,
    wait: Wait,
    /// Whether workloads were given something else than the Secret holds now.
    restart: bool,
    /// A lease that the Secret holds no more, and a login that may revoke it.
    superseded: Option<(Session, String)>,
}

pub(super) async fn look(tools: &Tools, mut job: Job) -> Done {
    let before: VaultDynamicSecretStatus = job.object.status();
    let spec = job.object.spec::<VaultDynamicSecretSpec>().map_err(|words| unreadable(&job.key, &words));
    let outcome = match &spec {
        Ok(spec) => sync(tools, &mut job, spec, &before).await,
        Err(trouble) => Err(trouble.clone()),
    };
    tell(tools, &mut job, outcome.as_ref().err()).await;
    let (look, next) = match outcome {
        Ok(mut look) => {
            if let Ok(spec) = &spec {
                outcome::remark(&mut look.verdicts, &remark::of_dynamic(spec));
            }
            let next = next(look.wait);
            (look, next)
        }
        Err(trouble) => {
            let mut verdicts = outcome::sync(Some(&trouble));
            verdicts.extend((trouble.reason == UNRENEWED).then(|| lease(Some(&trouble.cause.to_string()))));
            let (status, wait) = (before.clone(), Wait::Forever);
            (Look { status, verdicts, wait, restart: false, superseded: None }, Next::Retry)
        }
    };
    let settled = settle(tools, &mut job, spec.ok().as_ref(), &before, look).await;
    let well = next != Next::Retry && settled.is_ok();
    let Settled { object, owes } = settled.unwrap_or_default();
    Done::new(job, if well { next } else { Next::Retry }, well, object).owing(owes)
}

/// What there is to hand on.
#[derive(Default)]
struct Settled {
    object: Option<Object>,
    owes: bool,
}

/// Says what was done, and restarts who must be. The status comes first, since nobody would renew a lease that is in no status; the
/// restart stands in it until it was asked for, and is asked for by a later look if this one ends early.
async fn settle(
    tools: &Tools,
    job: &mut Job,
    spec: Option<&VaultDynamicSecretSpec>,
    before: &VaultDynamicSecretStatus,
    look: Look,
) -> Result<Settled, Trouble> {
    let Look { status: mut after, mut verdicts, restart, superseded, .. } = look;
    let news = restart || outcome::owes(&before.conditions);
    if news {
        verdicts.push(outcome::owed());
    }
    let generation = job.object.metadata.generation;
    after.conditions = merge(&before.conditions, &verdicts, generation, &now());
    // Without a status the Secret is not known to be right.
    let written = write_status(tools, job, before, &after).await.inspect_err(|_| job.memory.verified = None)?;
    let round = match spec {
        Some(spec) => rollout::round(tools, job, &spec.rollout_restart_targets, &before.restarts_owed, news).await,
        None => None,
    };
    // Workloads that nobody restarts, or could restart, have the credentials of before.
    if let Some((session, lease)) = superseded.filter(|_| round.as_ref().is_some_and(Round::is_done)) {
        revoke(tools, job, &session, &lease).await;
    }
    let Some(Round { verdict, owed }) = round else {
        let owes = !after.restarts_owed.is_empty();
        return Ok(Settled { object: written, owes });
    };
    let conditions = merge(&after.conditions, &[verdict], generation, &now());
    let restarted = VaultDynamicSecretStatus { conditions, restarts_owed: owed, ..after.clone() };
    let object = write_status(tools, job, &after, &restarted).await?.or(written);
    Ok(Settled { object, owes: !restarted.restarts_owed.is_empty() })
}

fn next(wait: Wait) -> Next {
    match wait {
        Wait::For(base, more) => {
            let base = base.max(Duration::from_millis(100));
            Next::After(base, (1.0, 1.0 + more.as_secs_f64() / base.as_secs_f64()))
        }
        Wait::Forever => Next::Never,
    }
}

async fn sync(
    tools: &Tools,
    job: &mut Job,
    spec: &VaultDynamicSecretSpec,
    before: &VaultDynamicSecretStatus,
) -> Result<Look, Trouble> {
    let Refers::Login(login) = &job.refers else { return Err(unreadable(&job.key, "it refers to no login")) };
    let login = login.clone()?;
    let session = tools.sessions.acquire(&login, spec.namespace.as_deref()).await?;
    let destination = observe(tools, job, spec, before).await?;
    let (generation, request) = (job.object.metadata.generation, requested(job, OF_DYNAMIC)?);
    let (age, respite) = (age(job, before), respite(tools, job, before, &session));
    let (client, request) = (session.id.as_str(), request.as_str());
    let scene = Scene { spec, status: before, generation, request, client, destination, age, respite };
    let step = if is_asked(job) && before.last_generation != 0 { Step::Fetch("ForceSync") } else { scene.step() };
    let begun = Instant::now();
    let (reason, refusal) = match step {
        Step::Fetch(reason) => (reason, None),
        Step::Renew(asked) => match renew(tools, job, &session, before, asked).await? {
            Renewed::Kept { renewable } => {
                let mut look = go_on(tools, job, &scene, Wait::Forever).await?;
                look.status.last_renewal_time = unix();
                look.status.secret_lease.renewable = renewable;
                look.status.request_digest = Some(request.to_owned());
                look.verdicts.push(lease(None));
                begin(job, &look.status, begun);
                look.wait = waiting(&Scene { status: &look.status, age: begun.elapsed(), ..scene });
                return Ok(look);
            }
            Renewed::AtEnd => (RENEWAL, None),
            Renewed::Refused(words) => (RENEWAL, Some(words)),
        },
        Step::Wait(wait) => {
            answered(job);
            return go_on(tools, job, &scene, wait).await;
        }
    };
    let lookup = plan::lookup(&job.key, spec).map_err(|cause| Trouble::new("InvalidConfiguration", cause))?;
    let namespace = spec.namespace.as_deref();
    let question = Question { login: &login, namespace, lookup: &lookup, reason: "SecretSyncError" };
    if spec.revoke != Some(false) {
        hold(tools, job).await?;
    }
    let mut status = VaultDynamicSecretStatus { request_digest: Some(request.to_owned()), ..before.clone() };
    let (session, restart) = replace(tools, job, &question, spec, &mut status, reason).await?;
    answered(job);
    status.vault_client_meta =
        Some(ClientMeta { cache_key: Some(session.cache_key.clone()), id: Some(session.id.clone()) });
    let age = self::age(job, &status);
    let fresh = Scene { status: &status, client: &session.id, destination: Destination::Kept, age, ..scene };
    let wait = waiting(&fresh);
    let ended = reason == RENEWAL && refusal.is_none();
    let superseded = plan::superseded(spec, before, &status).filter(|_| !ended).map(|lease| (session, lease));
    let mut verdicts = outcome::sync(None);
    verdicts.extend(refusal.map(|words| lease(Some(&words))));
    Ok(Look { verdicts, wait, status, restart, superseded })
}

/// Nothing is asked for anew. An edit that asks for nothing else is taken up.
async fn go_on(tools: &Tools, job: &Job, scene: &Scene<'_>, wait: Wait) -> Result<Look, Trouble> {
    let edited = scene.status.last_generation != scene.generation;
    if edited && scene.spec.revoke != Some(false) {
        hold(tools, job).await?;
    }
    let status = VaultDynamicSecretStatus { last_generation: scene.generation, ..scene.status.clone() };
    Ok(Look { verdicts: outcome::sync(None), wait, status, restart: false, superseded: None })
}

/// How long a lease may wait that belongs to another login than the one in use.
fn respite(tools: &Tools, job: &mut Job, status: &VaultDynamicSecretStatus, session: &Session) -> Duration {
    let (earlier, in_trouble) = (earlier(tools, job, status, session), job.memory.code.is_some());
    let respite = respite::respite(&job.key, &status.secret_lease, earlier, in_trouble);
    if respite.is_zero() {
        return respite;
    }
    let now = Instant::now();
    job.memory.respite.get_or_insert(now + respite).saturating_duration_since(now)
}

/// Of the logins that are not in use any more, one that was edited lives on, and so does one of an earlier process of ours. One that is
/// kept and not taken up, one that ended under this process, and one of a Vault Secrets Operator may be gone.
fn earlier(tools: &Tools, job: &Job, status: &VaultDynamicSecretStatus, session: &Session) -> Earlier {
    let client = status.vault_client_meta.as_ref().and_then(|meta| meta.id.as_deref()).unwrap_or_default();
    let unkept = tools.persistence == Persistence::None && status.request_digest.is_some();
    match session.before.iter().find(|(id, _)| **id == *client) {
        Some((_, ttl)) => Earlier::Edited(*ttl),
        _ if job.memory.begun.is_none() && unkept => Earlier::Left(session.ttl),
        _ => Earlier::Lost,
    }
}

/// Notes when the lease of a status began.
fn begin(job: &mut Job, status: &VaultDynamicSecretStatus, at: Instant) {
    job.memory.respite = None;
    job.memory.begun = Some((status.secret_lease.id.clone(), at));
}

fn age(job: &Job, status: &VaultDynamicSecretStatus) -> Duration {
    match &job.memory.begun {
        Some((lease, begun)) if *lease == status.secret_lease.id => begun.elapsed(),
        _ => plan::age(status, unix()),
    }
}

/// After a success nothing is due at once, whatever the lease says: at the least a second passes.
fn waiting(scene: &Scene<'_>) -> Wait {
    match scene.step() {
        Step::Wait(wait) => wait,
        Step::Fetch(_) | Step::Renew(_) => Wait::For(Duration::from_secs(1), Duration::from_millis(500)),
    }
}

/// Whether the lease was renewed; in Vault's words why it was not.
fn lease(refusal: Option<&str>) -> Verdict {
    let (holds, reason, words) = match refusal {
        None => (true, RENEWAL, "The lease was renewed."),
        Some(words) => (false, UNRENEWED, words),
    };
    Verdict::new("LeaseRenewal", holds, reason, words)
}

/// The destination, read only when its version is not the one that was left behind.
async fn observe(
    tools: &Tools,
    job: &mut Job,
    spec: &VaultDynamicSecretSpec,
    status: &VaultDynamicSecretStatus,
) -> Result<Destination, Trouble> {
    let known = job.known.as_ref().map(|owned| owned.resource_version.clone());
    if known.is_some() && known == job.memory.verified.as_ref().map(|verified| verified.resource_version.clone()) {
        return Ok(Destination::Kept);
    }
    let Some(found) = secret::read(tools, job, &spec.destination).await? else {
        return Ok(Destination::Absent);
    };
    let mac = found.data.mac(&tools.mac_key);
    let changed = match &job.memory.verified {
        Some(verified) => verified.mac != mac,
        None => plan::is_other(status, &found.data, &tools.mac_key),
    };
    if changed {
        return Ok(Destination::Changed);
    }
    job.memory.verified = Some(Verified { resource_version: found.resource_version().to_owned(), mac });
    Ok(Destination::Kept)
}

/// Renews. Vault being away is no reason for new credentials: the lease lives.
async fn renew(
    tools: &Tools,
    job: &Job,
    session: &Session,
    status: &VaultDynamicSecretStatus,
    asked: Duration,
) -> Result<Renewed, Trouble> {
    let begun = std::time::Instant::now();
    let done = session.client.renew_lease(&session.token, &status.secret_lease.id, Some(asked)).await;
    if let Refers::Login(Ok(login)) = &job.refers {
        tools.metrics.client("renew", &login.connection.key, begun.elapsed(), done.is_ok());
    }
    let error = match done {
        Ok(renewal) if plan::is_truncated(asked, renewal.ttl) => return Ok(Renewed::AtEnd),
        Ok(renewal) => return Ok(Renewed::Kept { renewable: renewal.renewable }),
        Err(error) => error,
    };
    let cause = sidekey_vault::diagnose::transport(&error, session.client.server());
    match error.class {
        Class::InvalidToken => tools.sessions.dead(session).await,
        Class::Missing | Class::Denied | Class::BadRequest => {}
        _ => return Err(Trouble::new(UNRENEWED, cause)),
    }
    Ok(Renewed::Refused(cause.to_string()))
}

/// New credentials into the destination; whether workloads had others before.
async fn replace(
    tools: &Tools,
    job: &mut Job,
    question: &Question<'_>,
    spec: &VaultDynamicSecretSpec,
    status: &mut VaultDynamicSecretStatus,
    reason: &'static str,
) -> Result<(Session, bool), Trouble> {
    let namespace = job.key.namespace.clone();
    let name = &spec.destination.name;
    let observed = secret::read(tools, job, &spec.destination).await?;
    // Before credentials are made: a destination that cannot be written would leave one lease behind at each try.
    let respec = status.last_generation != job.object.metadata.generation;
    let (key, object) = (job.key.clone(), std::sync::Arc::clone(&job.object));
    let owner = Owner { key: &key, metadata: &object.metadata };
    let empty = Data::default();
    let wish = |data| Wish { owner, destination: &spec.destination, data, respec };
    let blocked = |cause| Trouble::new("SecretSyncError", cause);
    destination::decide(wish(&empty), observed.as_ref()).map_err(blocked)?;
    let begun = Instant::now();
    let (session, response) = fetch::ask(tools, question).await?;
    let source = Source { raw: Some(&response.data), fields: &response.data, metadata: response.data.get("metadata") };
    let data = shape(tools, job, &spec.destination, source)?;
    let creds = plan::static_creds(spec, &response);
    let signed = plan::signed(&data, creds.is_some());
    let mac = signed.mac(&tools.mac_key);
    // Credentials whose first status was lost are in use all the same.
    let filled = observed.as_ref().filter(|secret| secret.is_filled_by(&object.metadata.uid, &spec.destination));
    let unsaid = filled.filter(|_| status.last_generation == 0);
    let given = unsaid.map(|secret| plan::signed(&secret.data, creds.is_some()).mac(&tools.mac_key));
    let had = status.last_generation != 0 || unsaid.is_some();
    let given = given.as_ref().or(status.secret_mac.as_ref());
    let same = creds.is_some() && given.is_some_and(|said| *said == signed.mac_as(said, &tools.mac_key));
    let settled = same && observed.is_some() && reason == "SecretLeaseRenewal";
    let change = match settled {
        true => Change::Nothing,
        false => destination::decide(wish(&data), observed.as_ref()).map_err(blocked)?,
    };
    let written = secret::apply(tools, &namespace, name, &change, &data, observed.as_ref()).await?;
    if let Some(resource_version) = written {
        job.memory.verified = Some(Verified { resource_version, mac: data.mac(&tools.mac_key) });
        let why = if had && !same { "SecretRotated" } else { "SecretSynced" };
        tracing::info!(object = %job.key, secret = name, reason, "the Secret is written");
        tell_event(tools, job, &Event::normal(why, format!("Secret {name} is written ({reason})"))).await;
    }
    secret::prune(tools, job).await;
    status.last_renewal_time = unix();
    status.last_generation = job.object.metadata.generation;
    status.secret_lease = plan::lease(&response);
    status.static_creds_meta_data = creds;
    begin(job, status, begun);
    status.secret_mac = Some(mac);
    Ok((session, had && !same && !spec.rollout_restart_targets.is_empty()))
}

/// The object goes: so does its lease, if that can be done now.
pub(super) async fn leave(tools: &Tools, job: &Job) {
    let status: VaultDynamicSecretStatus = job.object.status();
    let Ok(spec) = job.object.spec::<VaultDynamicSecretSpec>() else { return };
    if spec.revoke == Some(false) || status.secret_lease.id.is_empty() {
        return;
    }
    let session = match &job.refers {
        Refers::Login(Ok(login)) => tools.sessions.acquire(login, spec.namespace.as_deref()).await,
        Refers::Login(Err(trouble)) => Err(trouble.clone()),
        _ => return,
    };
    let session = match session {
        Ok(session) => session,
        Err(Trouble { cause, .. }) => {
            return tracing::info!(object = %job.key, %cause, "the lease is left to its end");
        }
    };
    revoke(tools, job, &session, &status.secret_lease.id).await;
}

/// Revokes a lease. One that cannot be revoked now is left to its end.
async fn revoke(tools: &Tools, job: &Job, session: &Session, lease: &str) {
    match session.client.revoke_lease(&session.token, lease).await {
        Ok(()) => tell_event(tools, job, &Event::normal("SecretLeaseRevoke", "The lease is revoked")).await,
        Err(error) => tracing::info!(object = %job.key, class = ?error.class, "the lease is left to its end"),
    }
}
