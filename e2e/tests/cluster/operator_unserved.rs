//! Kinds that are accepted so that a repository of manifests applies, and that say that nothing comes of them.

use std::path::Path;
use std::thread::sleep;

use serde_json::{Value, json};
use sidekey_e2e::kept::{condition, restarted};
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, Sandbox, api, command};

const OBJECTS: [(&str, &str, &str); 3] = [
    ("hcpauths", "hcp", "HCP Vault Secrets is retired"),
    ("hcpvaultsecretsapps", "shop", "HCP Vault Secrets is retired"),
    ("csisecrets", "mounted", "it belongs to the CSI driver of Vault Enterprise"),
];

#[test]
fn kinds_that_are_not_served_say_so_and_nothing_else_comes_of_them() {
    let kept = Kept { sandbox: Sandbox::new("op-unserved-kinds") };
    let workload = kept.workload("deployments", "web");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/unserved.yaml");
    let file = file.to_string_lossy();
    let kubectl = |verb: &[&str]| {
        let all = [&["-n", &kept.sandbox.namespace], verb, &["-f", &file]].concat();
        command::run("kubectl", &all, "").expect(verb[0]);
    };
    kubectl(&["apply"]);
    for (plural, name, why) in OBJECTS {
        let words = kept.ready(plural, name, "False");
        assert!(words.contains("SK7005") && words.contains(why), "{words}");
        assert_eq!(condition(&kept.get(plural, name), "Healthy")["status"], "False");
        until(seconds(20), "told in an event", || {
            let events = api::events(&kept.sandbox.namespace, name);
            if events.iter().any(|it| it.starts_with("InvalidConfiguration: SK7005")) {
                Ok(())
            } else {
                Err(events.join("\n"))
            }
        });
    }
    let written = || OBJECTS.map(|(plural, name, _)| kept.get(plural, name)["metadata"]["resourceVersion"].clone());
    let before = written();
    kubectl(&["apply"]);
    kubectl(&["diff"]);
    sleep(seconds(3));
    assert_eq!(written(), before, "said once");
    let secrets = api::get(&kept.sandbox.path("secrets")).expect("the Secrets");
    assert_eq!(secrets["items"], json!([]));
    assert_eq!(restarted(&workload), None);
    for (plural, name, _) in OBJECTS {
        assert_eq!(kept.get(plural, name)["metadata"]["finalizers"], Value::Null, "{name}");
    }
    // As a Vault Secrets Operator has left it.
    let finalizers = json!({"metadata": {"finalizers": ["hcpvaultsecretsapp.secrets.hashicorp.com/finalizer"]}});
    api::patch(&kept.one("hcpvaultsecretsapps", "shop"), &finalizers).expect("a finalizer");
    kubectl(&["delete", "--timeout=60s"]);
}
