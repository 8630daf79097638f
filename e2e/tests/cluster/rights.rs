//! The webhook may do what it does and nothing else, as the API server's own authorizer answers (SubjectAccessReview, which
//! `kubectl auth can-i` asks too).

use sidekey_e2e::rights::{Right, allowed};

const USER: &str = "system:serviceaccount:sidekey:sidekey-webhook";

const MAY: [Right; 17] = [
    ("get", "admissionregistration.k8s.io/mutatingwebhookconfigurations", "", "sidekey-webhook"),
    ("patch", "admissionregistration.k8s.io/mutatingwebhookconfigurations", "", "sidekey-webhook"),
    ("watch", "admissionregistration.k8s.io/mutatingwebhookconfigurations", "", "sidekey-webhook"),
    ("list", "/nodes", "", ""),
    ("list", "/pods", "", ""),
    ("get", "/pods", "default", "web"),
    ("get", "/namespaces", "", "default"),
    ("create", "/events", "default", ""),
    ("get", "/secrets", "sidekey", "sidekey-webhook-ca"),
    ("update", "/secrets", "sidekey", "sidekey-webhook-ca"),
    ("watch", "/secrets", "sidekey", "sidekey-webhook-ca"),
    ("create", "/secrets", "sidekey", ""),
    ("get", "coordination.k8s.io/leases", "sidekey", "sidekey-webhook"),
    ("update", "coordination.k8s.io/leases", "sidekey", "sidekey-webhook"),
    ("get", "coordination.k8s.io/leases", "sidekey", "sidekey-webhook-leader"),
    ("update", "coordination.k8s.io/leases", "sidekey", "sidekey-webhook-leader"),
    ("create", "coordination.k8s.io/leases", "sidekey", ""),
];

const MAY_NOT: [Right; 31] = [
    ("patch", "admissionregistration.k8s.io/mutatingwebhookconfigurations", "", "another"),
    ("get", "admissionregistration.k8s.io/mutatingwebhookconfigurations", "", "another"),
    ("list", "admissionregistration.k8s.io/mutatingwebhookconfigurations", "", ""),
    ("watch", "admissionregistration.k8s.io/mutatingwebhookconfigurations", "", ""),
    ("delete", "admissionregistration.k8s.io/mutatingwebhookconfigurations", "", "sidekey-webhook"),
    ("patch", "admissionregistration.k8s.io/validatingwebhookconfigurations", "", "sidekey-webhook"),
    ("get", "/secrets", "sidekey", "another"),
    ("list", "/secrets", "sidekey", ""),
    ("watch", "/secrets", "sidekey", ""),
    ("watch", "/secrets", "default", "sidekey-webhook-ca"),
    ("delete", "/secrets", "sidekey", "sidekey-webhook-ca"),
    ("get", "/secrets", "default", "sidekey-webhook-ca"),
    ("create", "/secrets", "default", ""),
    ("list", "/secrets", "", ""),
    ("get", "/configmaps", "sidekey", "sidekey-settings"),
    ("list", "/configmaps", "", ""),
    ("create", "/pods", "default", ""),
    ("patch", "/pods", "default", "web"),
    ("delete", "/pods", "default", "web"),
    ("create", "/pods/exec", "default", "web"),
    ("create", "/pods/eviction", "default", "web"),
    ("get", "/pods/log", "default", "web"),
    ("create", "/serviceaccounts/token", "default", "default"),
    ("get", "/nodes", "", "node-1"),
    ("patch", "/namespaces", "", "default"),
    ("list", "/namespaces", "", ""),
    ("list", "/events", "default", ""),
    ("update", "coordination.k8s.io/leases", "sidekey", "another"),
    ("update", "coordination.k8s.io/leases", "kube-system", "kube-scheduler"),
    ("impersonate", "/users", "", "admin"),
    ("create", "rbac.authorization.k8s.io/clusterrolebindings", "", ""),
];

#[test]
fn the_webhook_may_do_what_it_does_and_nothing_else() {
    let missing: Vec<_> = MAY.into_iter().filter(|right| !allowed(USER, *right)).collect();
    assert_eq!(missing, [], "rights that it needs");
    let surplus: Vec<_> = MAY_NOT.into_iter().filter(|right| allowed(USER, *right)).collect();
    assert_eq!(surplus, [], "rights that it has no use for");
    println!("{} rights that it has, {} that it has not", MAY.len(), MAY_NOT.len());
}
