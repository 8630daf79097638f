//! For how long an answer holds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Response, Value};

/// How long a token lives, from a login's answer (`auth`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenTerms {
    /// `lease_duration`; zero never expires.
    pub ttl: Duration,
    /// Whether `renew-self` may extend it. Whether it does, and how far, only renewals tell.
    pub renewable: bool,
    /// `num_uses`; `None` for any number (Vault sends 0).
    pub uses: Option<u64>,
    /// `token_type` is `batch`: cannot be renewed or revoked.
    pub batch: bool,
}

/// How long a secret holds, from the answer to its lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseTerms {
    /// No end: KV, lists, anything without a lease. Looked at again at the static interval, or at `hint` if that is sooner
    /// (KV v1's `lease_duration`).
    Static {
        /// Zero and absent are one.
        hint: Option<Duration>,
    },
    /// A lease of Vault's, which dies with the token that asked for it.
    Lease {
        /// For `sys/leases/renew`; never to be logged.
        id: String,
        /// `lease_duration`.
        ttl: Duration,
        /// Whether it may be renewed at all.
        renewable: bool,
    },
    /// A password that Vault changes in place (static roles of the database and LDAP engines).
    Rotating {
        /// Until the next rotation, whole seconds, rounded down by Vault.
        ttl: Duration,
    },
    /// Ends by itself, without a lease: a certificate (`expiration`), an `AppRole` secret id (`secret_id_ttl`), a token of its own.
    Expiring {
        /// What is left.
        ttl: Duration,
    },
}

impl LeaseTerms {
    /// Reads the terms off an answer; `unix_now` is the wall clock in seconds, as a certificate's `expiration` is.
    pub fn of(response: &Response, unix_now: u64) -> Self {
        let ttl = Duration::from_secs(response.lease_duration);
        if !response.lease_id.is_empty() && !ttl.is_zero() {
            return Self::Lease { id: response.lease_id.clone(), ttl, renewable: response.renewable };
        }
        // A token that the answer brings ends by itself: what it was asked for is asked again before that.
        if let Some(left) = response.auth.get("lease_duration").and_then(Value::as_u64).filter(|left| *left > 0) {
            return Self::Expiring { ttl: Duration::from_secs(left) };
        }
        // KV v1 always has a duration, so a user's own `ttl` or `certificate` field is never mistaken for terms.
        if !ttl.is_zero() {
            return Self::Static { hint: Some(ttl) };
        }
        Self::of_data(&response.data, unix_now).unwrap_or(Self::Static { hint: None })
    }

    fn of_data(data: &Value, unix_now: u64) -> Option<Self> {
        let seconds = |key| data.get(key).and_then(Value::as_u64);
        if data.get("rotation_period").or_else(|| data.get("rotation_schedule")).is_some() {
            return seconds("ttl").map(|ttl| Self::Rotating { ttl: Duration::from_secs(ttl) });
        }
        if data.get("certificate").is_some() {
            let left = seconds("expiration")?.saturating_sub(unix_now);
            return Some(Self::Expiring { ttl: Duration::from_secs(left) });
        }
        data.get("secret_id")?;
        let ttl = seconds("secret_id_ttl").filter(|ttl| *ttl > 0)?;
        Some(Self::Expiring { ttl: Duration::from_secs(ttl) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(lease_id: &str, lease_duration: u64, data: &str) -> LeaseTerms {
        let data = Value::parse(data).unwrap();
        let response =
            Response { lease_id: lease_id.to_owned(), lease_duration, renewable: true, data, ..Response::default() };
        LeaseTerms::of(&response, 1_800_000_000)
    }

    #[test]
    fn takes_a_token_that_an_answer_brings_for_what_ends_by_itself() {
        let auth = Value::parse(r#"{"client_token": "hvs.x", "lease_duration": 60, "renewable": true}"#).unwrap();
        let response = Response { auth, ..Response::default() };
        assert_eq!(LeaseTerms::of(&response, 0), LeaseTerms::Expiring { ttl: Duration::from_secs(60) });
        let auth = Value::parse(r#"{"client_token": "hvs.root", "lease_duration": 0}"#).unwrap();
        let response = Response { auth, ..Response::default() };
        assert_eq!(LeaseTerms::of(&response, 0), LeaseTerms::Static { hint: None });
    }

    #[test]
    fn reads_the_terms_off_each_kind_of_answer() {
        let secs = Duration::from_secs;
        let constant = LeaseTerms::Static { hint: None };
        let leased = LeaseTerms::Lease { id: "db/1".to_owned(), ttl: secs(60), renewable: true };
        let kv2 = r#"{"data": {"ttl": 5, "certificate": "x", "expiration": 1}, "metadata": {"version": 1, "created_time": "t"}}"#;
        let kv1 = r#"{"ttl": "5", "rotation_period": 9, "certificate": "x", "expiration": 1}"#;
        let cases = [
            ("db/1", 60, r#"{"username": "u"}"#, leased.clone()),
            ("db/1", 60, r#"{"certificate": "x", "expiration": 1800009999}"#, leased),
            ("", 0, kv2, constant.clone()),
            ("", 2_764_800, kv1, LeaseTerms::Static { hint: Some(secs(2_764_800)) }),
            ("", 0, r#"{"ttl": 30, "rotation_period": 86400}"#, LeaseTerms::Rotating { ttl: secs(30) }),
            ("", 0, r#"{"ttl": 0, "rotation_schedule": "* * * * *"}"#, LeaseTerms::Rotating { ttl: secs(0) }),
            ("", 0, r#"{"rotation_period": 86400}"#, constant.clone()),
            ("", 0, r#"{"certificate": "x", "expiration": 1800000100}"#, LeaseTerms::Expiring { ttl: secs(100) }),
            ("", 0, r#"{"certificate": "x", "expiration": "1"}"#, LeaseTerms::Expiring { ttl: secs(0) }),
            ("", 0, r#"{"certificate": "x"}"#, constant.clone()),
            ("", 0, r#"{"secret_id": "s", "secret_id_ttl": 600}"#, LeaseTerms::Expiring { ttl: secs(600) }),
            ("", 0, r#"{"secret_id": "s", "secret_id_ttl": 0}"#, constant.clone()),
            ("", 0, r#"{"keys": ["a"]}"#, constant.clone()),
            ("odd", 0, r#"{"a": 1}"#, constant),
        ];
        for (lease_id, duration, data, want) in cases {
            assert_eq!(terms(lease_id, duration, data), want, "{data}");
        }
    }
}
