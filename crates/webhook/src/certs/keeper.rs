//! The task that keeps CA, `caBundle` and leaf right: look, decide (`plan`), act, wait.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sidekey_cluster::api::{Api, ApiError};
use sidekey_cluster::jitter;
use sidekey_cluster::lease::{Claim, Taken};
use sidekey_core::{Cause, Code};
use sidekey_runtime::readiness::Token;
use tokio::time::{Instant, sleep};

use super::authority::{Authority, AuthorityError, CaCertificate, Leaf};
use super::bundle::{self, Found};
use super::plan::{InService, LeafStep, Step, leaf_step, step};
use super::store::{Place, Store, Stored};
use super::wake::{self, Changes, Pace};
use super::{Served, Unix, unix_now};
use crate::lease;
use crate::metrics::Metrics;

/// How often the Secret and the configuration are looked at, if no watch says that they changed.
pub const POLL: Duration = Duration::from_secs(10);

/// The same, while a change waits for the Lease, and for the first [`PATIENCE`] rounds of a start.
const SOON: Duration = Duration::from_secs(1);

/// Secret and configuration are watched; without one of the watches, which a new try may bring back, they are looked at as at a
/// start for this long. It may also be that the right to watch is missing, and then it stays so.
const WATCHES: usize = 2;
const BLIND: Duration = Duration::from_secs(60);

/// Rounds after which a start is no longer in a hurry: something is missing that a person must mend.
const PATIENCE: u64 = 60;

/// Changes made in one round at most; an install needs two.
const STEPS: usize = 4;

/// Names of what is kept.
#[derive(Clone, Debug)]
pub struct Names {
    /// Our own namespace.
    pub namespace: String,
    /// The CA's Secret.
    pub secret: String,
    /// The Lease.
    pub lease: String,
    /// The `MutatingWebhookConfiguration`.
    pub configuration: String,
    /// DNS names of the leaf: those of the Service.
    pub dns: Vec<String>,
    /// This replica's own name, as the Lease's holder.
    pub identity: String,
}

/// One replica's part in it.
pub struct Keeper {
    api: Api,
    place: Place,
    claim: Claim,
    configuration: String,
    dns: Vec<String>,
    served: Arc<Served>,
    metrics: Metrics,
    ready: Option<Token>,
    remembered: Option<Store>,
    issued: Option<(Leaf, Arc<Authority>)>,
    /// The CA in service, since when it was seen in every `caBundle`.
    trusted: Option<(CaCertificate, Instant)>,
    said: Option<Cause>,
}

/// What one look at the cluster showed.
struct Look {
    stored: Stored,
    found: Result<Found, ApiError>,
}

impl Look {
    fn step(&self) -> Step {
        step(&self.stored, self.found.as_ref().ok().map(|found| &*found.entries), unix_now())
    }
}

impl Keeper {
    /// `ready` is handed back once the leaf in service is trusted; after that nothing takes it away again.
    pub fn new(api: Api, names: Names, served: Arc<Served>, ready: Token, metrics: Metrics) -> Self {
        let Names { namespace, secret, lease, configuration, dns, identity } = names;
        Self {
            api,
            claim: lease::claim(namespace.clone(), lease, identity),
            place: Place { namespace, name: secret },
            configuration,
            dns,
            served,
            metrics,
            ready: Some(ready),
            remembered: None,
            issued: None,
            trusted: None,
            said: None,
        }
    }

    /// Keeps on, for ever: a round at each change of Secret or configuration, and one now and then.
    pub async fn run(mut self) {
        let (api, metrics, changes) = (self.api.clone(), self.metrics.clone(), Changes::default());
        let (secrets, secret, configuration) = (self.place.all(), self.place.name.clone(), self.configuration.clone());
        tokio::join!(
            wake::follow(api.clone(), &secrets, &secret, &changes, &metrics),
            wake::follow(api, bundle::PATH, &configuration, &changes, &metrics),
            self.keep(&changes),
        );
    }

