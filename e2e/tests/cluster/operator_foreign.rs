//! An operator beside a Vault Secrets Operator.

use serde_json::{Value, json};
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, Pod, Shape, api, setting};

/// Another operator's Lease in a namespace of the test's own: none of this cluster's objects must be touched by it.
#[test]
fn it_refuses_to_start_while_a_vault_secrets_operator_renews_the_lease() {
    let kept = Kept::new("op-foreign");
    let namespace = kept.sandbox.namespace.clone();
    let rbac = |plural: &str| format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{plural}");
    let rules =
        json!([{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "update", "create"]}]);
    api::create(&rbac("roles"), &json!({"metadata": {"name": "lease"}, "rules": rules})).expect("role");
    let subjects = json!([{"kind": "ServiceAccount", "name": "app", "namespace": namespace}]);
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lease"});
    let binding = json!({"metadata": {"name": "lease"}, "roleRef": role, "subjects": subjects});
    api::create(&rbac("rolebindings"), &binding).expect("role binding");
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
    let holder = "vault-secrets-operator-controller-manager-5d8f6c7b9-x2x4z_0b5a3f4e-6c1d-4e2f-9a8b-7c6d5e4f3a2b";
    let lease = |transitions: u64| {
        json!({"metadata": {"name": "b0d477c0.hashicorp.com"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": transitions}})
    };
    api::create(&leases, &lease(0)).expect("lease");
    let mut shape =
        Shape::new("second", &["operator", &format!("--compat-namespace={namespace}"), "--identity=second"])
            .spec("restartPolicy", json!("Never"))
            .spec("automountServiceAccountToken", json!(true));
    shape.manifest["spec"]["containers"][0]["image"] = json!(setting().control);
    let pod: Pod = kept.sandbox.start(&shape);
    let mut renewals = 0;
    let ended = until(seconds(90), "ended: the second operator", || {
        renewals += 1;
        api::patch(&format!("{leases}/b0d477c0.hashicorp.com"), &lease(renewals)).expect("renewal");
        let state = pod.container("app")["state"]["terminated"].clone();
        if state.is_object() { Ok(state) } else { Err(pod.log("app")) }
    });
    let log = pod.log("app");
    println!("{}", log.lines().last().unwrap_or_default());
    assert_ne!(ended["exitCode"], 0, "{log}");
    assert!(log.contains("SK7020") && log.contains(holder) && log.contains("Scale its Deployment to 0"), "{log}");
    let held: Value = api::get(&format!("{leases}/b0d477c0.hashicorp.com")).json();
    assert_eq!(held["spec"]["holderIdentity"], holder);
}
