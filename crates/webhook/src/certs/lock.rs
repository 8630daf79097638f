//! A Lease as a lock around one change: taken when there is something to do, given back after it. No replica writes to the
//! API while all is well.

use std::time::Duration;

use http::Method;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use tokio::time::Instant;

use crate::api::{Api, ApiError, JSON};

/// A holder that does not let go is dead after this time, as seen by the one who waits: clocks need not agree.
const HELD_AT_MOST: Duration = Duration::from_secs(30);

/// One replica's view of the Lease.
#[derive(Debug)]
pub struct Lock {
    namespace: String,
    name: String,
    identity: String,
    /// Somebody else's hold, and since when it has looked the same.
    seen: Option<(String, Instant)>,
}

/// The lock is ours.
#[derive(Debug)]
#[must_use = "release it"]
pub struct Held(Box<Lease>);

impl Lock {
    /// `identity` must be this replica's alone.
    pub const fn new(namespace: String, name: String, identity: String) -> Self {
        Self { namespace, name, identity, seen: None }
    }

    fn all(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.namespace)
    }

    fn one(&self) -> String {
        format!("{}/{}", self.all(), self.name)
    }

    /// Takes the lock; none when somebody else has it or was faster.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn acquire(&mut self, api: &Api) -> Result<Option<Held>, ApiError> {
        let taken = match api.get::<Lease>(&self.one(), JSON).await {
            Ok(lease) if self.may_take(&lease) => {
                api.send(Method::PUT, &self.one(), JSON, &self.held(lease.metadata, lease.spec)).await
            }
            Ok(_) => return Ok(None),
            Err(error) if error.is_absent() => {
                let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                api.send(Method::POST, &self.all(), JSON, &self.held(metadata, None)).await
            }
            Err(error) => return Err(error),
        };
        match taken {
            Ok(lease) => Ok(Some(Held(Box::new(lease)))),
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives the lock back. A failure is only somebody's wait.
    pub async fn release(&self, api: &Api, Held(mut lease): Held) {
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        lease.metadata.managed_fields = None;
        if let Err(error) = api.send::<Lease>(Method::PUT, &self.one(), JSON, &lease).await {
            tracing::debug!(%error, "the Lease was not given back");
        }
    }

    fn may_take(&mut self, lease: &Lease) -> bool {
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            self.seen = None;
            return true;
        }
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        match &self.seen {
            Some((seen, since)) if *seen == version => since.elapsed() >= HELD_AT_MOST,
            _ => {
                self.seen = Some((version, Instant::now()));
                false
            }
        }
    }

    fn held(&self, mut metadata: ObjectMeta, before: Option<LeaseSpec>) -> Lease {
        metadata.managed_fields = None;
        let now = MicroTime(jiff::Timestamp::now());
        let (holder, taken, transitions) =
            before.map_or((None, None, None), |spec| (spec.holder_identity, spec.acquire_time, spec.lease_transitions));
        let again = holder.as_ref() == Some(&self.identity);
        let transitions = transitions.unwrap_or(0).saturating_add(i32::from(!again));
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(HELD_AT_MOST.as_secs()).ok(),
            acquire_time: taken.filter(|_| again).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }
}