    async fn keep(&mut self, changes: &Changes) {
        let (mut pace, mut failures, mut unwatched) = (Pace::new(Instant::now()), 0_u32, None);
        for round in 0_u64.. {
            let settled = self.round().await;
            failures = if self.said.is_some() { failures.saturating_add(1) } else { 0 };
            let starting = self.ready.is_some() && round < PATIENCE;
            unwatched = changes.lacks(WATCHES).then(|| unwatched.unwrap_or_else(Instant::now));
            let blind = failures == 0 && unwatched.is_some_and(|since| since.elapsed() < BLIND);
            let wait = if starting || !settled || blind { SOON } else { again(failures) };
            tokio::select! {
                () = sleep(jitter::around(wait, 0.2)) => {}
                () = changes.changed.notified() => sleep(pace.wait(Instant::now())).await,
            }
        }
    }

    /// Looks, and changes what this replica may change. False when something is left to do that another look may find
    /// possible.
    pub async fn round(&mut self) -> bool {
        let outcome = self.changes().await;
        if let Err(cause) = self.leaf(unix_now()) {
            self.say(Some(cause));
            return false;
        }
        match outcome {
            Ok(settled) => {
                self.say(None);
                settled
            }
            Err(cause) => {
                self.say(Some(cause));
                true
            }
        }
    }

    async fn changes(&mut self) -> Result<bool, Cause> {
        for _ in 0..STEPS {
            let look = self.look().await?;
            match look.step() {
                Step::Rest => return look.found.map(|_| true).map_err(|error| self.failed(&error, Code::CaBundle)),
                // Whoever sees it first, from what all know: a Lease that a killed replica holds must not keep pods waiting.
                step if self.is_for_all(&step) => {
                    self.act(look).await?;
                    continue;
                }
                _ => {}
            }
            let taken = self.claim.take(&self.api).await.map_err(|error| self.failed(&error, Code::KubernetesApi))?;
            if taken != Taken::Ours {
                return Ok(false);
            }
            // Decided again under the Lease: what was seen before it may be another replica's past.
            let done = match self.look().await {
                Ok(look) => self.act(look).await,
                Err(cause) => Err(cause),
            };
            // A Lease that stays is only somebody's wait.
            if let Err(error) = self.claim.release(&self.api).await {
                tracing::debug!(%error, "the Lease was not given back");
            }
            done?;
        }
        Ok(false)
    }

    /// Whether each replica may do it, without the Lease: it invents nothing, and the API server lets one of them through.
    const fn is_for_all(&self, step: &Step) -> bool {
        match step {
            Step::Publish(_) => true,
            Step::Restore(_) => self.remembered.is_some(),
            Step::Rest | Step::Rotate(_) | Step::Prune(_) => false,
        }
    }

    /// The configuration before the Secret: one that has not changed since holds nothing newer than what the Secret says.
    async fn look(&mut self) -> Result<Look, Cause> {
        let found = bundle::read(&self.api, &self.configuration).await;
        let stored = self.place.read(&self.api).await.map_err(|error| self.failed(&error, Code::KubernetesApi))?;
        match &stored {
            Stored::Usable { store, .. } => {
                self.metrics.ca_expires(store.current.certificate().not_after);
                self.remembered = Some(store.clone());
            }
            Stored::Absent | Stored::Unusable { .. } => {}
        }
        if let (Ok(found), Some(store)) = (&found, &self.remembered) {
            let current = store.current.certificate();
            let since =
                self.trusted.take().filter(|(ca, _)| ca == current).map_or_else(Instant::now, |(_, since)| since);
            self.trusted = bundle::all_trust(&found.entries, &current.der).then(|| (current.clone(), since));
        }
        Ok(Look { stored, found })
    }

    async fn act(&mut self, look: Look) -> Result<(), Cause> {
        let next = look.step();
        let Look { stored, found } = look;
        let object = match &stored {
            Stored::Absent => None,
            Stored::Usable { object, .. } => Some(&**object),
            Stored::Unusable { object, reason } => {
                let cause =
                    Cause::new(Code::CertificateUnusable, format!("reading Secret {}", self.place.name), reason);
                tracing::error!(cause = %cause.with_fix("Nothing: it is replaced."), "the certificate in service stays");
                Some(&**object)
            }
        };
        match (next, &self.remembered) {
            (Step::Rest, _) => Ok(()),
            (Step::Restore(_), Some(store)) => self.write(object, store.clone(), "CA restored").await,
            (Step::Restore(previous), None) => self.write(object, fresh(previous)?, "CA made").await,
            (Step::Rotate(previous), _) => self.write(object, fresh(previous)?, "CA rotated").await,
            (Step::Prune(previous), Some(store)) => {
                let store = Store { previous, ..store.clone() };
                self.write(object, store, "old CA no longer trusted").await
            }
            (Step::Prune(_), None) => Ok(()),
            (Step::Publish(certificates), _) => {
                let found = found.map_err(|error| self.failed(&error, Code::CaBundle))?;
                self.publish(&found, &certificates).await
            }
        }
    }

