//! The API server's own authorizer (SubjectAccessReview, which `kubectl auth can-i` asks too).

use serde_json::{Value, json};

use crate::api;

/// `verb`, `group/resource[/subresource]`, namespace, name; empty is all or any.
pub type Right<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Whether a service account, by its full user name, has the right.
///
/// # Panics
/// When the API server gives no answer.
pub fn allowed(user: &str, (verb, resource, namespace, name): Right<'_>) -> bool {
    let (group, resource) = resource.split_once('/').unwrap_or_else(|| panic!("{resource}: no group/resource"));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes = json!({"verb": verb, "group": group, "resource": resource, "subresource": subresource,
        "namespace": namespace, "name": name});
    let home = user.split(':').nth(2).unwrap_or_default();
    let groups = json!(["system:serviceaccounts", format!("system:serviceaccounts:{home}"), "system:authenticated"]);
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": groups, "resourceAttributes": attributes}});
    let answer = api::create("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).expect("a review");
    answer["status"]["allowed"] == Value::Bool(true)
}
