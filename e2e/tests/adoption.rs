//! Objects of a Vault Secrets Operator, taken over: nothing is written, logged in to, issued or restarted that would not have been
//! without the change of operators. Each test takes the operator away meanwhile, so none runs beside another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::thread::sleep;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sidekey_e2e::kept::restarted;
use sidekey_e2e::manuals::transit;
use sidekey_e2e::operator::Away;
use sidekey_e2e::vault::Mount;
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, api, audit, legacy, sandbox};

const STATIC: (&str, &str) = ("vaultstaticsecrets", "VaultStaticSecret");
const DYNAMIC: (&str, &str) = ("vaultdynamicsecrets", "VaultDynamicSecret");
const PKI: (&str, &str) = ("vaultpkisecrets", "VaultPKISecret");

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

/// Version of the Secret, and when the Deployment `web` was last restarted.
fn seen(kept: &Kept, secret: &str, workload: &str) -> (Value, Option<String>) {
    (api::get(&kept.secret_path(secret)).json()["metadata"]["resourceVersion"].clone(), restarted(workload))
}

fn targets() -> Value {
    json!([{"kind": "Deployment", "name": "web"}])
}

#[test]
fn a_static_secret_is_taken_over_without_a_write_and_without_a_restart() {
    let kept = Kept::new("op-adopt");
    let workload = kept.workload("deployments", "web");
    let away = Away::new();
    kept.sandbox.put("web", &json!({"user": "app"}));
    let destination = json!({"name": "web", "create": true, "transformation": {"excludeRaw": true}});
    kept.static_secret("web", &json!({"rolloutRestartTargets": targets(), "destination": destination}));
    let data = json!({"user": "app"});
    legacy::secret(&kept, STATIC, "web", "Opaque", &data);
    legacy::status(&kept, STATIC.0, "web", "vaultstaticsecret", &json!({"secretMAC": legacy::mac(&data)}));
    let before = seen(&kept, "web", &workload);
    away.back();
    // Its status was well already, so that shows nothing.
    let namespace = &kept.sandbox.namespace;
    until(seconds(60), "read by the operator", || {
        let reads = audit::count(&audit::of(namespace, ""), &format!("secret/data/{namespace}/web"));
        if reads >= 2 { Ok(()) } else { Err(format!("{reads} reads")) }
    });
    assert_eq!(seen(&kept, "web", &workload), before, "no write, no restart");
    kept.sandbox.put("web", &json!({"user": "other"}));
    kept.holds("web", "user", "other");
    until(seconds(20), "restarted", || restarted(&workload).ok_or("no annotation"));
    let path = kept.one(STATIC.0, "web");
    api::delete(&path).expect("delete");
    until(seconds(60), "gone, in spite of the finalizer", || match api::get(&path).status {
        404 => Ok(()),
        status => Err(status.to_string()),
    });
}

