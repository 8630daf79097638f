//! The fields and the annotation that are Sidekey's own, on a real API server: what several secrets come to in one Secret, what
//! stays when an object goes, and what is read because somebody asked.

use serde_json::{Value, json};
use sidekey_e2e::kept::{condition, decoded, restarted};
use sidekey_e2e::vault::Mount;
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, api, audit, sandbox};

const VSS: &str = "vaultstaticsecrets";

fn secret(kept: &Kept, name: &str) -> Value {
    api::get(&kept.secret_path(name)).json()
}

fn keys(secret: &Value) -> Vec<&str> {
    secret["data"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn several_secrets_make_one_and_several_objects_share_one() {
    let kept = Kept::new("op-several");
    let path = |name: &str| format!("{}/{name}", kept.sandbox.namespace);
    kept.sandbox.put("web", &json!({"user": "app"}));
    kept.sandbox.put("db", &json!({"port": "5432"}));
    let db = json!({"mount": "secret", "path": path("db"), "type": "kv-v2", "prefix": "db_"});
    kept.static_secret("web", &json!({"sources": [db]}));
    let made = kept.holds("web", "db_port", "5432");
    assert_eq!(keys(&made), ["db_port", "user"]);

    let theirs = json!({"metadata": {"name": "shared"}, "stringData": {"theirs": "x"}});
    kept.sandbox.create("secrets", &theirs);
    let destination = json!({"name": "shared", "merge": true, "transformation": {"excludeRaw": true}});
    for name in ["web", "db"] {
        kept.static_secret(&format!("into-{name}"), &json!({"path": path(name), "destination": destination}));
    }
    kept.holds("shared", "user", "app");
    kept.holds("shared", "port", "5432");
    kept.ready(VSS, "into-web", "True");
    kept.ready(VSS, "into-db", "True");
    assert_eq!(keys(&secret(&kept, "shared")), ["port", "theirs", "user"]);
    kept.sandbox.put("web", &json!({"name": "app"}));
    let changed = kept.holds("shared", "name", "app");
    assert_eq!(keys(&changed), ["name", "port", "theirs"], "a key that is gone goes, others' stay");
    kept.remove(VSS, "into-web");
    kept.ready(VSS, "into-db", "True");
    assert_eq!(decoded(&secret(&kept, "shared"), "theirs"), "x");
}

#[test]
fn what_stays_and_what_goes_is_as_the_object_says() {
    let kept = Kept::new("op-retain");
    let into = |name: &str, more: &Value| {
        let mut destination = json!({"name": name, "create": true});
        for (key, value) in more.as_object().into_iter().flatten() {
            destination[key] = value.clone();
        }
        kept.static_secret(
            name,
            &json!({"path": format!("{}/web", kept.sandbox.namespace), "destination": destination}),
        );
    };
    kept.sandbox.put("web", &json!({"user": "app"}));
    into("retained", &json!({"retain": true}));
    into("kept", &json!({}));
    into("wiped", &json!({"onSourceDeleted": "delete"}));
    for name in ["retained", "kept", "wiped"] {
        kept.holds(name, "user", "app");
        kept.ready(VSS, name, "True");
    }
    kept.remove(VSS, "retained");
    let data = format!("secret/data/{}/web", kept.sandbox.namespace);
    sandbox::vault().delete(&data);
    until(seconds(30), "gone with its source", || match api::get(&kept.secret_path("wiped")).status {
        404 => Ok(()),
        status => Err(status),
    });
    until(seconds(20), "told: the deleted source", || {
        let synced = condition(&kept.get(VSS, "wiped"), "SecretSynced");
        if synced["reason"] == "SourceDeleted" { Ok(()) } else { Err(synced.to_string()) }
    });
    let words = kept.ready(VSS, "kept", "False");
    assert!(words.contains("version 1 was deleted"), "{words}");
    for name in ["retained", "kept"] {
        assert_eq!(decoded(&secret(&kept, name), "user"), "app", "{name}");
    }
    kept.sandbox.put("web", &json!({"user": "back"}));
    kept.holds("wiped", "user", "back");
    kept.holds("kept", "user", "back");
    assert_eq!(decoded(&secret(&kept, "retained"), "user"), "app", "nobody's");
    into("retained", &json!({}));
    kept.holds("retained", "user", "back");
    kept.ready(VSS, "retained", "True");
    kept.remove(VSS, "retained");
    until(seconds(60), "gone with its owner, being retained no more", || {
        match api::get(&kept.secret_path("retained")).status {
            404 => Ok(()),
            status => Err(status),
        }
    });
}

/// Each has an hour before it: nothing but the annotation asks.
#[test]
fn an_annotation_asks_for_a_read_for_credentials_and_for_a_certificate_once() {
    let kept = Kept::with_database("op-refresh");
    let namespace = kept.sandbox.namespace.clone();
    let mount = Mount::pki(&namespace);
    let issue = format!("{}/issue/web", mount.0);
    kept.sandbox.grant(&format!(
        "path \"secret/data/{namespace}/*\" {{ capabilities = [\"read\"] }}\n\
         path \"database/creds/{namespace}\" {{ capabilities = [\"read\"] }}\n\
         path \"{issue}\" {{ capabilities = [\"update\"] }}"
    ));
    let workload = kept.workload("deployments", "web");
    let targets = json!([{"kind": "Deployment", "name": "web"}]);
    kept.sandbox.put("web", &json!({"user": "app"}));
    kept.static_secret("web", &json!({"refreshAfter": "1h"}));
    kept.dynamic_secret("db", &json!({"rolloutRestartTargets": targets}));
    let spec = json!({"mount": mount.0, "role": "web", "commonName": "web.example.com", "ttl": "1h"});
    kept.secret("vaultpkisecrets", "VaultPKISecret", "tls", &spec, &json!({}));
    let all = [(VSS, "web"), ("vaultdynamicsecrets", "db"), ("vaultpkisecrets", "tls")];
    for (plural, name) in all {
        kept.ready(plural, name, "True");
    }
    let asked = || {
        let seen = audit::of(&namespace, "");
        [format!("database/creds/{namespace}"), issue.clone()].map(|path| audit::count(&seen, &path))
    };
    assert_eq!((asked(), restarted(&workload)), ([1, 1], None));
    kept.sandbox.put("web", &json!({"user": "other"}));
    for (plural, name) in all {
        let annotations = json!({"metadata": {"annotations": {"sidekey.dev/refresh": "1"}}});
        api::patch(&kept.one(plural, name), &annotations).expect("an annotation");
    }
    kept.holds("web", "user", "other");
    until(seconds(30), "asked anew", || match asked() {
        [2, 2] => Ok(()),
        other => Err(format!("{other:?}")),
    });
    until(seconds(20), "restarted", || restarted(&workload).ok_or("no annotation"));
    for (plural, name) in all {
        kept.ready(plural, name, "True");
    }
    assert_eq!(asked(), [2, 2], "one wish is met once");
}

/// Their digest leaves out what changes at each look.
#[test]
fn the_credentials_of_a_static_role_follow_its_rotation_and_restart_for_nothing_else() {
    let kept = Kept::new("op-static-role");
    let role = kept.static_role("1h");
    let workload = kept.workload("deployments", "web");
    let spec = json!({"mount": "database", "path": format!("static-creds/{role}"), "allowStaticCreds": true,
        "refreshAfter": "3s", "rolloutRestartTargets": [{"kind": "Deployment", "name": "web"}]});
    kept.secret("vaultdynamicsecrets", "VaultDynamicSecret", "db", &spec, &json!({}));
    kept.ready("vaultdynamicsecrets", "db", "True");
    let password = || decoded(&secret(&kept, "db"), "password");
    let reads = || audit::count(&audit::of(&role, ""), &format!("database/static-creds/{role}"));
    let (first, version) = (password(), secret(&kept, "db")["metadata"]["resourceVersion"].clone());
    until(seconds(40), "looked at again", || match reads() {
        3.. => Ok(()),
        reads => Err(format!("{reads} reads")),
    });
    assert_eq!(secret(&kept, "db")["metadata"]["resourceVersion"], version, "a look is no change");
    let before = restarted(&workload);
    sandbox::vault().write(&format!("database/rotate-role/{role}"), &json!({}));
    until(seconds(40), "rotated", || {
        let (password, at) = (password(), restarted(&workload));
        if password != first && at != before { Ok(()) } else { Err(format!("restarted at {at:?}")) }
    });
    let answer = sandbox::vault().request("GET", &format!("database/static-creds/{role}"), None).expect("credentials");
    assert_eq!(answer["data"]["password"], password());
}
