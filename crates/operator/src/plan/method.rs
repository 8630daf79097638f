//! A VaultAuth's method with its needed fields filled, or what of it is missing or not served.

use sidekey_core::{Cause, Code};

use super::auth::{House, invalid};
use crate::types::auth::VaultAuthSpec;
use crate::types::methods::{AppRole, Aws, Gcp, Jwt, Kubernetes};
use crate::types::object::Key;

/// A method with its needed fields filled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// A service account's token, at a `kubernetes` mount.
    Kubernetes(Account),
    /// The same at a `jwt` mount.
    JwtAccount(Account),
    /// A token from a Secret's key `jwt`.
    JwtSecret {
        /// Vault role.
        role: String,
        /// The Secret.
        secret: String,
    },
    /// Ids; the secret one from a Secret's key `id`.
    AppRoleSecret {
        /// The role id.
        role_id: String,
        /// The Secret.
        secret: String,
    },
    /// Ids; the secret one from a file.
    AppRoleFile {
        /// The role id.
        role_id: String,
        /// The file.
        path: String,
    },
    /// A request to AWS that Vault sends on.
    Aws(Amazon),
    /// A JWT of a Google service account.
    Gcp(Google),
}

/// An AWS identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amazon {
    /// Vault role.
    pub role: String,
    /// Region; the operator's own, else `us-east-1`, without one.
    pub region: Option<String>,
    /// Value of the server id header.
    pub header_value: Option<String>,
    /// Name of a web identity's session.
    pub session: Option<String>,
    /// Another STS.
    pub sts: Option<String>,
    /// Whose keys.
    pub keys: AmazonKeys,
}

/// Where AWS keys come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AmazonKeys {
    /// A Secret's keys `access_key_id`, `secret_access_key` and, if it has one, `session_token`.
    Secret(String),
    /// STS, for a token of a service account whose annotations name the IAM role.
    Account(String),
    /// The operator's own environment.
    Own,
}

/// A Google identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Google {
    /// Vault role.
    pub role: String,
    /// Service account whose annotation names the Google one.
    pub service_account: String,
    /// Project of the cluster.
    pub project: String,
    /// Region or zone of the cluster.
    pub location: String,
    /// Name of the cluster.
    pub cluster: String,
}

/// Whose token to ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Vault role.
    pub role: String,
    /// Service account.
    pub service_account: String,
    /// Audiences; the API server's own when empty.
    pub audiences: Vec<String>,
    /// Seconds.
    pub expiration: i64,
}

impl Method {
    /// As a VaultAuth writes it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kubernetes(_) => "kubernetes",
            Self::JwtAccount(_) | Self::JwtSecret { .. } => "jwt",
            Self::AppRoleSecret { .. } | Self::AppRoleFile { .. } => "appRole",
            Self::Aws(_) => "aws",
            Self::Gcp(_) => "gcp",
        }
    }

    /// The role, for messages.
    pub fn role(&self) -> &str {
        match self {
            Self::Kubernetes(account) | Self::JwtAccount(account) => &account.role,
            Self::JwtSecret { role, .. } => role,
            Self::AppRoleSecret { role_id, .. } | Self::AppRoleFile { role_id, .. } => role_id,
            Self::Aws(aws) => &aws.role,
            Self::Gcp(google) => &google.role,
        }
    }
}

/// Reads the method of a spec that is merged with its global.
///
/// # Errors
/// It is not served, not allowed, or lacks a field.
pub fn read(house: &House, key: &Key, spec: &VaultAuthSpec) -> Result<Method, Cause> {
    let named = spec.method.as_deref().unwrap_or_default();
    if !named.is_empty() && !house.methods.is_empty() && house.methods.iter().all(|allowed| allowed != named) {
        let cause = Cause::new(Code::AuthMethodRefused, format!("reading {key}"), format!("method {named}"));
        let allowed = house.methods.join(", ");
        return Err(cause.with_fix(format!("This operator allows {allowed} only (--allow-auth-method).")));
    }
    let need = Need { key, method: named };
    match named {
        "kubernetes" => kubernetes(&need, spec.kubernetes.clone().unwrap_or_default()),
        "jwt" => jwt(&need, spec.jwt.clone().unwrap_or_default()),
        "appRole" => app_role(&need, spec.app_role.clone().unwrap_or_default()),
        "aws" => aws(&need, spec.aws.clone().unwrap_or_default()),
        "gcp" => gcp(&need, spec.gcp.clone().unwrap_or_default()),
        "" => Err(invalid(key, "method is empty, and so is that of a VaultAuthGlobal")),
        other => {
            let cause = Cause::new(Code::AuthMethodRefused, format!("reading {key}"), format!("method {other}"));
            Err(cause.with_fix("Use kubernetes, jwt, appRole, aws or gcp."))
        }
    }
}

struct Need<'a> {
    key: &'a Key,
    method: &'a str,
}

impl Need<'_> {
    fn of(&self, value: Option<String>, field: &str) -> Result<String, Cause> {
        let Self { key, method } = self;
        filled(value).ok_or_else(|| invalid(key, &format!("the method {method} needs {method}.{field}")))
    }
}

fn filled(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}

fn kubernetes(need: &Need<'_>, own: Kubernetes) -> Result<Method, Cause> {
    let Kubernetes { role, service_account, audiences, token_expiration_seconds } = own;
    let (role, service_account) = (need.of(role, "role")?, need.of(service_account, "serviceAccount")?);
    let expiration = token_expiration_seconds.max(600);
    Ok(Method::Kubernetes(Account { role, service_account, audiences, expiration }))
}