/// With its login kept, encrypted by the transit key: the lease belongs to that login, and is renewed by it.
#[test]
fn a_lease_and_its_login_are_taken_over_and_renewed() {
    transit();
    let kept = Kept::new("op-adopt-db");
    let namespace = kept.sandbox.namespace.clone();
    kept.sandbox.grant(&format!(
        "path \"database/creds/{namespace}\" {{ capabilities = [\"read\"] }}\n\
         path \"sys/leases/renew\" {{ capabilities = [\"update\"] }}"
    ));
    kept.sandbox.database(&json!({"default_ttl": "45s", "max_ttl": "1h"}));
    let workload = kept.workload("deployments", "web");
    let away = Away::new();
    kept.dynamic_secret("db", &json!({"rolloutRestartTargets": targets()}));
    let login = legacy::login(&kept);
    let answer = login.vault.request("GET", &format!("database/creds/{namespace}"), None).expect("credentials");
    let (user, password) = (answer["data"]["username"].clone(), answer["data"]["password"].clone());
    let raw = answer["data"].to_string();
    legacy::secret(&kept, DYNAMIC, "db", "Opaque", &json!({"username": user, "password": password, "_raw": raw}));
    let lease = json!({"id": answer["lease_id"], "duration": answer["lease_duration"], "renewable": true,
        "requestID": answer["request_id"]});
    let status = json!({"lastRenewalTime": now(), "secretLease": lease,
        "lastRuntimePodUID": "9d3c1c3e-4a55-4a7e-a5d5-1f6b3c1f2a10",
        "staticCredsMetaData": {"lastVaultRotation": 0, "rotationPeriod": 0, "ttl": 0},
        "vaultClientMeta": {"cacheKey": login.cache_key, "id": login.id}});
    legacy::status(&kept, DYNAMIC.0, "db", "vaultdynamicsecret", &status);
    let before = seen(&kept, "db", &workload);
    away.back();
    let begun = Instant::now();
    let renewed = until(seconds(60), "renewed: the lease", || {
        let status = kept.get(DYNAMIC.0, "db")["status"].clone();
        let renewal = status["conditions"].as_array().into_iter().flatten().find(|it| it["type"] == "LeaseRenewal");
        if renewal.is_some_and(|it| it["status"] == "True") { Ok(status) } else { Err(status.to_string()) }
    });
    println!("{namespace}: renewed {:?} after the operators changed", begun.elapsed());
    // Long enough for a second renewal, and for a loop of them to show.
    sleep(seconds(40));
    assert_eq!(renewed["secretLease"]["id"], answer["lease_id"]);
    assert_eq!(kept.get(DYNAMIC.0, "db")["status"]["secretLease"]["id"], answer["lease_id"]);
    assert_eq!(seen(&kept, "db", &workload), before, "no write, no restart");
    let entries = audit::of(&namespace, "");
    let count = |prefix: &str| audit::count(&entries, prefix);
    let counts = (count("auth/kubernetes/login"), count("database/creds/"), count("sys/leases/renew"));
    println!("{namespace}: {counts:?} logins, leases and renewals, the first two by the old operator");
    assert_eq!((counts.0, counts.1), (1, 1), "nothing new");
    assert!((1..=4).contains(&counts.2), "{} renewals", counts.2);
}

/// Credentials that Vault rotates: no lease, a digest in the status that leaves out what changes with each look.
#[test]
fn the_credentials_of_a_static_role_are_taken_over_without_a_write() {
    let kept = Kept::new("op-adopt-role");
    let namespace = kept.static_role("1h");
    let path = format!("database/static-creds/{namespace}");
    let workload = kept.workload("deployments", "web");
    let away = Away::new();
    let spec = json!({"mount": "database", "path": format!("static-creds/{namespace}"), "allowStaticCreds": true,
        "refreshAfter": "5s", "rolloutRestartTargets": targets()});
    kept.secret(DYNAMIC.0, DYNAMIC.1, "db", &spec, &json!({}));
    let answer = sandbox::vault().request("GET", &path, None).expect("credentials")["data"].clone();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut data: Value =
        answer.as_object().expect("data").iter().map(|(key, value)| (key.clone(), json!(text(value)))).collect();
    let mut lasting = data.clone();
    for volatile in ["ttl", "rotation_period", "rotation_schedule", "last_vault_rotation"] {
        lasting.as_object_mut().expect("data").remove(volatile);
    }
    data["_raw"] = json!(answer.to_string());
    legacy::secret(&kept, DYNAMIC, "db", "Opaque", &data);
    let none = json!({"id": "", "duration": 0, "renewable": false, "requestID": ""});
    let status = json!({"lastRenewalTime": now(), "secretLease": none, "secretMAC": legacy::mac(&lasting),
        "staticCredsMetaData": {"lastVaultRotation": now(), "rotationPeriod": 3600, "ttl": answer["ttl"]}});
    legacy::status(&kept, DYNAMIC.0, "db", "vaultdynamicsecret", &status);
    let before = seen(&kept, "db", &workload);
    away.back();
    until(seconds(30), "read by the operator", || {
        let reads = audit::count(&audit::of(&namespace, ""), &path);
        if reads >= 2 { Ok(()) } else { Err(format!("{reads} reads")) }
    });
    sleep(seconds(2));
    assert_eq!(seen(&kept, "db", &workload), before, "no write, no restart");
    // What changes now does reach it.
    sandbox::vault().write(&format!("database/rotate-role/{namespace}"), &json!({}));
    until(seconds(30), "restarted", || restarted(&workload).ok_or("no annotation"));
    assert_ne!(seen(&kept, "db", &workload).0, before.0);
}

