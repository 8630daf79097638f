//! Pods that ask for an agent and have none: created while the webhook was not asked, or by a cluster that was restored.
//!
//! list (metadata, paged) → candidates (`find`) → those the webhook is asked about (`hooks`) → the pod itself, judged as at
//! admission → Event, metric (`tell`) → eviction (`owners`).
//! Only the holder of a Lease looks, so that the API server is asked once, however many replicas there are.

mod find;
mod hooks;
mod owners;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::Value;
use sidekey_cluster::api::{Api, ApiError, JSON};
use sidekey_cluster::jitter;
use sidekey_cluster::lease::{Claim, Taken};
use sidekey_core::{Cause, Code};
use sidekey_inject::Outcome;
use sidekey_inject::settings::MissedPods;
use tokio::time::{Instant, sleep};

use self::find::{Candidate, Page};
use self::hooks::{Asked, Configuration, Labels};
use self::owners::{Owners, Pods};
use self::tell::Why;
use crate::admit::Admission;
use crate::certs::bundle;
use crate::lease;
use crate::metrics::Metrics;

/// How often the Lease is renewed, and asked for.
const BEAT: Duration = Duration::from_secs(10);

/// How often the pods are looked at, unless the webhook configuration was made anew.
const LOOK: Duration = Duration::from_secs(120);

/// Pages of one look, [`find::PAGE`] pods each.
const PAGES: usize = 400;

/// Pods judged in one look: each costs a read of the pod.
const JUDGED: usize = 200;

/// Pods evicted in one look: a cluster heals gently.
const EVICTED: usize = 5;

/// Where the watch's own things are.
#[derive(Clone, Debug)]
pub struct Names {
    /// Our own namespace.
    pub namespace: String,
    /// The Lease of who looks.
    pub lease: String,
    /// The `MutatingWebhookConfiguration`: pods that it leaves out miss nothing.
    pub configuration: String,
    /// This replica's own name, as the Lease's holder.
    pub identity: String,
}

/// Looks for missed pods, for ever.
pub struct Watch {
    api: Api,
    admission: Arc<Admission>,
    metrics: Metrics,
    names: Names,
    claim: Claim,
    /// Pods that were told about, by uid.
    told: BTreeSet<String>,
    /// Whose pods may be evicted.
    owners: Owners,
    /// The uid of the webhook configuration at the last beat.
    asked_by: Option<String>,
    /// Why the last look failed.
    said: Option<Cause>,
}

/// What one look found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Pods without the agent they ask for.
    pub missed: usize,
    /// Of these, evicted now.
    pub evicted: usize,
}

impl Watch {
    /// Looks at nothing yet.
    pub fn new(api: Api, names: Names, admission: Arc<Admission>, metrics: Metrics) -> Self {
        let claim = lease::claim(names.namespace.clone(), names.lease.clone(), names.identity.clone());
        let (told, owners) = (BTreeSet::new(), Owners::default());
        Self { api, admission, metrics, names, claim, told, owners, asked_by: None, said: None }
    }

    /// Keeps on, for ever.
    pub async fn run(mut self) {
        let mut next = Instant::now();
        loop {
            if self.admission.settings().missed_pods == MissedPods::Ignore {
                self.metrics.missed.set(0);
            } else {
                self.beat(&mut next).await;
            }
            sleep(jitter::around(BEAT, 0.2)).await;
        }
    }

    async fn beat(&mut self, next: &mut Instant) {
        let outcome = match self.claim.take(&self.api).await {
            Ok(Taken::Theirs { .. } | Taken::Raced) => {
                self.metrics.missed.set(0);
                self.said = None;
                return;
            }
            Ok(Taken::Ours) => {
                let anew = self.is_anew().await;
                if !anew && Instant::now() < *next {
                    return;
                }
                // Once more soon after: an API server may take a moment to know the new configuration.
                *next = Instant::now() + jitter::around(if anew { BEAT / 2 } else { LOOK }, 0.2);
                self.look().await.map(drop)
            }
            Err(error) => {
                *next = Instant::now() + jitter::around(LOOK, 0.2);
                Err(error)
            }
        };
        let cause = outcome.err().map(|error| error.cause(Code::KubernetesApi));
        if let Some(cause) = &cause {
            self.metrics.api_failed();
            if self.said.as_ref() != Some(cause) {
                tracing::warn!(%cause, "pods without their agent were not looked for");
            }
        }
        self.said = cause;
    }

    /// Whether the configuration is another object than at the last beat: in between, nobody asked the webhook. One that is not
    /// there is another one when it is back.
    async fn is_anew(&mut self) -> bool {
        let now: Value = match self.api.get(&self.configuration(), find::METADATA_OF_ONE).await {
            Ok(read) => read,
            Err(error) => {
                if !error.is_absent() {
                    self.metrics.api_failed();
                    tracing::debug!(%error, "the configuration was not looked at");
                }
                return false;
            }
        };
        let uid = now["metadata"]["uid"].as_str().map(str::to_owned);
        let before = std::mem::replace(&mut self.asked_by, uid);
        before.is_some() && before != self.asked_by
    }

    fn configuration(&self) -> String {
        format!("{}/{}", bundle::PATH, self.names.configuration)
    }

