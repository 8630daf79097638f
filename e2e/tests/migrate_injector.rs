//! The guide from the Vault Agent Injector, command by command, beside a stand-in of that injector. Needs `E2E_CHART=1 e2e/run`, which
//! has helm and runs ignored tests too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "cluster/stand_in.rs"]
mod stand_in;
#[path = "cluster/vault_k8s.rs"]
mod vault_k8s;

use std::path::Path;

use serde_json::{Value, json};
use sidekey_e2e::guide::{block, blocks, root, run};
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Sandbox, Shape, api, sandbox, setting};
use vault_k8s::{HOOK, injectors};

const GUIDE: &str = "migrate-vault-agent-injector.md";

/// This run's own release, which the guide's takes the place of.
struct Uninstalled(String);

impl Uninstalled {
    fn new() -> Self {
        let system = setting().system.clone();
        run(&root(), &format!("helm uninstall sidekey -n {system} --wait --timeout 150s"));
        Self(system)
    }
}

impl Drop for Uninstalled {
    fn drop(&mut self) {
        let install =
            "helm upgrade --install sidekey deploy/chart/sidekey --reset-values -f e2e/out/values.yaml --wait";
        run(&root(), &format!("{install} -n {} --timeout 150s", self.0));
    }
}

/// A Deployment of one annotated pod.
fn deployment(sandbox: &Sandbox) {
    let role = sandbox.namespace.as_str();
    let secret = format!("secret/data/{role}/web");
    let shape = Shape::new("web", &["sleep"]).vault(&[
        ("agent-inject", "true"),
        ("role", role),
        ("agent-inject-secret-web", &secret),
    ]);
    let mut pod = shape.manifest;
    pod["metadata"]["labels"] = json!({"app": "web"});
    pod["spec"]["terminationGracePeriodSeconds"] = json!(1);
    // The stand-in mounts nothing; the old injector would mount the pod's own token.
    pod["spec"]["automountServiceAccountToken"] = json!(true);
    let template = json!({"metadata": pod["metadata"], "spec": pod["spec"]});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template});
    let path = format!("/apis/apps/v1/namespaces/{}/deployments", sandbox.namespace);
    api::create(&path, &json!({"metadata": {"name": "web"}, "spec": spec})).expect("deployment");
}

/// Waits until the one pod is there, Ready, and injected like this.
fn injected(sandbox: &Sandbox, image: &str, wanted: (usize, usize)) {
    until(START, &format!("injected as {wanted:?}"), || {
        let list = api::get(&format!("{}?labelSelector=app%3Dweb", sandbox.path("pods"))).json();
        let pods = list["items"].as_array().cloned().unwrap_or_default();
        let ready = |pod: &Value| sidekey_e2e::kept::condition(pod, "Ready")["status"] == "True";
        match pods.as_slice() {
            [pod] if ready(pod) && injectors(pod, image) == wanted => Ok(()),
            pods => {
                Err(pods.iter().map(|pod| format!("{:?} {}", injectors(pod, image), pod["status"])).collect::<String>())
            }
        }
    });
}

/// Who would inject a new pod.
fn next(sandbox: &Sandbox, image: &str) -> (usize, usize) {
    let role = sandbox.namespace.as_str();
    let shape = Shape::new("next", &["sleep"]).vault(&[
        ("agent-inject", "true"),
        ("role", role),
        ("agent-inject-secret-a", "secret/a"),
    ]);
    injectors(&api::create(&format!("{}?dryRun=All", sandbox.path("pods")), &shape.manifest).expect("a pod"), image)
}

/// The guide's selector for the old injector, and only these sandboxes.
fn selector(yaml: &[String], sandboxes: &[&Sandbox]) -> Value {
    let values: Value = serde_saphyr::from_str(block(yaml, "# values of the old chart")).unwrap();
    let mut selector = values["injector"]["webhook"]["namespaceSelector"].clone();
    let names: Vec<_> = sandboxes.iter().map(|sandbox| &sandbox.namespace).collect();
    let here = json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": names});
    selector["matchExpressions"].as_array_mut().unwrap().push(here);
    selector
}