    /// A lost race is no failure: the next look finds what is to be written now.
    async fn publish(&self, found: &Found, certificates: &[CaCertificate]) -> Result<(), Cause> {
        match bundle::publish(&self.api, &self.configuration, found, certificates).await {
            Ok(()) => {
                let certificates = certificates.len();
                tracing::info!(configuration = self.configuration, certificates, "caBundle written");
            }
            Err(error) if error.is_conflict() => {
                tracing::debug!(configuration = self.configuration, "the configuration has changed meanwhile");
            }
            Err(error) => return Err(self.failed(&error, Code::CaBundle)),
        }
        Ok(())
    }

    /// A lost race is no failure: the next look finds what the winner wrote.
    async fn write(&self, object: Option<&ObjectMeta>, store: Store, what: &'static str) -> Result<(), Cause> {
        let store = Store { rotate: false, ..store };
        let written = match object {
            Some(object) => self.place.replace(&self.api, object, &store).await,
            None => self.place.create(&self.api, &store).await,
        };
        match written {
            Ok(()) => tracing::info!(secret = self.place.name, "{what}"),
            Err(error) if error.is_conflict() => tracing::info!(secret = self.place.name, "another replica was faster"),
            Err(error) => return Err(self.failed(&error, Code::KubernetesApi)),
        }
        Ok(())
    }

    fn leaf(&mut self, now: Unix) -> Result<(), Cause> {
        let Some(store) = &self.remembered else { return Ok(()) };
        let current = store.current.certificate();
        let trusted_for = self.trusted.as_ref().filter(|(ca, _)| ca == current).map(|(_, since)| since.elapsed());
        let in_service = self.issued.as_ref();
        let in_service = in_service.map(|(leaf, ca)| InService { ca: ca.certificate(), renew_at: leaf.renew_at });
        let authority = match (leaf_step(in_service, current, trusted_for, now), &self.issued) {
            (LeafStep::Keep, _) => None,
            (LeafStep::FromOld, Some((_, old))) => Some(Arc::clone(old)),
            (LeafStep::FromOld | LeafStep::FromCurrent, _) => Some(Arc::clone(&store.current)),
        };
        if let Some(authority) = authority {
            let leaf = authority.issue(&self.dns, now).map_err(|error| unusable("making the certificate", &error))?;
            tracing::info!(expires = leaf.not_after, "certificate in service");
            self.metrics.leaf_expires(leaf.not_after);
            self.served.set(Arc::clone(&leaf.pair));
            self.issued = Some((leaf, authority));
        }
        let in_service = self.issued.as_ref().map(|(_, ca)| ca.certificate());
        let trusted = self.trusted.as_ref().map(|(ca, _)| ca);
        if in_service.is_some()
            && in_service == trusted
            && let Some(token) = self.ready.take()
        {
            token.ready();
        }
        Ok(())
    }

    fn failed(&self, error: &ApiError, code: Code) -> Cause {
        self.metrics.api_failed();
        error.cause(code)
    }

    /// Says what is wrong once, and when it is mended.
    fn say(&mut self, cause: Option<Cause>) {
        match (&cause, &self.said) {
            (Some(now), before) if before.as_ref() != Some(now) => {
                tracing::error!(cause = %now, "certificate not kept");
            }
            (None, Some(_)) => tracing::info!("certificate kept again"),
            _ => {}
        }
        self.said = cause;
    }
}

/// Till the next look after so many in a row that failed: what a change asked for must not wait for the usual one because of a
/// single answer that did not come.
fn again(failures: u32) -> Duration {
    match failures {
        0 => POLL,
        _ => SOON.saturating_mul(1 << (failures - 1).min(4)).min(POLL),
    }
}

fn fresh(previous: Vec<CaCertificate>) -> Result<Store, Cause> {
    let authority = Authority::generate(unix_now()).map_err(|error| unusable("making a CA", &error))?;
    Ok(Store { current: Arc::new(authority), previous, rotate: false })
}

fn unusable(attempted: &str, error: &AuthorityError) -> Cause {
    Cause::new(Code::CertificateUnusable, attempted, error.to_string())
}
