//! What a VaultAuth takes from a VaultAuthGlobal: its own fields win, then the method's block, then the top level.

use std::collections::BTreeMap;
use std::sync::Arc;

use sidekey_core::Cause;

use super::auth::{House, invalid};
use super::refer::{self, admits, find, refused};
use crate::cache::Cache;
use crate::types::Kind;
use crate::types::auth::{GlobalRef, VaultAuthSpec};
use crate::types::global::{Block, VaultAuthGlobalSpec};
use crate::types::methods::{AppRole, Aws, Gcp, Jwt, Kubernetes};
use crate::types::object::{Key, Object};

type Map = BTreeMap<String, String>;

/// The merged spec, and the global it was merged with.
///
/// # Errors
/// The global is missing, refuses the VaultAuth's namespace, or cannot be read.
pub fn merge(
    cache: &Cache,
    house: &House,
    auth: &Key,
    spec: VaultAuthSpec,
) -> Result<(VaultAuthSpec, Option<Arc<Object>>), Cause> {
    let Some(reference) = spec.vault_auth_global_ref.clone() else { return Ok((spec, None)) };
    let Some((key, object)) = referred(cache, house, auth, &reference)? else { return Ok((spec, None)) };
    let global: VaultAuthGlobalSpec = object.spec().map_err(|words| invalid(&key, &words))?;
    let from = refer::home(auth, house);
    if !admits(&global.allowed_namespaces, &key.namespace, from) {
        return Err(refused(&key, auth, format!("its allowedNamespaces do not have {from}")));
    }
    Ok((merged(spec, &reference, global), Some(object)))
}

fn referred(
    cache: &Cache,
    house: &House,
    auth: &Key,
    reference: &GlobalRef,
) -> Result<Option<(Key, Arc<Object>)>, Cause> {
    let (kind, home) = (Kind::VaultAuthGlobal, refer::home(auth, house));
    if let Some(name) = reference.name.as_deref().filter(|name| !name.is_empty()) {
        let namespace = reference.namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or(home);
        let object = find(cache, kind, namespace, name, auth)?;
        return Ok(Some((Key::new(kind, namespace, name), Arc::clone(object))));
    }
    if reference.allow_default != Some(true) {
        return Err(invalid(auth, "vaultAuthGlobalRef has neither a name nor allowDefault"));
    }
    if !house.default_globals {
        return Err(invalid(auth, "vaultAuthGlobalRef.allowDefault is switched off for this operator"));
    }
    for namespace in [home, &house.namespace] {
        if let Some(object) = cache.find(kind, namespace, "default") {
            return Ok(Some((Key::new(kind, namespace, "default"), Arc::clone(object))));
        }
    }
    find(cache, kind, &house.namespace, "default", auth).map(|_| None)
}

/// What a method's block says beside its own fields.
#[derive(Default)]
struct Around {
    namespace: Option<String>,
    mount: Option<String>,
    params: Map,
    headers: Map,
}

fn merged(mut spec: VaultAuthSpec, reference: &GlobalRef, global: VaultAuthGlobalSpec) -> VaultAuthSpec {
    fill(&mut spec.method, global.default_auth_method);
    let around = match spec.method.as_deref().unwrap_or_default() {
        "kubernetes" => block(&mut spec.kubernetes, global.kubernetes, kubernetes),
        "jwt" => block(&mut spec.jwt, global.jwt, jwt),
        "appRole" => block(&mut spec.app_role, global.app_role, app_role),
        "aws" => block(&mut spec.aws, global.aws, aws),
        "gcp" => block(&mut spec.gcp, global.gcp, gcp),
        _ => Around::default(),
    };
    fill(&mut spec.mount, around.mount);
    fill(&mut spec.mount, global.default_mount);
    fill(&mut spec.namespace, around.namespace);
    fill(&mut spec.namespace, global.default_vault_namespace);
    fill(&mut spec.vault_connection_ref, global.vault_connection_ref);
    let strategy = reference.merge_strategy.clone().unwrap_or_default();
    spec.headers = maps(strategy.headers.as_deref(), [spec.headers, around.headers, global.headers]);
    spec.params = maps(strategy.params.as_deref(), [spec.params, around.params, global.params]);
    spec
}