#[test]
#[ignore = "needs helm: E2E_CHART=1 e2e/run"]
fn the_guide_from_the_vault_agent_injector_holds_step_by_step() {
    let release = Uninstalled::new();
    let (moved, left) = (
        Sandbox::new("inject-moved").with_role().unrestricted(),
        Sandbox::new("inject-left").with_role().unrestricted(),
    );
    // As roles are for that injector, whose tokens have the API server's audience.
    let mut role = sandbox::role(&moved.namespace);
    role["audience"] = json!("");
    moved.role(&role);
    moved.put("web", &json!({"user": "app"}));
    let image = setting().probe.as_str();
    let stand_in = vault_k8s::stand_in(image);
    let yaml = blocks(GUIDE, "yaml");
    let configured = stand_in.configured("vault-agent-injector-cfg", HOOK, &selector(&yaml, &[&moved, &left]));
    until(seconds(30), "asked: the stand-in", || match next(&left, image) {
        (2, 0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    deployment(&moved);
    injected(&moved, image, (2, 0));

    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let all = blocks(GUIDE, "sh");
    let step = |words: &str| run(directory, &commands(block(&all, words), &moved.namespace));
    explained(directory, block(&all, "sidekey explain"), &moved);
    installed(directory, &yaml, &step);
    assert_eq!((next(&moved, image), next(&left, image)), ((2, 0), (2, 0)), "nothing is ours yet");

    println!("{}", step("-- /sidekey-agent status"));
    injected(&moved, image, (0, 1));
    assert_eq!((next(&moved, image), next(&left, image)), ((0, 1), (2, 0)));
    let going_back = block(&all, "sidekey.dev/webhook-");
    run(directory, &commands(going_back, &moved.namespace));
    injected(&moved, image, (2, 0));
    let old = run(
        directory,
        &format!(
            "{} || true",
            commands(block(&all, "grep -E 'hashicorp/vault|openbao'"), "").replace("hashicorp/vault|openbao", "probe")
        ),
    );
    assert!(old.contains(&moved.namespace), "what still has the old agent: {old:?}");
    step("-- /sidekey-agent status");
    injected(&moved, image, (0, 1));
    let old = run(
        directory,
        &format!(
            "{} || true",
            commands(block(&all, "grep -E 'hashicorp/vault|openbao'"), "").replace("hashicorp/vault|openbao", "probe")
        ),
    );
    assert!(!old.contains(&moved.namespace), "what still has the old agent: {old:?}");

    // Step 5: everybody has moved.
    drop(configured);
    std::fs::write(directory.join("sidekey.yaml"), "").unwrap();
    step("helm upgrade sidekey");
    until(seconds(30), "asked about every namespace", || match next(&left, image) {
        (0, 1) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    drop(release);
}

/// The guide's commands, with this run's chart and namespaces. The programs of the images run here, too.
fn commands(text: &str, namespace: &str) -> String {
    let chart = root().join("deploy/chart/sidekey");
    text.replace("deploy/chart/sidekey", &format!("{} -f run.yaml --timeout 150s", chart.display()))
        .replace("-n sidekey ", &format!("-n {} ", setting().system))
        .replace("namespace shop", &format!("namespace {namespace}"))
        .replace("-n shop", &format!("-n {namespace}"))
}

/// Step 1: what is annotated is found and explained.
fn explained(directory: &Path, block: &str, moved: &Sandbox) {
    std::fs::copy(root().join("e2e/out/values.yaml"), directory.join("run.yaml")).unwrap();
    std::fs::write(directory.join("settings.yaml"), "vaultAddress: https://vault.vault.svc:8200\n").unwrap();
    let programs = root().join("target/image").join(std::env::consts::ARCH);
    run(directory, &format!("export PATH={}:$PATH\n{block} || true", programs.display()));
    let text = std::fs::read_to_string(directory.join("explained.txt")).unwrap();
    assert!(text.contains("web") && text.contains(&moved.namespace), "{text}");
    assert!(!text.contains("denied"), "{text}");
}

/// Steps 2 and 3, with this run's settings.
fn installed(directory: &Path, yaml: &[String], step: &impl Fn(&str) -> String) {
    std::fs::write(directory.join("sidekey.yaml"), block(yaml, "# sidekey.yaml, too")).unwrap();
    let settings: Value =
        serde_saphyr::from_str(&block(yaml, "AGENT_INJECT_VAULT_CACERT_BYTES").replace('…', "")).unwrap();
    assert!(settings["settings"]["vaultAddress"].is_string() && settings["settings"]["authPath"] == "auth/kubernetes");
    step("helm install sidekey");
}
