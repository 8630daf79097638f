//! What Vault grants: tokens, renewals, and what it says of itself. Every field is optional on the wire: OpenBao leaves
//! some out that Vault sends.

use std::time::Duration;

use sidekey_core::{Sensitive, Value};

/// A login's result. No `Debug`: it holds the token.
#[derive(Clone)]
pub struct Grant {
    /// The Vault token.
    pub token: Sensitive<String>,
    /// Names the token without being it; safe to log. Empty for batch tokens.
    pub accessor: String,
    /// Zero means that it never expires.
    pub ttl: Duration,
    /// Whether renew-self may extend it.
    pub renewable: bool,
    /// How many requests it is good for; `None` is any number.
    pub uses: Option<u64>,
    /// Batch tokens can neither be renewed nor revoked.
    pub batch: bool,
    /// Every policy on the token, the identity's too.
    pub policies: Vec<String>,
}

impl Grant {
    /// Of a token that was there before.
    pub(crate) fn of_token(token: &Sensitive<String>, info: TokenInfo) -> Self {
        let TokenInfo { ttl, renewable, uses, batch, policies, accessor, .. } = info;
        Self { token: token.clone(), accessor, ttl, renewable, uses, batch, policies }
    }

    /// Whether the token may look itself up, by the policy that Vault gives to whoever does not refuse it.
    pub fn has_default(&self) -> bool {
        self.policies.iter().any(|policy| policy == "default")
    }

    /// From the whole answer of a login, as somebody kept it; `None` without a token in it.
    pub fn of_answer(answer: &str) -> Option<Self> {
        Value::parse(answer).ok()?.get("auth").and_then(Self::read)
    }

    /// From the `auth` object; `None` without a token in it.
    pub(crate) fn read(auth: &Value) -> Option<Self> {
        let token = auth.get("client_token").and_then(Value::as_text).filter(|token| !token.is_empty())?;
        Some(Self {
            token: Sensitive::from(token),
            accessor: text(auth, "accessor"),
            ttl: seconds(auth, "lease_duration"),
            renewable: flag(auth, "renewable"),
            uses: auth.get("num_uses").and_then(Value::as_u64).filter(|uses| *uses > 0),
            batch: text(auth, "token_type") == "batch",
            policies: texts(auth, "policies").or_else(|| texts(auth, "token_policies")).unwrap_or_default(),
        })
    }
}

/// What a renewal of a token or of a lease granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// From now; less than asked for when a maximum is near.
    pub ttl: Duration,
    /// Whether it may be renewed again.
    pub renewable: bool,
}

/// What `auth/token/lookup-self` says, without the token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenInfo {
    /// Left from now; zero means that it never expires.
    pub ttl: Duration,
    /// The TTL it was made with.
    pub creation_ttl: Duration,
    /// Hard maximum of the token's whole life, if it has one.
    pub explicit_max_ttl: Option<Duration>,
    /// Renewals reach this far, without end, if it is a periodic token.
    pub period: Option<Duration>,
    /// Whether renew-self may extend it.
    pub renewable: bool,
    /// Requests left; `None` is any number.
    pub uses: Option<u64>,
    /// Batch tokens can neither be renewed nor revoked.
    pub batch: bool,
    /// Policies of the token and of its identity.
    pub policies: Vec<String>,
    /// Names the token without being it.
    pub accessor: String,
}

impl TokenInfo {
    pub(crate) fn read(data: &Value) -> Self {
        let some_seconds = |key| Some(seconds(data, key)).filter(|duration| !duration.is_zero());
        let mut policies = texts(data, "policies").unwrap_or_default();
        policies.extend(texts(data, "identity_policies").unwrap_or_default());
        Self {
            ttl: seconds(data, "ttl"),
            creation_ttl: seconds(data, "creation_ttl"),
            explicit_max_ttl: some_seconds("explicit_max_ttl"),
            period: some_seconds("period"),
            renewable: flag(data, "renewable"),
            uses: data.get("num_uses").and_then(Value::as_u64).filter(|uses| *uses > 0),
            batch: text(data, "type") == "batch",
            policies,
            accessor: text(data, "accessor"),
        }
    }
}

