//! What a VaultDynamicSecret needs next: new credentials, a renewal, or time.

use std::collections::BTreeMap;
use std::time::Duration;

use sidekey_core::lookup::Verb;
use sidekey_core::{Cause, Lookup, Response, Value};

use super::auth::invalid;
use super::data::{Data, MacKey, RAW};
use super::duration;
use crate::types::dynamic_secret::{SecretLease, StaticCreds, VaultDynamicSecretSpec, VaultDynamicSecretStatus};
use crate::types::object::Key;

/// Fields that change with each look at a static role's credentials without the credentials having changed.
const VOLATILE: [&str; 5] = ["ttl", "rotation_schedule", "rotation_period", "last_vault_rotation", RAW];

/// A lease's length when Vault names none that can be worked with.
const SHORTEST: u64 = 5;

/// The question to Vault.
///
/// # Errors
/// Mount or path is empty, or the method is none of Vault's.
pub fn lookup(key: &Key, spec: &VaultDynamicSecretSpec) -> Result<Lookup, Cause> {
    let (mount, path) = (spec.mount.trim_matches('/'), spec.path.trim_matches('/'));
    if mount.is_empty() || path.is_empty() {
        return Err(invalid(key, "mount and path must not be empty"));
    }
    let verb = match spec.request_http_method.as_deref().unwrap_or_default() {
        "POST" | "PUT" => Verb::Write,
        "" | "GET" if spec.params.is_empty() => Verb::Read,
        "" | "GET" => Verb::Write,
        other => return Err(invalid(key, &format!("requestHTTPMethod is {other:?}; it must be GET, POST or PUT"))),
    };
    Ok(Lookup { path: format!("{mount}/{path}"), verb, query: BTreeMap::new(), params: spec.params.clone() })
}

/// The least share of `refreshAfter` between two questions for what has no lease: at nought percent they would never cease.
const SELDOM: f64 = 0.1;

/// What is known before Vault is asked.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The spec.
    pub spec: &'a VaultDynamicSecretSpec,
    /// The status.
    pub status: &'a VaultDynamicSecretStatus,
    /// The spec's generation.
    pub generation: i64,
    /// Digest of what the spec asks for.
    pub request: &'a str,
    /// Names the login in use; a lease ends with its login.
    pub client: &'a str,
    /// The state of the destination.
    pub destination: Destination,
    /// Since the lease, or what has none, was made or renewed.
    pub age: Duration,
    /// How long a lease of another login may wait for its replacement; nothing where that login is lost.
    pub respite: Duration,
}

/// How old a status says that a lease is, in the seconds it keeps: rather too old than too young.
pub fn age(status: &VaultDynamicSecretStatus, now: i64) -> Duration {
    let seconds = u64::try_from(now.saturating_sub(status.last_renewal_time)).unwrap_or(0);
    Duration::from_secs(if seconds == 0 { 0 } else { seconds.saturating_add(1) })
}

/// The state of the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Not there.
    Absent,
    /// Somebody changed it since it was written.
    Changed,
    /// As it was written, as far as anybody knows.
    Kept,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask for credentials; why, as events have it.
    Fetch(&'static str),
    /// Renew the lease, for as long as it was first given.
    Renew(Duration),
    /// Nothing is due.
    Wait(Wait),
}

/// Until when nothing is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// At least so long, and so much longer that not all come at once.
    For(Duration, Duration),
    /// Until something changes.
    Forever,
}

