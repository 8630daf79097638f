//! VaultDynamicSecret: credentials with a lease, renewed and replaced before their end; and those that Vault rotates.

use std::time::Duration;

use sidekey_vault::Class;
use tokio::time::Instant;

use super::fetch::{self, Question};
use super::{
    Done, Job, Next, Refers, Tools, Verified, answered, hold, is_asked, now, secret, shape, tell, tell_event, unix,
    unreadable, write_status,
};
use crate::plan::data::Data;
use crate::plan::destination::{self, Change, Owner, Wish};
use crate::plan::dynamic_secret::{self as plan, Destination, Scene, Step, Wait};
use crate::plan::outcome::{self, Event, Trouble};
use crate::plan::transformation::Source;
use crate::sessions::Session;
use crate::types::condition::{Verdict, merge};
use crate::types::dynamic_secret::{VaultDynamicSecretSpec, VaultDynamicSecretStatus};
use crate::types::object::Object;
use crate::types::static_secret::ClientMeta;

/// What the object became.
struct Look {
    status: VaultDynamicSecretStatus,
    verdicts: Vec<Verdict>,
    wait: Wait,
    /// Whether workloads were given something else than the Secret holds now.
    restart: bool,
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
        Ok(look) => {
            let next = next(look.wait);
            (look, next)
        }
        Err(trouble) => {
            let verdicts = outcome::sync(Some(&trouble));
            (Look { status: before.clone(), verdicts, wait: Wait::Forever, restart: false }, Next::Retry)
        }
    };
    let written = settle(tools, &mut job, spec.ok().as_ref(), &before, look).await;
    let well = next != Next::Retry && written.is_ok();
    Done::new(job, if well { next } else { Next::Retry }, well, written.unwrap_or_default())
}

/// Says what was done, and restarts who must be. The status comes first, since nobody would renew a lease that is in no status; the
/// restart stands in it until it was asked for, and is asked for by a later look if this one ends early.
async fn settle(
    tools: &Tools,
    job: &mut Job,
    spec: Option<&VaultDynamicSecretSpec>,
    before: &VaultDynamicSecretStatus,
    look: Look,
) -> Result<Option<Object>, Trouble> {
    let Look { status: mut after, mut verdicts, restart, .. } = look;
    let owed = restart || outcome::owes(&before.conditions);
    if owed {
        verdicts.push(outcome::owed());
    }
    let generation = job.object.metadata.generation;
    after.conditions = merge(&before.conditions, &verdicts, generation, &now());
    // Without a status the Secret is not known to be right.
    let written = write_status(tools, job, before, &after).await.inspect_err(|_| job.memory.verified = None)?;
    let Some(spec) = spec.filter(|_| owed) else { return Ok(written) };
    let verdict = secret::restart(tools, job, &spec.rollout_restart_targets).await;
    let conditions = merge(&after.conditions, &[verdict], generation, &now());
    let restarted = VaultDynamicSecretStatus { conditions, ..after.clone() };
    Ok(write_status(tools, job, &after, &restarted).await?.or(written))
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
    let generation = job.object.metadata.generation;
    let old = age(job, before);
    let mut scene = Scene { spec, status: before, generation, client: &session.id, destination, age: old };
    let mut status = before.clone();
    let begun = Instant::now();
    let step = if is_asked(job) && before.last_generation != 0 { Step::Fetch("ForceSync") } else { scene.step() };
    let reason = match step {
        Step::Fetch(reason) => reason,
        Step::Renew(asked) => match renew(tools, job, &session, before, asked).await? {
            None => "SecretLeaseRenewal",
            Some(renewed) => {
                status.last_renewal_time = unix();
                status.secret_lease.renewable = renewed;
                begin(job, &status, begun);
                (scene.status, scene.age) = (&status, begun.elapsed());
                let wait = waiting(&scene);
                return Ok(Look { verdicts: verdicts(None), wait, status, restart: false });
            }
        },
        Step::Wait(wait) => {
            answered(job);
            return Ok(Look { verdicts: outcome::sync(None), wait, status, restart: false });
        }
    };
    let question = Question {
        login: &login,
        namespace: spec.namespace.as_deref(),
        lookup: &plan::lookup(&job.key, spec).map_err(|cause| Trouble::new("InvalidConfiguration", cause))?,
        reason: "SecretSyncError",
    };
    if spec.revoke != Some(false) {
        hold(tools, job).await?;
    }
    let (session, restart) = replace(tools, job, &question, spec, &mut status, reason).await?;
    answered(job);
    status.vault_client_meta =
        Some(ClientMeta { cache_key: Some(session.cache_key.clone()), id: Some(session.id.clone()) });
    let scene =
        Scene { status: &status, client: &session.id, destination: Destination::Kept, age: age(job, &status), ..scene };
    let wait = waiting(&scene);
    Ok(Look { verdicts: outcome::sync(None), wait, status, restart })
}

/// Notes when the lease of a status began.
fn begin(job: &mut Job, status: &VaultDynamicSecretStatus, at: Instant) {
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

fn verdicts(renewal: Option<&str>) -> Vec<Verdict> {
    let mut verdicts = outcome::sync(None);
    let (holds, reason, words) = match renewal {
        None => (true, "SecretLeaseRenewal", "The lease was renewed."),
        Some(words) => (false, "SecretLeaseRenewalError", words),
    };
    verdicts.push(Verdict::new("LeaseRenewal", holds, reason, words));
    verdicts
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

/// Renews; none when new credentials are due in its place. Vault being away is no reason for those: the lease lives.
async fn renew(
    tools: &Tools,
    job: &Job,
    session: &Session,
    status: &VaultDynamicSecretStatus,
    asked: Duration,
) -> Result<Option<bool>, Trouble> {
    let begun = std::time::Instant::now();
    let done = session.client.renew_lease(&session.token, &status.secret_lease.id, Some(asked)).await;
    if let Refers::Login(Ok(login)) = &job.refers {
        tools.metrics.client("renew", &login.connection.key, begun.elapsed(), done.is_ok());
    }
    match done {
        Ok(renewal) if !plan::is_truncated(asked, renewal.ttl) => Ok(Some(renewal.renewable)),
        Ok(_) => Ok(None),
        Err(error) if error.class == Class::InvalidToken => {
            tools.sessions.dead(session).await;
            Ok(None)
        }
        Err(error) if matches!(error.class, Class::Missing | Class::Denied | Class::BadRequest) => Ok(None),
        Err(error) => {
            let cause = sidekey_vault::diagnose::transport(&error, session.client.server());
            Err(Trouble::new("SecretLeaseRenewalError", cause))
        }
    }
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
    let mac = plan::mac(&data, creds.is_some(), &tools.mac_key);
    // Credentials whose first status was lost are in use all the same.
    let filled = observed.as_ref().filter(|secret| secret.is_filled_by(&object.metadata.uid, &spec.destination));
    let unsaid = filled.filter(|_| status.last_generation == 0);
    let given = unsaid.map(|secret| plan::mac(&secret.data, creds.is_some(), &tools.mac_key));
    let had = status.last_generation != 0 || unsaid.is_some();
    let same = creds.is_some() && given.as_ref().or(status.secret_mac.as_ref()) == Some(&mac);
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
    let revoked = session.client.revoke_lease(&session.token, &status.secret_lease.id).await;
    match revoked {
        Ok(()) => tell_event(tools, job, &Event::normal("SecretLeaseRevoke", "The lease is revoked")).await,
        Err(error) => tracing::info!(object = %job.key, class = ?error.class, "the lease is left to its end"),
    }
}