/// What `sys/health` says; needs no token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether the store holds a Vault at all.
    pub initialized: bool,
    /// Whether the keys are out of memory.
    pub sealed: bool,
    /// Whether this node waits for the active one to fail.
    pub standby: bool,
    /// The server's version, such as `1.21.0`.
    pub version: String,
    /// The server's clock, Unix seconds; zero when it does not say.
    pub server_time: u64,
}

impl Health {
    pub(crate) fn read(body: &Value) -> Self {
        Self {
            initialized: flag(body, "initialized"),
            sealed: flag(body, "sealed"),
            standby: flag(body, "standby") || flag(body, "performance_standby"),
            version: text(body, "version"),
            server_time: body.get("server_time_utc").and_then(Value::as_u64).unwrap_or_default(),
        }
    }
}

pub(crate) fn text(object: &Value, key: &str) -> String {
    object.get(key).and_then(Value::as_text).unwrap_or_default().to_owned()
}

pub(crate) fn texts(object: &Value, key: &str) -> Option<Vec<String>> {
    match object.get(key)? {
        Value::List(items) => Some(items.iter().filter_map(Value::as_text).map(str::to_owned).collect()),
        _ => None,
    }
}

pub(crate) fn flag(object: &Value, key: &str) -> bool {
    matches!(object.get(key), Some(Value::Bool(true)))
}

pub(crate) fn seconds(object: &Value, key: &str) -> Duration {
    Duration::from_secs(object.get(key).and_then(Value::as_u64).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::parse(json).unwrap()
    }

    #[test]
    fn reads_a_full_grant_and_one_that_leaves_almost_all_out() {
        let full = Grant::read(&value(
            r#"{"client_token":"hvs.x","accessor":"a","policies":["default","web"],"token_policies":["web"],
                "lease_duration":3600,"renewable":true,"token_type":"service","num_uses":0,"orphan":true}"#,
        ))
        .unwrap();
        assert_eq!((full.token.expose().as_str(), full.ttl.as_secs(), full.renewable), ("hvs.x", 3600, true));
        assert_eq!((full.uses, full.batch, full.policies.len()), (None, false, 2));

        let sparse = Grant::read(&value(r#"{"client_token":"b.x","token_type":"batch","num_uses":3}"#)).unwrap();
        assert_eq!((sparse.uses, sparse.batch, sparse.renewable, sparse.policies.len()), (Some(3), true, false, 0));
    }

    #[test]
    fn refuses_a_grant_without_a_token() {
        assert!(Grant::read(&value(r#"{"accessor":"a"}"#)).is_none());
        assert!(Grant::read(&value(r#"{"client_token":""}"#)).is_none());
        assert!(Grant::read(&Value::Null).is_none());
    }

    #[test]
    fn reads_a_periodic_token_and_drops_zeroes() {
        let info = TokenInfo::read(&value(
            r#"{"ttl":100,"creation_ttl":120,"explicit_max_ttl":0,"period":120,"renewable":true,"num_uses":0,
                "type":"service","policies":["default"],"identity_policies":["team"],"expire_time":null}"#,
        ));
        assert_eq!((info.period, info.explicit_max_ttl, info.uses), (Some(Duration::from_secs(120)), None, None));
        assert_eq!(info.policies, ["default", "team"]);
    }

    #[test]
    fn reads_health_without_the_fields_openbao_leaves_out() {
        let health = Health::read(&value(r#"{"initialized":true,"sealed":false,"standby":true,"version":"2.4.0"}"#));
        assert_eq!((health.initialized, health.sealed, health.standby, health.server_time), (true, false, true, 0));
    }
}
