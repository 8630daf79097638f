//! What ends by itself: credentials and certificates in Secrets, used for as long as they are there.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidekey_e2e::kept::{decoded, restarted};
use sidekey_e2e::vault::Mount;
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, api, audit, command, sandbox, setting};

/// The claim's duration and its attempts: one each second.
const SECONDS: u64 = 240;

/// As a manual has it: the lease cannot be extended, the token lives two minutes at a time, and the user is never dropped, so
/// that only PostgreSQL's own end of the role shows a credential that was kept too long.
#[test]
fn no_login_fails_with_a_lease_at_its_maximum_under_a_periodic_token() {
    let kept = database("op-db-fixed", &json!({"max_ttl": "1m", "revocation_statements": ["SELECT 1"]}));
    let mut role = sandbox::role(&kept.sandbox.namespace);
    (role["token_period"], role["token_ttl"]) = (json!("2m"), json!(0));
    kept.sandbox.role(&role);
    let (users, workload) = logins_hold(&kept);
    // A new one each 40 to 46 s.
    assert!((5..=8).contains(&users), "{users} credentials in {SECONDS} s");
    assert!(restarted(&workload).is_some(), "new credentials restart");
}

#[test]
fn no_login_fails_with_a_lease_of_one_minute_that_renews_to_three() {
    let kept = database("op-db-renew", &json!({}));
    let (users, _) = logins_hold(&kept);
    // Replaced when a renewal is cut short, so within the second minute before its end.
    assert!((2..=4).contains(&users), "{users} credentials in {SECONDS} s");
}

/// A policy that grants only `read` on the creds path, and the object that reads it.
fn database(name: &str, role: &Value) -> Kept {
    let kept = Kept::new(name);
    kept.sandbox.grant(&format!("path \"database/creds/{}\" {{ capabilities = [\"read\"] }}", kept.sandbox.namespace));
    kept.sandbox.database(role);
    kept
}

/// Each second reads the Secret and logs in with what it holds, once. How many users were seen, and the workload's path.
fn logins_hold(kept: &Kept) -> (usize, String) {
    let workload = kept.workload("deployments", "app");
    kept.dynamic_secret("db", &json!({"rolloutRestartTargets": [{"kind": "Deployment", "name": "app"}]}));
    kept.ready("vaultdynamicsecrets", "db", "True");
    let (begun, mut attempts, mut failures, mut users) = (Instant::now(), 0, Vec::new(), BTreeSet::new());
    while begun.elapsed() < seconds(SECONDS) {
        attempts += 1;
        let secret = api::get(&kept.secret_path("db")).json();
        let user = decoded(&secret, "username");
        if let Err(words) = log_in(&user, &decoded(&secret, "password")) {
            failures.push(format!("at {:?} as {user}: {words}", begun.elapsed()));
        }
        users.insert(user);
        sleep((begun + Duration::from_secs(attempts)).saturating_duration_since(Instant::now()));
    }
    println!("{}: {attempts} logins of {} users, {} failed", kept.sandbox.namespace, users.len(), failures.len());
    assert!(failures.is_empty(), "{failures:?}");
    assert!(attempts >= SECONDS * 9 / 10, "fewer attempts than planned: {attempts}");
    let issued = audit::count(&audit::of(&kept.sandbox.namespace, ""), "database/creds/");
    assert!(issued <= users.len() + 1, "{issued} leases for {} users", users.len());
    (users.len(), workload)
}

fn log_in(user: &str, password: &str) -> Result<(), String> {
    let (host, port) = setting().postgres.rsplit_once(':').expect("host:port");
    let address = format!("postgresql://{host}:{port}/postgres?user={user}&password={password}&connect_timeout=5");
    let done = command::run("psql", &["-tAqc", "select 1", &address], "");
    if done.ok { Ok(()) } else { Err(done.err) }
}

#[test]
fn a_certificate_is_replaced_strictly_before_its_end_and_the_old_one_is_revoked() {
    let kept = Kept::new("op-pki");
    let namespace = kept.sandbox.namespace.clone();
    let mount = Mount::pki(&namespace);
    kept.sandbox.grant(&format!(
        "path \"{0}/issue/web\" {{ capabilities = [\"update\"] }}\npath \"{0}/revoke\" {{ capabilities = [\"update\"] }}",
        mount.0
    ));
    let workload = kept.workload("deployments", "web");
    let spec = json!({"mount": mount.0, "role": "web", "commonName": "web.example.com", "ttl": "40s", "expiryOffset": "15s",
        "revoke": true, "rolloutRestartTargets": [{"kind": "Deployment", "name": "web"}]});
    let destination = json!({"destination": {"name": "tls", "create": true, "type": "kubernetes.io/tls"}});
    kept.secret("vaultpkisecrets", "VaultPKISecret", "tls", &spec, &destination);
    kept.ready("vaultpkisecrets", "tls", "True");
    assert_eq!(restarted(&workload), None, "the first certificate restarts nobody");
    let (begun, mut looks, mut serials) = (Instant::now(), 0, Vec::new());
    while begun.elapsed() < seconds(90) {
        let secret = api::get(&kept.secret_path("tls")).json();
        let certificate = decoded(&secret, "tls.crt");
        // With some seconds left at any time: an app needs time to take a new one.
        let left = command::run("openssl", &["x509", "-noout", "-checkend", "5"], &certificate);
        assert!(left.ok, "at {:?}: {}{}", begun.elapsed(), left.out, left.err);
        assert!(decoded(&secret, "ca.crt").contains("BEGIN CERTIFICATE") && !decoded(&secret, "tls.key").is_empty());
        let serial = kept.get("vaultpkisecrets", "tls")["status"]["serialNumber"].clone();
        if serials.last() != Some(&serial) {
            serials.push(serial);
        }
        looks += 1;
        sleep(seconds(1));
    }
    println!("{namespace}: {looks} looks, {} certificates", serials.len());
    assert!((4..=6).contains(&serials.len()), "{serials:?}");
    assert!(restarted(&workload).is_some());
    let old = serials[0].as_str().expect("a serial number");
    until(seconds(20), "revoked: the first certificate", || {
        let answer = sandbox::vault().request("GET", &format!("{}/cert/{old}", mount.0), None).json();
        let revoked = answer["data"]["revocation_time"].as_u64().unwrap_or_default() > 0;
        if revoked { Ok(()) } else { Err(answer["data"]["revocation_time"].to_string()) }
    });
}