#[test]
fn a_certificate_is_taken_over_and_replaced_when_it_is_due() {
    let kept = Kept::new("op-adopt-pki");
    let namespace = kept.sandbox.namespace.clone();
    let mount = Mount::pki(&namespace);
    let (issue, revoke) = (format!("{}/issue/web", mount.0), format!("{}/revoke", mount.0));
    kept.sandbox.grant(&format!(
        "path \"{issue}\" {{ capabilities = [\"update\"] }}\npath \"{revoke}\" {{ capabilities = [\"update\"] }}"
    ));
    let workload = kept.workload("deployments", "web");
    let away = Away::new();
    let spec = json!({"mount": mount.0, "role": "web", "commonName": "web.example.com", "ttl": "80s",
        "expiryOffset": "30s", "revoke": true, "rolloutRestartTargets": targets()});
    let destination = json!({"destination": {"name": "tls", "create": true, "type": "kubernetes.io/tls"}});
    kept.secret(PKI.0, PKI.1, "tls", &spec, &destination);
    let made = json!({"common_name": "web.example.com", "ttl": "80s", "remove_roots_from_chain": true});
    let made = sandbox::vault().write(&issue, &made)["data"].clone();
    let text = |name: &str| made[name].as_str().expect("a certificate").to_owned();
    let pair = format!("{}\n{}", text("certificate"), text("issuing_ca"));
    let data = json!({"tls.crt": pair, "tls.key": text("private_key"), "ca.crt": text("issuing_ca")});
    legacy::secret(&kept, PKI, "tls", "kubernetes.io/tls", &data);
    let status = json!({"serialNumber": made["serial_number"], "expiration": made["expiration"], "lastRotation": now(),
        "secretMAC": legacy::mac(&data), "valid": true, "error": ""});
    legacy::status(&kept, PKI.0, "tls", "vaultpkisecrets", &status);
    let (before, end) = (seen(&kept, "tls", &workload), made["expiration"].as_u64().expect("an end"));
    away.back();
    assert!(now() + 35 < end, "the operator came back too late for this test: {} s are left", end - now());
    while now() + 35 < end {
        assert_eq!(seen(&kept, "tls", &workload), before, "{} s before its end", end - now());
        sleep(seconds(1));
    }
    until(seconds(30), "restarted, with another certificate", || restarted(&workload).ok_or("no annotation"));
    assert!(now() < end, "replaced before its end");
    // The status comes after the restart: what a killed operator did not say is done again, not lost.
    until(seconds(20), "said: another certificate", || {
        let serial = kept.get(PKI.0, "tls")["status"]["serialNumber"].clone();
        if serial == made["serial_number"] { Err(serial) } else { Ok(()) }
    });
    until(seconds(20), "revoked: the old certificate", || {
        let path = format!("{}/cert/{}", mount.0, text("serial_number"));
        let answer = sandbox::vault().request("GET", &path, None).json();
        if answer["data"]["revocation_time"].as_u64().unwrap_or_default() > 0 {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    });
    let issued = audit::count(&audit::of(&namespace, ""), &issue);
    assert_eq!(issued, 1, "certificates asked for by the operator");
}
