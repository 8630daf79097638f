//! Pods that ask for an agent and have none: created while the webhook was not asked, or by a cluster that was restored.
//!
//! list (metadata, paged) → candidates (`find`) → the pod itself, judged as at admission → Event, metric, eviction (`tell`).
//! Only the holder of a Lease looks, so that the API server is asked once, however many replicas there are.

mod find;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::Value;
use sidekey_cluster::api::{Api, ApiError, JSON};
use sidekey_cluster::jitter;
use sidekey_cluster::lease::{Claim, Taken};
use sidekey_core::{Cause, Code};
use sidekey_inject::Outcome;
use sidekey_inject::settings::MissedPods;
use tokio::time::{Instant, sleep};

use self::find::{Candidate, Page};
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
    /// The `MutatingWebhookConfiguration`: namespaces that it leaves out miss nothing.
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
        Self { api, admission, metrics, names, claim, told: BTreeSet::new(), asked_by: None, said: None }
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
        let selectors = self.selectors().await?;
        let candidates = self.candidates().await?;
        let mut namespaces = BTreeMap::new();
        let (mut found, mut seen) = (Found::default(), BTreeSet::new());
        for candidate in candidates {
            if !self.covered(&candidate.namespace, &selectors, &mut namespaces).await? {
                continue;
            }
            match self.judge(&candidate).await {
                Ok(Some(cause)) => {
                    found.missed += 1;
                    seen.insert(candidate.uid.clone());
                    found.evicted += usize::from(self.tell(&candidate, &cause, found.evicted).await);
                }
                Ok(None) => {}
                Err(error) if error.is_absent() => {}
                Err(error) => tracing::warn!(cause = %error.cause(Code::KubernetesApi), "a pod was not looked at"),
            }
        }
        self.told.retain(|uid| seen.contains(uid));
        self.metrics.missed.set(i64::try_from(found.missed).unwrap_or(i64::MAX));
        Ok(found)
    }

    async fn candidates(&self) -> Result<Vec<Candidate>, ApiError> {
        let (mut all, mut more) = (Vec::new(), String::new());
        for _ in 0..PAGES {
            let page: Page = self.api.get(&find::path(&more), find::METADATA).await?;
            let (candidates, next) = page.candidates(&self.names.namespace);
            all.extend(candidates);
            all.truncate(JUDGED);
            match next {
                Some(token) if all.len() < JUDGED => more = token,
                _ => break,
            }
        }
        Ok(all)
    }

    /// The namespace selectors of our webhook's entries.
    async fn selectors(&self) -> Result<Vec<LabelSelector>, ApiError> {
        #[derive(Deserialize)]
        struct Configuration {
            #[serde(default)]
            webhooks: Vec<Entry>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Entry {
            #[serde(default)]
            namespace_selector: LabelSelector,
        }
        let read: Configuration = self.api.get(&self.configuration(), JSON).await?;
        Ok(read.webhooks.into_iter().map(|entry| entry.namespace_selector).collect())
    }

    /// Whether the webhook is asked about pods of the namespace.
    async fn covered(
        &self,
        namespace: &str,
        selectors: &[LabelSelector],
        known: &mut BTreeMap<String, bool>,
    ) -> Result<bool, ApiError> {
        if let Some(covered) = known.get(namespace) {
            return Ok(*covered);
        }
        let read: Value = self.api.get(&format!("/api/v1/namespaces/{namespace}"), JSON).await?;
        let labels = find::labels(&read);
        let covered = selectors.iter().any(|selector| find::selects(selector, &labels));
        known.insert(namespace.to_owned(), covered);
        Ok(covered)
    }

    /// What a person should know of the pod; none when nothing is missing.
    async fn judge(&self, candidate: &Candidate) -> Result<Option<Cause>, ApiError> {
        let mut pod: Value = self.api.get(&candidate.path(), JSON).await?;
        // Whatever phase it is in now: what counts is what admission would have done.
        if let Some(fields) = pod.as_object_mut() {
            fields.remove("status");
        }
        Ok(match self.admission.outcome(&pod, &candidate.namespace) {
            Outcome::Patch(_) => Some(tell::missed(candidate)),
            Outcome::Deny { cause, .. } => Some(tell::refused(candidate, &cause)),
            Outcome::Skip(_) => None,
        })
    }

    /// Whether the pod was evicted.
    async fn tell(&mut self, candidate: &Candidate, cause: &Cause, evicted: usize) -> bool {
        if self.told.insert(candidate.uid.clone()) {
            tracing::warn!(namespace = candidate.namespace, pod = candidate.name, %cause, "not injected");
            self.post(&format!("/api/v1/namespaces/{}/events", candidate.namespace), &tell::event(candidate, cause))
                .await;
        }
        // A pod that admission would refuse is better than none.
        let heals = cause.code == Code::NotInjected && candidate.controlled;
        if !heals || evicted >= EVICTED || self.admission.settings().missed_pods != MissedPods::Evict {
            return false;
        }
        let gone = self.post(&format!("{}/eviction", candidate.path()), &tell::eviction(candidate)).await;
        if gone {
            tracing::info!(
                namespace = candidate.namespace,
                pod = candidate.name,
                "evicted, so that it comes back injected"
            );
            self.metrics.evicted.inc();
        }
        gone
    }

    /// Whether it was taken. A disruption budget says no with 429, an Event that exists with 409.
    async fn post(&self, path: &str, object: &Value) -> bool {
        match self.api.send::<Value>(Method::POST, path, JSON, object).await {
            Ok(_) => true,
            Err(error) if error.is_conflict() => false,
            Err(error) => {
                tracing::info!(cause = %error.cause(Code::KubernetesApi), "not done, tried again at the next look");
                false
            }
        }
    }
}
