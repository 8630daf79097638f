//! Sidekey beside another injector of the same annotations: each pod is injected by one of them, whoever is asked first. The
//! other is vault-k8s itself where `e2e/cluster/build.sh vault-k8s` has built its handler, and a stand-in elsewhere.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Sandbox, Shape, api};

use crate::stand_in::StandIn;
use crate::vault_k8s::{self, HOOK, injectors};

const IMAGE: &str = "localhost/stand-in:1";

/// What the handler of vault-k8s would change in a pod.
fn asked(program: &str, pod: &Value) -> Vec<Value> {
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("vault-k8s");
    writeln!(child.stdin.take().expect("its input"), "{pod}").expect("a pod for vault-k8s");
    let answer = child.wait_with_output().expect("its answer").stdout;
    let answer: Value = serde_json::from_slice(&answer).expect("JSON of vault-k8s");
    assert_eq!(answer["allowed"], true, "{answer}");
    answer["patch"].as_array().cloned().unwrap_or_default()
}

fn other() -> (StandIn, &'static str) {
    match std::env::var("E2E_VAULT_K8S") {
        Ok(program) if !program.is_empty() => (StandIn::new(move |pod| asked(&program, pod)), "vault-k8s itself"),
        _ => (vault_k8s::stand_in(IMAGE), "a stand-in of vault-k8s"),
    }
}

#[test]
fn a_pod_is_injected_by_one_of_two_injectors_whoever_is_asked_first() {
    let sandbox = Sandbox::new("beside").unrestricted();
    let (stand_in, other) = other();
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": sandbox.namespace}});

    let native = [("inject", "true"), ("role", "web"), ("secret-web", "secret/web")];
    let vault = [("agent-inject", "true"), ("role", "web"), ("agent-inject-secret-web", "secret/web")];
    // vault-k8s refuses a pod that has no token of its own.
    let shape = || Shape::new("web", &["sleep"]).spec("automountServiceAccountToken", json!(true));
    let create = |shape: Shape| {
        let answer = api::create(&format!("{}?dryRun=All", sandbox.path("pods")), &shape.manifest);
        injectors(&answer.expect("a pod"), IMAGE)
    };
    for (name, first) in [("a-stand-in", true), ("z-stand-in", false)] {
        let _configured = stand_in.configured(&format!("{name}-{}", sandbox.namespace), HOOK, &here);
        let vault_wanted = if first { (2, 0) } else { (0, 1) };
        until(seconds(30), "asked: the stand-in", || {
            let seen = create(shape().vault(&vault));
            // The second stand-in shows nothing of itself: it is asked within the same time.
            if seen == vault_wanted { Ok(()) } else { Err(format!("{seen:?}")) }
        });
        std::thread::sleep(seconds(2));
        assert_eq!(create(shape().vault(&vault)), vault_wanted, "{name}: the Vault dialect");
        assert_eq!(create(shape().native(&native)), (0, 1), "{name}: the native dialect");
        assert_eq!(create(shape().native(&native).vault(&vault)), vault_wanted, "{name}: both");
    }
    println!("beside {other}, asked before and after it: one injector for each of 6 pods");
}
