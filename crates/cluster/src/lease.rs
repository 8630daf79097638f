//! A Lease that one replica holds: taken, kept by taking it again, given back.
//!
//! Whether a holder is dead is told by the one who waits, by its own clock and by how long the Lease has looked the same: the
//! times in it are another machine's. (client-go's leader election does likewise.)

use std::time::Duration;

use http::Method;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use tokio::time::Instant;

use crate::api::{Api, ApiError, JSON};

/// Which Lease, and who wants it.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Where the Lease is.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// This replica's alone.
    pub identity: String,
    /// A holder that says nothing for this long has ended. One that asks for longer in the Lease gets it.
    pub term: Duration,
    /// Who the API server notes as the writer.
    pub manager: &'static str,
}

/// One replica's view of a Lease.
#[derive(Debug)]
pub struct Claim {
    terms: Terms,
    /// Somebody else's hold as it looked, since when, and how long it may look so.
    seen: Option<(String, Instant, Duration)>,
}

/// What came of trying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is ours, until the term is over or it is given back.
    Ours,
    /// Somebody else has it.
    Theirs {
        /// Who.
        holder: String,
        /// It was seen to renew, so it lives; what is seen for the first time may be what a dead one left.
        renews: bool,
    },
    /// Somebody was faster.
    Raced,
}

impl Claim {
    /// Nothing is asked yet.
    pub const fn new(terms: Terms) -> Self {
        Self { terms, seen: None }
    }

    fn all(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.terms.namespace)
    }

    fn one(&self) -> String {
        format!("{}/{}", self.all(), self.terms.name)
    }

    fn written(&self, path: &str) -> String {
        format!("{path}?fieldManager={}", self.terms.manager)
    }

    /// Takes the Lease, or keeps it.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn take(&mut self, api: &Api) -> Result<Taken, ApiError> {
        let written = match api.get::<Lease>(&self.one(), JSON).await {
            Ok(lease) => {
                if let Some(theirs) = self.theirs(&lease, Instant::now()) {
                    return Ok(theirs);
                }
                let held = self.held(lease.metadata, lease.spec);
                api.send::<Lease>(Method::PUT, &self.written(&self.one()), JSON, &held).await
            }
            Err(error) if error.is_absent() => {
                let metadata = ObjectMeta { name: Some(self.terms.name.clone()), ..ObjectMeta::default() };
                let held = self.held(metadata, None);
                api.send::<Lease>(Method::POST, &self.written(&self.all()), JSON, &held).await
            }
            Err(error) => return Err(error),
        };
        match written {
            Ok(_) => Ok(Taken::Ours),
            Err(error) if error.is_conflict() => Ok(Taken::Raced),
            Err(error) => Err(error),
        }
    }

    /// Gives it back, if it is ours, so that the next one need not wait.
    ///
    /// # Errors
    /// [`ApiError`]; it is then free when its term is over.
    pub async fn release(&self, api: &Api) -> Result<(), ApiError> {
        let mut lease = api.get::<Lease>(&self.one(), JSON).await?;
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_ref() != Some(&self.terms.identity) {
            return Ok(());
        }
        spec.holder_identity = None;
        lease.metadata.managed_fields = None;
        api.send::<Lease>(Method::PUT, &self.written(&self.one()), JSON, &lease).await.map(drop)
    }

    /// Somebody else's hold; none when the Lease may be taken.
    fn theirs(&mut self, lease: &Lease, now: Instant) -> Option<Taken> {
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        if holder.is_empty() || holder == self.terms.identity {
            self.seen = None;
            return None;
        }
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        if let Some((seen, since, term)) = &self.seen
            && *seen == version
        {
            let dead = now.saturating_duration_since(*since) >= *term;
            return (!dead).then(|| Taken::Theirs { holder: holder.to_owned(), renews: false });
        }
        let asked = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
        let term = asked.map_or(self.terms.term, Duration::from_secs).max(self.terms.term);
        let renews = self.seen.replace((version, now, term)).is_some();
        Some(Taken::Theirs { holder: holder.to_owned(), renews })
    }

    fn held(&self, mut metadata: ObjectMeta, before: Option<LeaseSpec>) -> Lease {
        metadata.managed_fields = None;
        let now = MicroTime(jiff::Timestamp::now());
        let before = before.unwrap_or_default();
        let same = before.holder_identity.as_ref() == Some(&self.terms.identity);
        let transitions = before.lease_transitions.unwrap_or(0);
        let spec = LeaseSpec {
            holder_identity: Some(self.terms.identity.clone()),
            lease_duration_seconds: i32::try_from(self.terms.term.as_secs()).ok(),
            acquire_time: if same { before.acquire_time } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(if same { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: Duration = Duration::from_secs(15);

    fn claim() -> Claim {
        let [namespace, name, identity] = ["ns", "lease", "us"].map(str::to_owned);
        Claim::new(Terms { namespace, name, identity, term: TERM, manager: "test" })
    }

    fn lease(holder: &str, version: &str, seconds: i32) -> Lease {
        let metadata = ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() };
        let (holder_identity, lease_duration_seconds) = (Some(holder.to_owned()), Some(seconds));
        Lease { metadata, spec: Some(LeaseSpec { holder_identity, lease_duration_seconds, ..LeaseSpec::default() }) }
    }

    fn theirs(renews: bool) -> Option<Taken> {
        Some(Taken::Theirs { holder: "them".to_owned(), renews })
    }

    #[test]
    fn a_holder_is_dead_once_the_lease_has_looked_the_same_for_its_term() {
        let (mut claim, begun) = (claim(), Instant::now());
        assert_eq!(claim.theirs(&lease("them", "1", 15), begun), theirs(false));
        assert_eq!(claim.theirs(&lease("them", "1", 15), begun + TERM / 2), theirs(false));
        assert_eq!(claim.theirs(&lease("them", "2", 15), begun + TERM), theirs(true), "it renewed: it lives");
        assert_eq!(claim.theirs(&lease("them", "2", 15), begun + TERM * 3 / 2), theirs(false));
        assert_eq!(claim.theirs(&lease("them", "2", 15), begun + TERM * 2), None);
    }

    #[test]
    fn a_holder_gets_the_time_it_asks_for_and_no_less_than_the_term() {
        let (mut claim, begun) = (claim(), Instant::now());
        claim.theirs(&lease("them", "1", 60), begun);
        assert_eq!(claim.theirs(&lease("them", "1", 60), begun + Duration::from_secs(59)), theirs(false));
        assert_eq!(claim.theirs(&lease("them", "1", 60), begun + Duration::from_secs(60)), None);
        claim.theirs(&lease("them", "2", -1), begun);
        assert_eq!(claim.theirs(&lease("them", "2", -1), begun + TERM / 2), theirs(false));
    }

    #[test]
    fn what_is_free_or_ours_may_be_taken_and_only_a_new_holder_is_a_transition() {
        let (mut claim, now) = (claim(), Instant::now());
        assert_eq!(claim.theirs(&lease("", "1", 15), now), None);
        assert_eq!(claim.theirs(&lease("us", "2", 15), now), None);
        let transitions = |before: Option<LeaseSpec>| {
            let held = claim.held(ObjectMeta::default(), before);
            held.spec.and_then(|spec| spec.lease_transitions)
        };
        assert_eq!(transitions(lease("us", "1", 15).spec), Some(0));
        assert_eq!(transitions(lease("them", "1", 15).spec), Some(1));
    }
}