impl Scene<'_> {
    /// Decides. The first reason that applies is the one that is told.
    pub fn step(&self) -> Step {
        let Self { status, .. } = self;
        let leased = !status.secret_lease.id.is_empty();
        let client = status.vault_client_meta.as_ref().and_then(|meta| meta.id.as_deref()).unwrap_or_default();
        match () {
            () if status.last_generation == 0 => Step::Fetch("InitialSync"),
            () if self.asks_otherwise() => Step::Fetch("ResourceUpdated"),
            () if self.destination == Destination::Absent => Step::Fetch("InexistentDestination"),
            () if self.destination == Destination::Changed => Step::Fetch("SecretDataDrift"),
            () if leased && client != self.client => self.orphaned(),
            () => self.in_time(leased),
        }
    }

    /// Whether the spec was edited so that what is there is not what it asks for. A status without a digest cannot tell.
    fn asks_otherwise(&self) -> bool {
        let Self { status, generation, request, .. } = self;
        status.last_generation != *generation && status.request_digest.as_deref() != Some(request)
    }

    /// The lease ends with a login that is not in use any more.
    fn orphaned(&self) -> Step {
        let left = match self.due() {
            Wait::For(left, _) => left.min(self.respite),
            Wait::Forever => Duration::ZERO,
        };
        if left.is_zero() { Step::Fetch("VaultTokenRotated") } else { Step::Wait(Wait::For(left, Duration::ZERO)) }
    }

    fn in_time(&self, leased: bool) -> Step {
        let due = self.due();
        match due {
            Wait::For(wait, _) if wait.is_zero() => match leased && self.status.secret_lease.renewable {
                true => Step::Renew(Duration::from_secs(length(&self.status.secret_lease))),
                false => Step::Fetch("SecretLeaseRenewal"),
            },
            due => Step::Wait(due),
        }
    }

    /// When the next request is due.
    fn due(&self) -> Wait {
        let Self { spec, status, age, .. } = self;
        let since = |wait: Duration| wait.saturating_sub(*age);
        let share = f64::from(spec.renewal_percent.clamp(0, 90)) / 100.0;
        if let Some(creds) = status.static_creds_meta_data.as_ref().filter(|creds| rotates(creds)) {
            let ttl = u64::try_from(creds.ttl).unwrap_or(0);
            // Half a second after Vault's own clock has done it.
            let rotation = Duration::from_secs(ttl.max(1)) + Duration::from_millis(500);
            let asked = duration::read(spec.refresh_after.as_deref()).unwrap_or(Duration::MAX);
            return Wait::For(since(rotation.min(asked)), Duration::from_millis(150));
        }
        if status.secret_lease.id.is_empty() && status.secret_lease.duration <= 0 {
            return match duration::read(spec.refresh_after.as_deref()) {
                Some(period) => Wait::For(since(period.mul_f64(share.max(SELDOM))), period.mul_f64(0.1)),
                None => Wait::Forever,
            };
        }
        let lease = Duration::from_secs(length(&status.secret_lease));
        Wait::For(since(lease.mul_f64(share)), lease.mul_f64(0.1))
    }
}

/// A Vault Secrets Operator writes the block in every status, filled with zeros where the credentials are of no static role.
fn rotates(creds: &StaticCreds) -> bool {
    creds.rotation_period >= 1 || creds.rotation_schedule.as_ref().is_some_and(|schedule| !schedule.is_empty())
}

/// Seconds.
pub(super) fn length(lease: &SecretLease) -> u64 {
    u64::try_from(lease.duration).ok().filter(|seconds| *seconds > 0).unwrap_or(SHORTEST)
}

/// The lease that a new one has replaced, when it is not to run to its own end: connections may use it.
pub fn superseded(
    spec: &VaultDynamicSecretSpec,
    before: &VaultDynamicSecretStatus,
    after: &VaultDynamicSecretStatus,
) -> Option<String> {
    let (old, new) = (&before.secret_lease.id, &after.secret_lease.id);
    (spec.revoke == Some(true) && !old.is_empty() && old != new).then(|| old.clone())
}

/// Whether a renewal gave less than was asked for: the lease's end cannot be moved further, and new credentials are due.
pub fn is_truncated(asked: Duration, got: Duration) -> bool {
    // Vault rounds to seconds.
    got + Duration::from_secs(1) < asked
}

/// A lease as the status keeps it.
pub fn lease(response: &Response) -> SecretLease {
    SecretLease {
        id: response.lease_id.clone(),
        duration: i32::try_from(response.lease_duration).unwrap_or(i32::MAX),
        renewable: response.renewable,
        request_id: response.request_id.clone(),
    }
}

/// What Vault says of a static role's credentials, when the spec allows them and the answer has them.
pub fn static_creds(spec: &VaultDynamicSecretSpec, response: &Response) -> Option<StaticCreds> {
    if spec.allow_static_creds != Some(true) || !response.lease_id.is_empty() {
        return None;
    }
    let number = |name: &str| response.data.get(name).and_then(Value::as_u64).and_then(|n| i64::try_from(n).ok());
    let rotated = response.data.get("last_vault_rotation").and_then(Value::as_text)?;
    let rotated: jiff::Timestamp = rotated.parse().ok()?;
    let schedule = response.data.get("rotation_schedule").and_then(Value::as_text).filter(|text| !text.is_empty());
    let period = number("rotation_period").unwrap_or(0);
    (period >= 1 || schedule.is_some()).then(|| StaticCreds {
        last_vault_rotation: rotated.as_second(),
        rotation_period: period,
        rotation_schedule: schedule.map(str::to_owned),
        ttl: number("ttl").unwrap_or(0),
    })
}

