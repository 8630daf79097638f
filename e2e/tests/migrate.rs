//! The guide from the Vault Secrets Operator, command by command, beside a chart that stands in for that operator's. Needs
//! `E2E_CHART=1 e2e/run`, which has helm and runs ignored tests too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sidekey_e2e::guide::{block, blocks, root, run};
use sidekey_e2e::kept::{OPERATOR, condition, restarted};
use sidekey_e2e::manuals::{Namespace, role, transit};
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, api, audit, legacy, setting};

/// Of the old release, as its manual has it.
const SYSTEM: &str = "vault-secrets-operator-system";

const OLD: &str = "vault-secrets-operator-controller-manager";

const LEASE: &str = "b0d477c0.hashicorp.com";

fn at(kind: &str, name: &str) -> Value {
    let group = match kind {
        "deployments" => "apis/apps/v1",
        "leases" => "apis/coordination.k8s.io/v1",
        "vaultauths" | "vaultconnections" => "apis/secrets.hashicorp.com/v1beta1",
        _ => "api/v1",
    };
    api::get(&format!("/{group}/namespaces/{SYSTEM}/{kind}/{name}")).json()
}

/// This run's own operator, whose cluster roles have the names that the guide's release will have.
struct Uninstalled;

impl Uninstalled {
    fn new() -> Self {
        run(&root(), &format!("helm uninstall sidekey -n {OPERATOR} --wait --timeout 150s"));
        Self
    }
}

impl Drop for Uninstalled {
    fn drop(&mut self) {
        // What a test that failed has left has the same names.
        for (release, more) in [("sidekey", ""), ("vault-secrets-operator", "--no-hooks")] {
            run(
                &root(),
                &format!("helm uninstall {release} -n {SYSTEM} --ignore-not-found --wait --timeout 150s {more}"),
            );
        }
        let values = "e2e/out/operator-values.yaml";
        run(
            &root(),
            &format!("helm install sidekey deploy/chart/sidekey -n {OPERATOR} -f {values} --wait --timeout 150s"),
        );
    }
}

/// The guide's commands, with the charts and images of this run.
fn commands(text: &str) -> String {
    let ours = root().join("deploy/chart/sidekey");
    text.replace("deploy/chart/sidekey", &format!("{} -f run.yaml --wait --timeout 150s", ours.display()))
        .replace("hashicorp/vault-secrets-operator ", "./old-chart ")
}

/// What the old operator does with its Lease, for as long as it has replicas.
fn renew(stop: &AtomicBool) {
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases");
    let mut transitions = 0;
    while !stop.load(Ordering::Relaxed) {
        if at("deployments", OLD)["spec"]["replicas"] == 1 {
            transitions += 1;
            let lease = json!({"metadata": {"name": LEASE}, "spec": {"holderIdentity": format!("{OLD}-5d8f6c7b9-x2x4z_0b5a"),
                "leaseDurationSeconds": 15, "leaseTransitions": transitions}});
            match transitions {
                1 => api::create(&leases, &lease),
                _ => api::patch(&format!("{leases}/{LEASE}"), &lease),
            }
            .expect("the old operator's lease");
        }
        sleep(seconds(2));
    }
}

/// The release that people have: installed, with the key of digests that it makes.
fn old_release(directory: &Path, namespace: &str) {
    let key = api::get(&format!("/api/v1/namespaces/{OPERATOR}/secrets/vso-cc-storage-hmac-key")).json();
    let copy = json!({"metadata": {"name": key["metadata"]["name"], "labels": key["metadata"]["labels"]}, "data": key["data"],
        "immutable": true});
    api::create(&format!("/api/v1/namespaces/{SYSTEM}/secrets"), &copy).expect("the key of digests");
    let values = root().join("e2e/fixtures/vso-values.yaml");
    let install = format!(
        "cp -r {} old-chart && sed -i 's#localhost/probe:dev#{}#' old-chart/values.yaml\n\
         helm install vault-secrets-operator ./old-chart -n {SYSTEM} -f {} --set defaultAuthMethod.kubernetes.role={namespace} --wait",
        root().join("e2e/fixtures/vso-chart").display(),
        setting().probe,
        values.display(),
    );
    run(directory, &install);
    let plain = std::env::var("E2E_PLAIN_VAULT").expect("transit() has looked for it");
    let (repository, tag) = setting().control.rsplit_once(':').expect("an image with a tag");
    let ours = format!(
        "image: {{repository: {repository}, tag: {tag}, pullPolicy: IfNotPresent}}\n\
         controller: {{hostAliases: [{{ip: {plain}, hostnames: [vault.vault.svc.cluster.local]}}]}}\n"
    );
    std::fs::write(directory.join("run.yaml"), ours).unwrap();
}