fn jwt(need: &Need<'_>, own: Jwt) -> Result<Method, Cause> {
    let Jwt { role, secret_ref, service_account, audiences, token_expiration_seconds } = own;
    let role = need.of(role, "role")?;
    // Of two sources VSO takes the service account.
    if let (None, Some(secret)) = (filled(service_account.clone()), filled(secret_ref)) {
        return Ok(Method::JwtSecret { role, secret });
    }
    let service_account = need.of(service_account, "serviceAccount")?;
    let expiration = token_expiration_seconds.max(600);
    Ok(Method::JwtAccount(Account { role, service_account, audiences, expiration }))
}

fn app_role(need: &Need<'_>, own: AppRole) -> Result<Method, Cause> {
    let AppRole { role_id, secret_ref, secret_id_path } = own;
    let role_id = need.of(role_id, "roleId")?;
    match (filled(secret_id_path), filled(secret_ref)) {
        (Some(_), Some(_)) => Err(invalid(need.key, "appRole.secretIDPath and appRole.secretRef exclude each other")),
        (Some(path), None) => Ok(Method::AppRoleFile { role_id, path }),
        (None, secret) => Ok(Method::AppRoleSecret { role_id, secret: need.of(secret, "secretRef")? }),
    }
}

fn aws(need: &Need<'_>, own: Aws) -> Result<Method, Cause> {
    // Of two sources VSO takes the Secret.
    let keys = match (filled(own.secret_ref), filled(own.irsa_service_account)) {
        (Some(secret), _) => AmazonKeys::Secret(secret),
        (None, Some(account)) => AmazonKeys::Account(account),
        (None, None) => AmazonKeys::Own,
    };
    Ok(Method::Aws(Amazon {
        role: need.of(own.role, "role")?,
        region: filled(own.region),
        header_value: filled(own.header_value),
        session: filled(own.session_name),
        sts: filled(own.sts_endpoint),
        keys,
    }))
}

/// VSO asks Google's metadata service for what is left out; that would be the node's word, and tokens go to no such service.
fn gcp(need: &Need<'_>, own: Gcp) -> Result<Method, Cause> {
    let Gcp { role, workload_identity_service_account, region, cluster_name, project_id } = own;
    Ok(Method::Gcp(Google {
        role: need.of(role, "role")?,
        service_account: need.of(workload_identity_service_account, "workloadIdentityServiceAccount")?,
        project: need.of(project_id, "projectID")?,
        location: need.of(region, "region")?,
        cluster: need.of(cluster_name, "clusterName")?,
    }))
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "a table of json! reads better without ampersands")]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::types::Kind;

    fn words(spec: Value) -> String {
        let house = House { namespace: "house".into(), default_globals: true, methods: vec![], open_references: false };
        let key = Key::new(Kind::VaultAuth, "app", "a");
        match read(&house, &key, &serde_json::from_value(spec).unwrap()) {
            Ok(method) => format!("{} as {}: {method:?}", method.name(), method.role()),
            Err(cause) => format!("{} {}", cause.code, cause.answer),
        }
    }

    #[test]
    fn each_method_names_the_field_it_lacks() {
        let cases = [
            (json!({}), "method is empty"),
            (json!({ "method": "ldap" }), "method ldap"),
            (json!({ "method": "kubernetes" }), "needs kubernetes.role"),
            (json!({ "method": "kubernetes", "kubernetes": { "role": "r" } }), "needs kubernetes.serviceAccount"),
            (json!({ "method": "jwt", "jwt": { "role": "r" } }), "needs jwt.serviceAccount"),
            (json!({ "method": "jwt", "jwt": { "role": "r", "secretRef": "s" } }), "jwt as r: JwtSecret"),
            (json!({ "method": "appRole", "appRole": { "roleId": "r" } }), "needs appRole.secretRef"),
            (json!({ "method": "appRole", "appRole": { "roleId": "r", "secretIDPath": "/f" } }), "AppRoleFile"),
            (
                json!({ "method": "jwt", "jwt": { "role": "r", "secretRef": "s", "serviceAccount": "a" } }),
                "jwt as r: JwtAccount",
            ),
            (
                json!({ "method": "appRole", "appRole": { "roleId": "r", "secretRef": "s", "secretIDPath": "/f" } }),
                "appRole.secretIDPath and appRole.secretRef exclude each other",
            ),
            (json!({ "method": "aws" }), "needs aws.role"),
            (json!({ "method": "aws", "aws": { "role": "r" } }), "keys: Own"),
            (json!({ "method": "aws", "aws": { "role": "r", "secretRef": "s" } }), "keys: Secret(\"s\")"),
            (json!({ "method": "aws", "aws": { "role": "r", "irsaServiceAccount": "a" } }), "keys: Account(\"a\")"),
            (
                json!({ "method": "aws", "aws": { "role": "r", "secretRef": "s", "irsaServiceAccount": "a" } }),
                "keys: Secret(\"s\")",
            ),
            (json!({ "method": "gcp", "gcp": { "role": "r" } }), "needs gcp.workloadIdentityServiceAccount"),
            (
                json!({ "method": "gcp", "gcp": { "role": "r", "workloadIdentityServiceAccount": "a" } }),
                "needs gcp.projectID",
            ),
            (
                json!({ "method": "gcp", "gcp": { "role": "r", "workloadIdentityServiceAccount": "a", "projectID": "p",
                    "region": "l", "clusterName": "c" } }),
                "gcp as r",
            ),
        ];
        for (spec, want) in cases {
            let got = words(spec.clone());
            assert!(got.contains(want), "{spec}: {got}");
        }
    }
}
