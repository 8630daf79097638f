//! One replica works: the holder of the Lease that a Vault Secrets Operator would hold too, so that never both act.

use std::time::Duration;

use sidekey_cluster::api::{Api, ApiError};
use sidekey_cluster::jitter;
use sidekey_cluster::lease::{Claim, Taken, Terms};
use sidekey_core::{Cause, Code};
use tokio::time::{Instant, sleep};

use crate::MANAGER;

/// The Lease's name.
pub const LEASE: &str = "b0d477c0.hashicorp.com";

/// A holder that says nothing for this long has ended.
const TERM: Duration = Duration::from_secs(15);

/// Between two renewals.
const RENEW: Duration = Duration::from_secs(5);

/// Between two looks at somebody else's Lease.
const WAIT: Duration = Duration::from_secs(2);

/// This replica's part in it.
pub struct Leader {
    api: Api,
    namespace: String,
    claim: Claim,
    /// Whose hold was told about.
    told: Option<String>,
    /// A Vault Secrets Operator that was seen to renew the Lease.
    foreign: Option<String>,
}

impl Leader {
    /// `identity` must be this replica's alone.
    pub fn new(api: Api, namespace: String, identity: String) -> Self {
        let (name, manager) = (LEASE.to_owned(), MANAGER);
        let claim = Claim::new(Terms { namespace: namespace.clone(), name, identity, term: TERM, manager });
        Self { api, namespace, claim, told: None, foreign: None }
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
        if let Err(error) = self.claim.release(&self.api).await {
            tracing::debug!(%error, "the Lease was not given back");
        }
    }

    async fn take(&mut self) -> Result<bool, ApiError> {
        let (holder, renews) = match self.claim.take(&self.api).await? {
            Taken::Ours => return Ok(true),
            Taken::Raced => return Ok(false),
            Taken::Theirs { holder, renews } => (holder, renews),
        };
        if self.told.as_ref() != Some(&holder) {
            let namespace = &self.namespace;
            tracing::info!(holder, lease = LEASE, namespace, "another operator works; waiting for its Lease");
        }
        if renews && is_foreign(&holder) {
            self.foreign = Some(holder.clone());
        }
        self.told = Some(holder);
        Ok(false)
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