/// A static secret by the default login, and credentials with a lease by a login of their own, which is kept.
fn objects(kept: &Kept) -> legacy::Login {
    let namespace = &kept.sandbox.namespace;
    kept.sandbox.put("web", &json!({"user": "app"}));
    let more = json!({"vaultAuthRef": "", "rolloutRestartTargets": [{"kind": "Deployment", "name": "app"}],
        "destination": {"name": "web", "create": true, "transformation": {"excludeRaw": true}}});
    kept.static_secret("web", &more);
    let data = json!({"user": "app"});
    legacy::secret(kept, ("vaultstaticsecrets", "VaultStaticSecret"), "web", "Opaque", &data);
    legacy::status(kept, "vaultstaticsecrets", "web", "vaultstaticsecret", &json!({"secretMAC": legacy::mac(&data)}));

    kept.dynamic_secret("db", &json!({"rolloutRestartTargets": [{"kind": "Deployment", "name": "app"}]}));
    let login = legacy::login(kept);
    // It is kept where the old operator is.
    let name = format!("vso-cc-{}", login.cache_key);
    let secret = api::get(&format!("/api/v1/namespaces/{OPERATOR}/secrets/{name}")).json();
    let copy = json!({"metadata": {"name": name, "labels": secret["metadata"]["labels"]}, "data": secret["data"], "immutable": true});
    api::create(&format!("/api/v1/namespaces/{SYSTEM}/secrets"), &copy).expect("a kept login");
    api::delete(&format!("/api/v1/namespaces/{OPERATOR}/secrets/{name}")).expect("the first copy");
    let answer = login.vault.request("GET", &format!("database/creds/{namespace}"), None).expect("credentials");
    legacy::secret(kept, ("vaultdynamicsecrets", "VaultDynamicSecret"), "db", "Opaque", &answer["data"]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let lease = json!({"id": answer["lease_id"], "duration": answer["lease_duration"], "renewable": true,
        "requestID": answer["request_id"]});
    let status = json!({"lastRenewalTime": now, "secretLease": lease,
        "staticCredsMetaData": {"lastVaultRotation": 0, "rotationPeriod": 0, "ttl": 0},
        "vaultClientMeta": {"cacheKey": login.cache_key, "id": login.id}});
    legacy::status(kept, "vaultdynamicsecrets", "db", "vaultdynamicsecret", &status);
    login
}

/// A VaultAuth `far` by the connection of another namespace, which has no `allowedNamespaces`: the old operator asks for none.
fn far(kept: &Kept) -> Kept {
    let far = Kept::new("op-migrate-far");
    kept.create("vaultauths", "VaultAuth", "far", &kept.auth(&format!("{}/vault", far.sandbox.namespace)));
    far
}

#[test]
#[ignore = "needs helm: E2E_CHART=1 e2e/run"]
fn the_guide_from_the_vault_secrets_operator_holds_step_by_step() {
    transit();
    // Ends after the release that is in it has been uninstalled.
    let system = Namespace::new(SYSTEM);
    let away = Uninstalled::new();
    let kept = Kept::with_database("op-migrate");
    let namespace = kept.sandbox.namespace.clone();
    let workload = kept.workload("deployments", "app");
    let rules = "path \"demo-transit/*\" { capabilities = [\"create\", \"update\"] }";
    let accounts =
        json!({"bound_service_account_names": [OLD, "sidekey-operator"], "audience": "vault", "token_period": 120});
    role("auth-role-operator", OLD, &json!([SYSTEM, OPERATOR]), &accounts, rules);
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    old_release(directory, &namespace);
    objects(&kept);
    let far = far(&kept);

    let stop = AtomicBool::new(false);
    scope(|scope| {
        scope.spawn(|| renew(&stop));
        let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk(directory, &kept, &far, &workload)));
        stop.store(true, Ordering::Relaxed);
        walked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    drop(system);
    until(seconds(90), "gone: the namespace of the operators", || {
        let answer = api::get(&format!("/api/v1/namespaces/{SYSTEM}"));
        if answer.status == 404 { Ok(()) } else { Err(answer.json()["status"].to_string()) }
    });
    drop(away);
}

fn walk(directory: &Path, kept: &Kept, far: &Kept, workload: &str) {
    let namespace = &kept.sandbox.namespace;
    let all = blocks("migrate-vault-secrets-operator.md", "sh");
    let step = |words: &str| run(directory, &commands(block(&all, words)));
    let version = |name: &str| api::get(&kept.secret_path(name)).json()["metadata"]["resourceVersion"].clone();
    let lease = || kept.get("vaultdynamicsecrets", "db")["status"]["secretLease"]["id"].clone();
    let uids = || ["vaultauths", "vaultconnections"].map(|kind| at(kind, "default")["metadata"]["uid"].clone());
    let before = (version("web"), version("db"), lease(), uids());
    let same = || assert_eq!((version("web"), version("db"), lease(), uids()), before);

    println!("{}", step("-o custom-columns=NS:.metadata.namespace,NAME:.metadata.name,METHOD"));
    step(">before.txt");
    let yaml = blocks("migrate-vault-secrets-operator.md", "yaml");
    std::fs::write(directory.join("sidekey.yaml"), block(&yaml, "# sidekey.yaml")).unwrap();
    step("helm get values");
    assert_eq!(at("deployments", "sidekey-operator")["spec"]["replicas"], 0);
    same();

    step("--replicas=2");
    let holder = until(seconds(60), "held by the new operator: the Lease", || {
        let holder = at("leases", LEASE)["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
        if holder.starts_with("sidekey-operator") { Ok(holder) } else { Err(holder) }
    });
    println!("{namespace}: handed over to {holder}");
    let read = until(seconds(60), "read by the new operator", || {
        let reads = audit::count(&audit::of(namespace, ""), &format!("secret/data/{namespace}/web"));
        if reads >= 2 { Ok(reads) } else { Err(format!("{reads} reads")) }
    });
    same();
    // `diff` ends with 1 where there is a difference; other tests' Secrets may be going.
    let compared = run(directory, &format!("{} || true", block(&all, "diff before.txt")));
    let mut differences = compared.lines().filter(|line| line.starts_with(['<', '>']));
    assert!(!differences.any(|line| line.contains(namespace.as_str())), "{compared}");
    kept.ready("vaultauths", "far", "True");

    step("helm uninstall vault-secrets-operator");
    assert_eq!(
        (at("deployments", OLD)["code"].clone(), at("serviceaccounts", OLD)["code"].clone()),
        (json!(404), json!(404))
    );
    same();
    let auth = "sidekey-operator-default-transit-auth";
    until(seconds(60), "well: the new login for the transit key", || {
        let ready = condition(&at("vaultauths", auth), "Ready");
        if ready["status"] == "True" { Ok(()) } else { Err(ready.to_string()) }
    });
    // A new process finds the logins, under the transit key's new VaultAuth.
    run(
        directory,
        &format!(
            "kubectl -n {SYSTEM} rollout restart deployment/sidekey-operator && kubectl -n {SYSTEM} rollout status deployment/sidekey-operator --timeout=120s"
        ),
    );
    until(seconds(60), "read by the newest operator", || {
        let reads = audit::count(&audit::of(namespace, ""), &format!("secret/data/{namespace}/web"));
        if reads >= read + 8 { Ok(()) } else { Err(format!("{reads} reads")) }
    });
    same();
    assert_eq!(restarted(workload), None);
    let seen = audit::of(namespace, "");
    let counts = (audit::count(&seen, "auth/kubernetes/login"), audit::count(&seen, "database/creds/"));
    println!("{namespace}: {counts:?} logins and leases, one of each by the old operator");
    assert_eq!(counts, (2, 1), "one login for the default VaultAuth, which the old operator had not kept");

    step("operator.openReferences=false");
    let words = kept.ready("vaultauths", "far", "False");
    assert!(words.contains("SK7003"), "{words}");
    let leave = json!({"spec": {"allowedNamespaces": [namespace]}});
    api::patch(&far.one("vaultconnections", "vault"), &leave).expect("leave");
    kept.ready("vaultauths", "far", "True");
    gone(directory, kept);
}

/// Uninstalled, after which nothing waits for an operator.
fn gone(directory: &Path, kept: &Kept) {
    run(directory, &format!("helm uninstall sidekey -n {SYSTEM} --wait --timeout 150s"));
    for (plural, name) in [("vaultstaticsecrets", "web"), ("vaultdynamicsecrets", "db")] {
        assert_eq!(kept.get(plural, name)["metadata"]["finalizers"], Value::Null, "{name}");
        assert!(api::get(&kept.secret_path(name)).ok(), "the Secret {name} stays");
    }
    let left = run(
        directory,
        &format!("kubectl -n {SYSTEM} get all,vaultauths,vaultconnections,serviceaccounts,roles,rolebindings -o name"),
    );
    let left: Vec<_> = left.lines().filter(|line| !line.ends_with("serviceaccount/default")).collect();
    assert!(left.is_empty(), "{left:?}");
    let wide = run(
        directory,
        "kubectl get clusterroles,clusterrolebindings -o name -l app.kubernetes.io/name=sidekey-operator",
    );
    assert_eq!(wide, "", "cluster-wide");
}