fn fill(own: &mut Option<String>, other: Option<String>) {
    if own.as_ref().is_none_or(String::is_empty) {
        *own = other;
    }
}

fn maps(strategy: Option<&str>, [own, block, top]: [Map; 3]) -> Map {
    match strategy {
        Some("union") => {
            let mut all = top;
            all.extend(block);
            all.extend(own);
            all
        }
        Some("replace") => [own, block, top].into_iter().find(|map| !map.is_empty()).unwrap_or_default(),
        _ => own,
    }
}

fn block<T: Default>(own: &mut Option<T>, global: Option<Block<T>>, merge: fn(&mut T, T)) -> Around {
    let Some(Block { namespace, mount, params, headers, method }) = global else { return Around::default() };
    merge(own.get_or_insert_default(), method);
    Around { namespace, mount, params, headers }
}

/// A block of its own has a lifetime of its own: the API server fills in the usual one where none is said.
const fn lifetime(own: &mut i64, other: i64) {
    if *own == 0 {
        *own = other;
    }
}

fn audiences(own: &mut Vec<String>, other: Vec<String>) {
    if own.is_empty() {
        *own = other;
    }
}

fn kubernetes(own: &mut Kubernetes, other: Kubernetes) {
    fill(&mut own.role, other.role);
    fill(&mut own.service_account, other.service_account);
    audiences(&mut own.audiences, other.audiences);
    lifetime(&mut own.token_expiration_seconds, other.token_expiration_seconds);
}

fn jwt(own: &mut Jwt, other: Jwt) {
    fill(&mut own.role, other.role);
    fill(&mut own.secret_ref, other.secret_ref);
    fill(&mut own.service_account, other.service_account);
    audiences(&mut own.audiences, other.audiences);
    lifetime(&mut own.token_expiration_seconds, other.token_expiration_seconds);
}

fn app_role(own: &mut AppRole, other: AppRole) {
    fill(&mut own.role_id, other.role_id);
    fill(&mut own.secret_ref, other.secret_ref);
    fill(&mut own.secret_id_path, other.secret_id_path);
}

fn aws(own: &mut Aws, other: Aws) {
    fill(&mut own.role, other.role);
    fill(&mut own.region, other.region);
    fill(&mut own.header_value, other.header_value);
    fill(&mut own.session_name, other.session_name);
    fill(&mut own.sts_endpoint, other.sts_endpoint);
    fill(&mut own.iam_endpoint, other.iam_endpoint);
    fill(&mut own.secret_ref, other.secret_ref);
    fill(&mut own.irsa_service_account, other.irsa_service_account);
}

