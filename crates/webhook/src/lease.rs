//! The Leases by which one replica at a time works on what all share. While all is well none of them is written.

use std::time::Duration;

use sidekey_cluster::lease::{Claim, Terms};

/// A holder that does not let go is dead after this time.
const TERM: Duration = Duration::from_secs(30);

/// A claim on the Lease `name`; `identity` must be this replica's alone.
pub(crate) const fn claim(namespace: String, name: String, identity: String) -> Claim {
    Claim::new(Terms { namespace, name, identity, term: TERM, manager: crate::MANAGER })
}
