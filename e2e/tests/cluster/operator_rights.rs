//! The operator may do what it does and nothing else, by the API server's own word.

use sidekey_e2e::rights::{Right, allowed};

const USER: &str = "system:serviceaccount:vault-secrets-operator:sidekey-operator";
const LEASE: &str = "b0d477c0.hashicorp.com";

const KINDS: [&str; 12] = [
    "secrets.hashicorp.com/vaultconnections",
    "secrets.hashicorp.com/vaultauths",
    "secrets.hashicorp.com/vaultauthglobals",
    "secrets.hashicorp.com/vaultstaticsecrets",
    "secrets.hashicorp.com/vaultdynamicsecrets",
    "secrets.hashicorp.com/vaultpkisecrets",
    "secrets.hashicorp.com/secrettransformations",
    "secrets.hashicorp.com/hcpauths",
    "secrets.hashicorp.com/hcpvaultsecretsapps",
    "secrets.hashicorp.com/csisecrets",
    "sidekey.dev/clustervaultconnections",
    "sidekey.dev/clustervaultauths",
];

const MAY: [Right; 25] = [
    ("get", "/secrets", "default", "any"),
    ("list", "/secrets", "", ""),
    ("watch", "/secrets", "", ""),
    ("create", "/secrets", "default", ""),
    ("update", "/secrets", "default", "any"),
    ("delete", "/secrets", "default", "any"),
    // Of which connections name their CA.
    ("get", "/configmaps", "default", "any"),
    ("list", "/configmaps", "", ""),
    ("watch", "/configmaps", "", ""),
    ("get", "/serviceaccounts", "default", "default"),
    ("create", "/serviceaccounts/token", "default", "default"),
    ("create", "/events", "default", ""),
    ("patch", "apps/deployments", "default", "web"),
    // Which of them have the labels of a restart target.
    ("list", "apps/deployments", "default", ""),
    ("list", "apps/statefulsets", "default", ""),
    ("list", "apps/daemonsets", "default", ""),
    ("list", "argoproj.io/rollouts", "default", ""),
    ("patch", "apps/statefulsets", "default", "web"),
    ("patch", "apps/daemonsets", "default", "web"),
    ("patch", "argoproj.io/rollouts", "default", "web"),
    ("get", "coordination.k8s.io/leases", "vault-secrets-operator", LEASE),
    ("update", "coordination.k8s.io/leases", "vault-secrets-operator", LEASE),
    ("create", "coordination.k8s.io/leases", "vault-secrets-operator", ""),
    // Whose labels cluster-wide objects select by.
    ("list", "/namespaces", "", ""),
    ("watch", "/namespaces", "", ""),
];

const MAY_NOT: [Right; 38] = [
    ("deletecollection", "/secrets", "default", ""),
    ("patch", "/secrets", "default", "any"),
    ("list", "/serviceaccounts", "", ""),
    ("create", "/serviceaccounts", "default", ""),
    ("create", "/configmaps", "default", ""),
    ("update", "/configmaps", "default", "any"),
    ("get", "/pods", "default", "web"),
    ("list", "/pods", "", ""),
    ("create", "/pods", "default", ""),
    ("delete", "/pods", "default", "web"),
    ("create", "/pods/exec", "default", "web"),
    ("get", "/pods/log", "default", "web"),
    ("get", "/nodes", "", "node-1"),
    ("patch", "/namespaces", "", "default"),
    ("delete", "/namespaces", "", "default"),
    ("get", "apps/deployments", "default", "web"),
    ("watch", "apps/deployments", "", ""),
    ("delete", "apps/deployments", "default", "web"),
    ("create", "apps/deployments", "default", ""),
    ("patch", "apps/replicasets", "default", "web"),
    ("patch", "apps/deployments/scale", "default", "web"),
    ("get", "coordination.k8s.io/leases", "kube-system", "kube-scheduler"),
    ("update", "coordination.k8s.io/leases", "vault-secrets-operator", "another"),
    ("update", "apiextensions.k8s.io/customresourcedefinitions", "", "vaultauths.secrets.hashicorp.com"),
    ("list", "coordination.k8s.io/leases", "vault-secrets-operator", ""),
    ("patch", "coordination.k8s.io/leases", "vault-secrets-operator", LEASE),
    ("delete", "coordination.k8s.io/leases", "vault-secrets-operator", LEASE),
    ("create", "coordination.k8s.io/leases", "default", ""),
    ("get", "/events", "default", "any"),
    ("list", "/events", "", ""),
    ("patch", "/events", "default", "any"),
    ("delete", "/events", "default", "any"),
    ("update", "/configmaps", "vault-secrets-operator", "any"),
    ("patch", "/serviceaccounts", "default", "default"),
    ("get", "argoproj.io/rollouts", "default", "web"),
    ("get", "apiextensions.k8s.io/customresourcedefinitions", "", "vaultauths.secrets.hashicorp.com"),
    ("impersonate", "/users", "", "admin"),
    ("create", "rbac.authorization.k8s.io/clusterrolebindings", "", ""),
];

#[test]
fn the_operator_may_do_what_it_does_and_nothing_else() {
    let missing: Vec<_> = MAY.into_iter().filter(|right| !allowed(USER, *right)).collect();
    assert_eq!(missing, [], "rights that it needs");
    let surplus: Vec<_> = MAY_NOT.into_iter().filter(|right| allowed(USER, *right)).collect();
    assert_eq!(surplus, [], "rights that it has no use for");
    for kind in KINDS {
        let status = format!("{kind}/status");
        let needed =
            ["get", "list", "watch", "patch"].map(|verb| (verb, kind)).into_iter().chain([("patch", &*status)]);
        let missing: Vec<_> = needed.filter(|(verb, of)| !allowed(USER, (verb, of, "", ""))).collect();
        assert_eq!(missing, [], "rights that it needs");
        let unused = ["create", "update", "delete", "deletecollection"].map(|verb| (verb, kind));
        let unused = unused.into_iter().chain([("update", &*status)]);
        let surplus: Vec<_> = unused.filter(|(verb, of)| allowed(USER, (verb, of, "", ""))).collect();
        assert_eq!(surplus, [], "rights that it has no use for");
    }
    let of_kinds = 5 * KINDS.len();
    println!("{} rights that it has, {} that it has not", MAY.len() + of_kinds, MAY_NOT.len() + of_kinds);
}