fn gcp(own: &mut Gcp, other: Gcp) {
    fill(&mut own.role, other.role);
    fill(&mut own.workload_identity_service_account, other.workload_identity_service_account);
    fill(&mut own.region, other.region);
    fill(&mut own.cluster_name, other.cluster_name);
    fill(&mut own.project_id, other.project_id);
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "a table of json! reads better without ampersands")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What the VaultAuth is after merging, in what JSON has no null, no empty map and no empty list for.
    fn after(auth: Value, global: Value) -> Value {
        let spec: VaultAuthSpec = serde_json::from_value(auth).unwrap();
        let reference = spec.vault_auth_global_ref.clone().unwrap_or_default();
        let merged = merged(spec, &reference, serde_json::from_value(global).unwrap());
        let mut json = serde_json::to_value(VaultAuthSpec { vault_auth_global_ref: None, ..merged }).unwrap();
        prune(&mut json);
        json
    }

    fn prune(json: &mut Value) {
        let Some(map) = json.as_object_mut() else { return };
        map.values_mut().for_each(prune);
        map.retain(|_, value| !(value.is_null() || *value == json!({}) || *value == json!([])));
    }

    #[test]
    fn own_fields_win_then_the_methods_block_then_the_top_level() {
        let block = json!({ "role": "g", "serviceAccount": "g", "audiences": ["g"], "tokenExpirationSeconds": 900,
            "namespace": "block", "mount": "block" });
        let full = json!({ "defaultAuthMethod": "kubernetes", "defaultMount": "top", "defaultVaultNamespace": "top",
            "vaultConnectionRef": "top", "kubernetes": block });
        let whole = json!({ "method": "kubernetes", "mount": "block", "namespace": "block", "vaultConnectionRef": "top",
            "kubernetes": { "role": "g", "serviceAccount": "g", "audiences": ["g"], "tokenExpirationSeconds": 900 } });
        assert_eq!(after(json!({}), full.clone()), whole);
        assert_eq!(after(json!({ "method": "", "mount": "", "namespace": "" }), full.clone()), whole);
        let own = json!({ "method": "kubernetes", "mount": "m", "namespace": "n", "vaultConnectionRef": "c",
            "kubernetes": { "role": "r", "serviceAccount": "s", "audiences": ["a"], "tokenExpirationSeconds": 600 } });
        assert_eq!(after(own.clone(), full.clone()), own, "the floor of a lifetime is a lifetime like any other");
        let part = after(json!({ "kubernetes": { "role": "r" } }), full.clone());
        let filled = json!({ "role": "r", "serviceAccount": "g", "audiences": ["g"], "tokenExpirationSeconds": 600 });
        assert_eq!(part["kubernetes"], filled);
        let other = after(json!({ "method": "jwt", "jwt": { "role": "r" } }), full);
        assert_eq!(
            (&other["mount"], &other["kubernetes"]),
            (&json!("top"), &Value::Null),
            "another method's block is nobody's"
        );
    }

    #[test]
    fn the_block_of_each_method_is_filled_field_by_field() {
        let blocks = [
            (
                "jwt",
                json!({ "role": "g", "secretRef": "g", "serviceAccount": "g", "audiences": ["g"], "tokenExpirationSeconds": 700 }),
            ),
            ("appRole", json!({ "roleId": "g", "secretRef": "g", "secretIDPath": "g" })),
            (
                "aws",
                json!({ "role": "g", "region": "g", "headerValue": "g", "sessionName": "g", "stsEndpoint": "g",
                "iamEndpoint": "g", "secretRef": "g", "irsaServiceAccount": "g" }),
            ),
            (
                "gcp",
                json!({ "role": "g", "workloadIdentityServiceAccount": "g", "region": "g", "clusterName": "g", "projectID": "g" }),
            ),
        ];
        for (method, block) in blocks {
            let global = json!({ method: block });
            assert_eq!(after(json!({ "method": method }), global.clone())[method], block, "{method}");
            for field in block.as_object().unwrap().keys() {
                let said = match &block[field] {
                    Value::String(_) => json!("own"),
                    Value::Number(_) => json!(800),
                    _ => json!(["own"]),
                };
                let mut want = block.clone();
                want[field] = said.clone();
                if method == "jwt" && field != "tokenExpirationSeconds" {
                    want["tokenExpirationSeconds"] = json!(600);
                }
                let own = json!({ "method": method, method: { field.as_str(): said } });
                assert_eq!(after(own, global.clone())[method], want, "{method}.{field}");
            }
        }
    }

    #[test]
    fn maps_are_merged_as_the_strategy_says() {
        let global = json!({
            "headers": { "a": "top", "b": "top", "c": "top" },
            "jwt": { "headers": { "a": "block", "b": "block" }, "params": { "p": "block" } },
            "params": { "p": "top", "q": "top" },
        });
        let with = |strategy: Value, headers: Value| {
            let auth =
                json!({ "method": "jwt", "headers": headers, "vaultAuthGlobalRef": { "mergeStrategy": strategy } });
            let merged = after(auth, global.clone());
            json!([merged["headers"], merged["params"]])
        };
        let both = |strategy: &str| json!({ "headers": strategy, "params": strategy });
        let (own, none) = (json!({ "a": "own" }), json!({}));
        let cases = [
            (json!({}), own.clone(), json!([{ "a": "own" }, null])),
            (both("none"), none.clone(), json!([null, null])),
            (both("replace"), own.clone(), json!([{ "a": "own" }, { "p": "block" }])),
            (both("replace"), none.clone(), json!([{ "a": "block", "b": "block" }, { "p": "block" }])),
            (both("union"), own, json!([{ "a": "own", "b": "block", "c": "top" }, { "p": "block", "q": "top" }])),
            (json!({ "params": "union" }), none, json!([null, { "p": "block", "q": "top" }])),
        ];
        for (strategy, headers, want) in cases {
            assert_eq!(with(strategy.clone(), headers.clone()), want, "{strategy} {headers}");
        }
    }
}
