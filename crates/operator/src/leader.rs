//! One replica works: the holder of the Lease that a Vault Secrets Operator would hold too, so that never both act.

use std::time::Duration;

use http::Method;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use sidekey_core::{Cause, Code};
use tokio::time::{Instant, sleep};

use crate::api::{Api, ApiError, JSON, MANAGER};
use crate::jitter;

/// The Lease's name.
pub const LEASE: &str = "b0d477c0.hashicorp.com";

/// A holder that says nothing for this long has ended, as seen by the one who waits: clocks need not agree.
const TERM: Duration = Duration::from_secs(15);

/// Between two renewals.
const RENEW: Duration = Duration::from_secs(5);

/// Between two looks at somebody else's Lease.
const WAIT: Duration = Duration::from_secs(2);

/// This replica's view of the Lease.
pub struct Leader {
    api: Api,
    namespace: String,
    identity: String,
    /// Somebody else's hold as it looked, and since when.
    seen: Option<(String, Instant, Duration)>,
    told: Option<String>,
    /// A Vault Secrets Operator that was seen to renew the Lease.
    foreign: Option<String>,
}

impl Leader {
    /// `identity` must be this replica's alone.
    pub const fn new(api: Api, namespace: String, identity: String) -> Self {
        Self { api, namespace, identity, seen: None, told: None, foreign: None }
    }

    fn all(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.namespace)
    }

    /// Returns once the Lease is ours.
    ///
    /// # Errors
    /// A Vault Secrets Operator holds it, and lives. Another replica of ours is waited for.
    pub async fn won(&mut self) -> Result<(), Cause> {
        let mut failures = 0;
        loop {
            match self.take().await {
                Ok(true) => return Ok(()),
                Ok(false) => failures = 0,
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(%error, "the Lease cannot be taken yet");
                    }
                }
            }
            if let Some(holder) = &self.foreign {
                let attempted = format!("taking Lease {}/{LEASE}", self.namespace);
                let answer = format!("a Vault Secrets Operator works here: {holder} renews it");
                return Err(Cause::new(Code::ForeignOperator, attempted, answer));
            }
            sleep(jitter::around(WAIT, 0.2)).await;
        }
    }

    /// Keeps the Lease; returns when it is lost, or could not be renewed for too long to be sure.
    pub async fn lost(&mut self) {
        let mut renewed = Instant::now();
        loop {
            sleep(jitter::around(RENEW, 0.1)).await;
            match self.take().await {
                Ok(true) => renewed = Instant::now(),
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "the Lease is not renewed"),
            }
            if renewed.elapsed() >= TERM.mul_f64(2.0 / 3.0) {
                return;
            }
        }
    }

    /// Gives it back, so that the next one need not wait.
    pub async fn release(&self) {
        let Ok(mut lease) = self.api.get::<Lease>(&format!("{}/{LEASE}", self.all()), JSON).await else { return };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(self.identity.as_str()) {
            spec.holder_identity = None;
            lease.metadata.managed_fields = None;
            let path = format!("{}/{LEASE}?{MANAGER}", self.all());
            let _ = self.api.send::<Lease>(Method::PUT, &path, JSON, &lease).await;
        }
    }

    async fn take(&mut self) -> Result<bool, ApiError> {
        let one = format!("{}/{LEASE}", self.all());
        let taken = match self.api.get::<Lease>(&one, JSON).await {
            Ok(lease) if self.may_take(&lease) => {
                let held = self.held(lease.metadata, lease.spec);
                self.api.send::<Lease>(Method::PUT, &format!("{one}?{MANAGER}"), JSON, &held).await
            }
            Ok(_) => return Ok(false),
            Err(error) if error.is_absent() => {
                let metadata = ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() };
                let held = self.held(metadata, None);
                self.api.send::<Lease>(Method::POST, &format!("{}?{MANAGER}", self.all()), JSON, &held).await
            }
            Err(error) => return Err(error),
        };
        match taken {
            Ok(_) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn may_take(&mut self, lease: &Lease) -> bool {
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            self.seen = None;
            return true;
        }
        if self.told.as_deref() != Some(holder) {
            tracing::info!(
                holder,
                lease = LEASE,
                namespace = self.namespace,
                "another operator works; waiting for its Lease"
            );
            self.told = Some(holder.to_owned());
        }
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
        match &self.seen {
            Some((seen, since, term)) if *seen == version => since.elapsed() >= *term,
            before => {
                // Seen once, it may be what one that was stopped has left.
                if before.is_some() && is_foreign(holder) {
                    self.foreign = Some(holder.to_owned());
                }
                let term = seconds.map_or(TERM, Duration::from_secs).max(TERM);
                self.seen = Some((version, Instant::now(), term));
                false
            }
        }
    }

    fn held(&self, mut metadata: ObjectMeta, before: Option<LeaseSpec>) -> Lease {
        metadata.managed_fields = None;
        let now = MicroTime(jiff::Timestamp::now());
        let before = before.unwrap_or_default();
        let same = before.holder_identity.as_deref() == Some(self.identity.as_str());
        let transitions = before.lease_transitions.unwrap_or(0);
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(TERM.as_secs()).ok(),
            acquire_time: if same { before.acquire_time } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(if same { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }
}

/// Whether a holder's name is one that the library of the Vault Secrets Operator makes: a pod's name, an underscore, a uuid. No
/// pod's name has an underscore, so none of ours is.
fn is_foreign(holder: &str) -> bool {
    let is_uuid = |id: &str| id.len() == 36 && id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    holder.rsplit_once('_').is_some_and(|(_, id)| is_uuid(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_of_ours_is_told_from_a_vault_secrets_operator() {
        let foreign = "vso-controller-manager-5d8f6c7b9-x2x4z_0b5a3f4e-6c1d-4e2f-9a8b-7c6d5e4f3a2b";
        assert!(is_foreign(foreign));
        let ours = ["sidekey-operator-5c57949cfb-57btm", "operator_1", "", "sidekey-operator-0123456789abcdef"];
        assert!(!ours.iter().any(|holder| is_foreign(holder)));
    }
}