/// What the digest is of: all that the Secret holds; of a static role's credentials, the part that is a change when it changes.
pub fn signed(data: &Data, of_static: bool) -> Data {
    let counts = |(key, _): &(&String, _)| !of_static || !VOLATILE.contains(&key.as_str());
    Data(data.0.iter().filter(counts).map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// Whether the Secret holds something else than the status says: somebody edited it, or the status that belongs to it was lost, and
/// then nobody renews the lease of what it holds.
pub fn is_other(status: &VaultDynamicSecretStatus, data: &Data, key: &MacKey) -> bool {
    let signed = signed(data, status.static_creds_meta_data.as_ref().is_some_and(rotates));
    let said = status.secret_mac.as_deref().filter(|said| !said.is_empty());
    said.is_some_and(|said| said != signed.mac_as(said, key))
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "a table of json! reads better without ampersands")]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn step(spec: &Json, status: &Json, destination: Destination, now: i64) -> Step {
        step_after(spec, status, destination, now, Duration::ZERO)
    }

    fn step_after(spec: &Json, status: &Json, destination: Destination, now: i64, respite: Duration) -> Step {
        let mut full = json!({ "mount": "db", "path": "creds/app", "destination": { "name": "db" } });
        full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let (spec, status) = (serde_json::from_value(full).unwrap(), serde_json::from_value(status.clone()).unwrap());
        let age = Duration::from_secs(u64::try_from(now - 1000).unwrap_or(0));
        let request = "same";
        Scene { spec: &spec, status: &status, generation: 2, request, client: "c", destination, age, respite }.step()
    }

    fn leased(duration: i32, renewable: bool) -> Json {
        let lease = json!({ "id": "l", "duration": duration, "renewable": renewable, "requestID": "r" });
        json!({ "lastGeneration": 2, "lastRenewalTime": 1000, "secretLease": lease, "vaultClientMeta": { "id": "c" } })
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_reason_for_new_credentials_and_none_else() {
        let with = |key: &str, value: Json| {
            let mut status = leased(100, true);
            status[key] = value;
            status
        };
        let edited = |request: &str| {
            let mut status = with("lastGeneration", json!(1));
            status["requestDigest"] = json!(request);
            status
        };
        let kept = Destination::Kept;
        let wait = |seconds| Step::Wait(Wait::For(s(seconds), s(10)));
        let cases = [
            ("never synced", json!({}), kept, 1000, Step::Fetch("InitialSync")),
            ("spec edited", with("lastGeneration", json!(1)), kept, 1000, Step::Fetch("ResourceUpdated")),
            ("edited to ask for something else", edited("other"), kept, 1000, Step::Fetch("ResourceUpdated")),
            ("edited to ask for the same", edited("same"), kept, 1000, wait(67)),
            ("Secret deleted", leased(100, true), Destination::Absent, 1000, Step::Fetch("InexistentDestination")),
            ("Secret edited", leased(100, true), Destination::Changed, 1000, Step::Fetch("SecretDataDrift")),
            (
                "another login",
                with("vaultClientMeta", json!({ "id": "d" })),
                kept,
                1000,
                Step::Fetch("VaultTokenRotated"),
            ),
            ("fresh", leased(100, true), kept, 1000, wait(67)),
            (
                "left by a Vault Secrets Operator",
                with("staticCredsMetaData", json!({ "lastVaultRotation": 0, "rotationPeriod": 0, "ttl": 0 })),
                kept,
                1000,
                wait(67),
            ),
            ("after an operator's restart", leased(100, true), kept, 1060, wait(7)),
            ("in its window", leased(100, true), kept, 1067, Step::Renew(s(100))),
            ("long over", leased(100, true), kept, 9000, Step::Renew(s(100))),
            ("not to be renewed", leased(100, false), kept, 1067, Step::Fetch("SecretLeaseRenewal")),
        ];
        for (about, status, destination, now, want) in cases {
            assert_eq!(step(&json!({}), &status, destination, now), want, "{about}");
        }
        assert_eq!(step(&json!({ "renewalPercent": 10 }), &leased(100, true), kept, 1000), wait(10));
        assert_eq!(step(&json!({ "renewalPercent": 0 }), &leased(100, true), kept, 1000), Step::Renew(s(100)));
    }

    #[test]
    fn a_lease_of_an_earlier_login_waits_its_turn_and_never_longer_than_until_it_is_due() {
        let mut status = leased(100, true);
        status["vaultClientMeta"] = json!({ "id": "earlier" });
        let at = |now, respite| step_after(&json!({}), &status, Destination::Kept, now, s(respite));
        let wait = |seconds| Step::Wait(Wait::For(s(seconds), Duration::ZERO));
        assert_eq!([at(1000, 5), at(1065, 5)], [wait(5), wait(2)]);
        assert_eq!([at(1000, 0), at(1067, 5)], [Step::Fetch("VaultTokenRotated"); 2]);
    }

    #[test]
    fn a_parameter_makes_any_request_a_write() {
        let key = Key::new(crate::types::Kind::VaultDynamicSecret, "app", "db");
        let verb = |method: &str, params: Json| {
            let spec = json!({ "mount": "/db/", "path": "creds/app", "destination": { "name": "db" },
                "requestHTTPMethod": method, "params": params });
            lookup(&key, &serde_json::from_value(spec).unwrap())
                .map(|lookup| (lookup.verb, lookup.path, lookup.params.len()))
        };
        let (read, write) =
            (|n| Ok((Verb::Read, "db/creds/app".to_owned(), n)), |n| Ok((Verb::Write, "db/creds/app".to_owned(), n)));
        let one = || json!({ "ttl": "1h" });
        assert_eq!([verb("", json!({})), verb("GET", json!({}))], [read(0), read(0)]);
        assert_eq!([verb("POST", json!({})), verb("PUT", json!({}))], [write(0), write(0)]);
        assert_eq!(
            ["", "GET", "POST", "PUT"].map(|method| verb(method, one())),
            [write(1), write(1), write(1), write(1)]
        );
        assert!(verb("DELETE", one()).unwrap_err().to_string().contains("GET, POST or PUT"));
    }

    #[test]
    fn answers_without_a_lease_come_again_when_they_are_told_to() {
        let status = json!({ "lastGeneration": 2, "lastRenewalTime": 1000 });
        let kept = Destination::Kept;
        assert_eq!(step(&json!({}), &status, kept, 5000), Step::Wait(Wait::Forever));
        let hourly = json!({ "refreshAfter": "100s" });
        assert_eq!(step(&hourly, &status, kept, 1000), Step::Wait(Wait::For(s(67), s(10))));
        assert_eq!(step(&hourly, &status, kept, 1067), Step::Fetch("SecretLeaseRenewal"));
        for (percent, want) in [(90, 90), (50, 50), (0, 10)] {
            let told = json!({ "refreshAfter": "100s", "renewalPercent": percent });
            assert_eq!(step(&told, &status, kept, 1000), Step::Wait(Wait::For(s(want), s(10))), "{percent} %");
        }
    }

    #[test]
    fn a_static_role_is_read_right_after_vault_rotates_it() {
        let creds = json!({ "lastVaultRotation": 900, "rotationPeriod": 60, "ttl": 20 });
        let status = json!({ "lastGeneration": 2, "lastRenewalTime": 1000, "staticCredsMetaData": creds });
        let wait = |millis| Step::Wait(Wait::For(Duration::from_millis(millis), Duration::from_millis(150)));
        assert_eq!(step(&json!({}), &status, Destination::Kept, 1000), wait(20_500));
        assert_eq!(step(&json!({}), &status, Destination::Kept, 1021), Step::Fetch("SecretLeaseRenewal"));
        assert_eq!(step(&json!({ "refreshAfter": "5s" }), &status, Destination::Kept, 1000), wait(5_000));
        let creds =
            json!({ "lastVaultRotation": 900, "rotationPeriod": 0, "rotationSchedule": "0 0 * * 6", "ttl": 30 });
        let scheduled = json!({ "lastGeneration": 2, "lastRenewalTime": 1000, "staticCredsMetaData": creds });
        assert_eq!(step(&json!({}), &scheduled, Destination::Kept, 1000), wait(30_500));
        assert_eq!(step(&json!({}), &scheduled, Destination::Kept, 1031), Step::Fetch("SecretLeaseRenewal"));
    }

    #[test]
    fn an_age_in_whole_seconds_is_rather_too_old() {
        let status = VaultDynamicSecretStatus { last_renewal_time: 1000, ..Default::default() };
        let ages = [900, 1000, 1001, 1060].map(|now| age(&status, now).as_secs());
        assert_eq!(ages, [0, 0, 2, 61]);
    }

    #[test]
    fn knows_a_lease_at_its_end_and_a_static_role() {
        assert!(is_truncated(s(60), s(20)) && !is_truncated(s(60), s(60)) && !is_truncated(s(60), s(59)));
        let spec = |allow| VaultDynamicSecretSpec { allow_static_creds: Some(allow), ..Default::default() };
        let data = |json: &str| Response { data: Value::parse(json).unwrap(), ..Response::default() };
        let answer =
            data(r#"{"last_vault_rotation":"2026-01-01T00:00:00.5Z","rotation_period":60,"ttl":7,"username":"u"}"#);
        let creds = static_creds(&spec(true), &answer).unwrap();
        assert_eq!((creds.last_vault_rotation, creds.rotation_period, creds.ttl), (1_767_225_600, 60, 7));
        assert_eq!(static_creds(&spec(false), &answer), None);
        let answer = data(
            r#"{"last_vault_rotation":"2026-01-01T00:00:00Z","rotation_schedule":"0 0 * * 6","rotation_window":3600,"ttl":7}"#,
        );
        let scheduled = static_creds(&spec(true), &answer).unwrap();
        assert_eq!((scheduled.rotation_period, scheduled.rotation_schedule.as_deref()), (0, Some("0 0 * * 6")));
        assert_eq!(static_creds(&spec(true), &data(r#"{"username":"u"}"#)), None);
    }
}