    /// One look at all pods.
    ///
    /// # Errors
    /// [`ApiError`] when the pods cannot be listed; one pod's own failure stops no other.
    pub async fn look(&mut self) -> Result<Found, ApiError> {
        let mut missed = Vec::new();
        for (candidate, asked) in self.candidates().await? {
            match self.judge(&candidate, asked).await {
                Ok(why) => missed.extend(why.map(|why| (candidate, why))),
                Err(error) if error.is_absent() => {}
                Err(error) => tracing::warn!(cause = %error.cause(Code::KubernetesApi), "a pod was not looked at"),
            }
        }
        let mut pods = Pods::new();
        for (candidate, why) in &missed {
            if let Some(owner) = healer(candidate, why) {
                pods.entry(owner.to_owned()).or_default().insert(candidate.uid.clone());
            }
        }
        self.owners.look(pods, Instant::now());
        let mut found = Found { missed: missed.len(), evicted: 0 };
        for (candidate, why) in &missed {
            self.tell(candidate, why).await;
            found.evicted += usize::from(found.evicted < EVICTED && self.evict(candidate, why).await);
        }
        let seen: BTreeSet<_> = missed.iter().map(|(candidate, _)| &candidate.uid).collect();
        self.told.retain(|uid| seen.contains(uid));
        self.metrics.missed.set(i64::try_from(found.missed).unwrap_or(i64::MAX));
        Ok(found)
    }

    /// Pods about which the webhook is asked, and how sure that is.
    async fn candidates(&self) -> Result<Vec<(Candidate, Asked)>, ApiError> {
        let configuration: Configuration = self.api.get(&self.configuration(), JSON).await?;
        let (mut all, mut namespaces, mut more) = (Vec::new(), BTreeMap::new(), String::new());
        for _ in 0..PAGES {
            let page: Page = self.api.get(&find::path(&more), find::METADATA).await?;
            let (candidates, next) = page.candidates(&self.names.namespace);
            for candidate in candidates {
                let Some(labels) = self.namespace(&candidate.namespace, &mut namespaces).await? else { continue };
                match configuration.asks(labels, &candidate.labels, &candidate.key) {
                    Asked::Never => {}
                    asked => all.push((candidate, asked)),
                }
                if all.len() == JUDGED {
                    return Ok(all);
                }
            }
            match next {
                Some(token) => more = token,
                None => break,
            }
        }
        Ok(all)
    }

    /// The labels of a namespace; none when it has gone.
    async fn namespace<'a>(
        &self,
        name: &str,
        known: &'a mut BTreeMap<String, Option<Labels>>,
    ) -> Result<Option<&'a Labels>, ApiError> {
        if !known.contains_key(name) {
            let labels = match self.api.get::<Value>(&format!("/api/v1/namespaces/{name}"), JSON).await {
                Ok(read) => Some(hooks::labels(&read)),
                Err(error) if error.is_absent() => None,
                Err(error) => return Err(error),
            };
            known.insert(name.to_owned(), labels);
        }
        Ok(known.get(name).and_then(Option::as_ref))
    }

    /// Why the pod has no agent; none when nothing is missing.
    async fn judge(&self, candidate: &Candidate, asked: Asked) -> Result<Option<Why>, ApiError> {
        let mut pod: Value = self.api.get(&candidate.path(), JSON).await?;
        // Whatever phase it is in now: what counts is what admission would have done.
        if let Some(fields) = pod.as_object_mut() {
            fields.remove("status");
        }
        Ok(match (self.admission.outcome(&pod, &candidate.namespace), asked) {
            (Outcome::Skip(_), _) => None,
            (Outcome::Deny { cause, .. }, _) => Some(Why::Refused(cause)),
            (Outcome::Patch(_), Asked::Perhaps(conditions)) => Some(Why::Perhaps(conditions)),
            (Outcome::Patch(_), _) => Some(Why::Unasked),
        })
    }

    /// Once for each pod.
    async fn tell(&mut self, candidate: &Candidate, why: &Why) {
        if !self.told.insert(candidate.uid.clone()) {
            return;
        }
        let left_alone = candidate.owner.as_ref().and_then(|owner| self.owners.left_alone(owner, Instant::now()));
        let cause = tell::cause(candidate, why, left_alone);
        tracing::warn!(namespace = candidate.namespace, pod = candidate.name, %cause, "not injected");
        let path = format!("/api/v1/namespaces/{}/events", candidate.namespace);
        match self.api.send::<Value>(Method::POST, &path, JSON, &tell::event(candidate, &cause)).await {
            // A conflict: another replica told of it before.
            Err(error) if !error.is_conflict() => {
                tracing::info!(cause = %error.cause(Code::KubernetesApi), "the pod has no Event that says so");
            }
            _ => {}
        }
    }

    /// Whether the pod was evicted. A disruption budget says no with 429.
    async fn evict(&mut self, candidate: &Candidate, why: &Why) -> bool {
        let Some(owner) = healer(candidate, why) else { return false };
        let now = Instant::now();
        if self.admission.settings().missed_pods != MissedPods::Evict || !self.owners.may(owner, now) {
            return false;
        }
        let (path, eviction) = (format!("{}/eviction", candidate.path()), tell::eviction(candidate));
        let (namespace, pod) = (&candidate.namespace, &candidate.name);
        match self.api.send::<Value>(Method::POST, &path, JSON, &eviction).await {
            Ok(_) => {
                tracing::info!(namespace, pod, "evicted, so that it comes back injected");
                self.owners.evicted(owner, now);
                self.metrics.evicted.inc();
                true
            }
            // It has gone, or a namesake is there.
            Err(error) if error.is_absent() || error.is_conflict() => false,
            Err(error) => {
                let (cause, seconds) = (error.cause(Code::KubernetesApi), self.owners.refused(owner, now).as_secs());
                tracing::info!(namespace, pod, %cause, seconds, "not evicted, tried again later");
                false
            }
        }
    }
}

/// The controller that creates the pod again, and with its agent, once it is evicted. A pod that admission would refuse is better
/// than none, and one that a match condition may leave out would come back as it is.
fn healer<'a>(candidate: &'a Candidate, why: &Why) -> Option<&'a str> {
    if matches!(why, Why::Unasked) { candidate.owner.as_deref() } else { None }
}
