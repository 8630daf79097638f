//! How to log in: one type for each method that is served, one list of those that are not.

use serde::{Deserialize, Serialize};

use super::is_default;

/// How to log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Auth {
    /// The method.
    pub method: AuthMethod,
    /// Mount path with `auth/`, such as `auth/kubernetes`, without slashes at its ends.
    pub mount: String,
    /// Vault role; empty where the method has none, or a default of its own.
    pub role: String,
    /// The token that methods of tokens show; read again at every login. Empty for the others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token_file: String,
    /// Shortest wait after a failed login, milliseconds.
    #[serde(default = "default_min_backoff")]
    pub min_backoff_ms: u64,
    /// Longest wait after a failed login, milliseconds.
    #[serde(default = "default_max_backoff")]
    pub max_backoff_ms: u64,
}

/// The auth methods that are served, with what only they need. In JSON a method without more is its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Role and service account token, posted to `<mount>/login`.
    Kubernetes,
    /// The same body for a `jwt` mount.
    Jwt,
    /// Role id and secret id from files.
    #[serde(rename = "approle")]
    AppRole(AppRole),
    /// A client certificate of the TLS connection.
    Cert(Cert),
    /// A signed `sts:GetCallerIdentity` that Vault sends on.
    Aws(Aws),
    /// A token that somebody else keeps alive: looked up, never revoked.
    TokenFile,
}

/// `AppRole`'s files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AppRole {
    /// Holds the role id.
    pub role_id_file: String,
    /// Holds the secret id, or its wrapping token; `None` for roles without `bind_secret_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id_file: Option<String>,
    /// Remove the secret id's file once it is read; what it held is kept in the agent's private volume.
    #[serde(default, skip_serializing_if = "is_default")]
    pub remove_secret_id_file: bool,
    /// The file holds a wrapping token that must have been made by this path, such as `auth/approle/role/web/secret-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapping_path: Option<String>,
}

/// What differs, for the login alone, from the connection that secrets are read over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Cert {
    /// The one certificate role to try; empty tries all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// PEM file; `None` is the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// PEM file; `None` is the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<String>,
    /// PEM file; `None` is the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
}

/// The iam type. Keys come from the environment, a credentials file, or a web identity: never from here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Aws {
    /// AWS region; `None` is the environment's, else `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Value of `X-Vault-AWS-IAM-Server-ID`, when the mount wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_value: Option<String>,
    /// A credentials file in the agent container, before all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<String>,
}

impl Auth {
    /// Where, and as whom: `auth/kubernetes as web`.
    pub fn place(&self) -> String {
        match (&self.method, self.role.as_str()) {
            (AuthMethod::TokenFile, _) => format!("the token of {}", self.token_file),
            (_, "") => self.mount.clone(),
            (_, role) => format!("{} as {role}", self.mount),
        }
    }
}

impl AuthMethod {
    /// Vault's name of it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Jwt => "jwt",
            Self::AppRole(_) => "approle",
            Self::Cert(_) => "cert",
            Self::Aws(_) => "aws",
            Self::TokenFile => "token_file",
        }
    }

    /// Whether the agent shows the service account token of its pod.
    pub const fn shows_service_account(&self) -> bool {
        matches!(self, Self::Kubernetes | Self::Jwt)
    }

    /// Whether the token is another's, who also ends it.
    pub const fn borrows_token(&self) -> bool {
        matches!(self, Self::TokenFile)
    }
}

/// What becomes of a method's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// It is served.
    Served,
    /// It is refused at admission, for this reason.
    Refused(&'static str),
}

/// Every method that Vault Agent or OpenBao Agent knows.
pub const METHODS: &[(&str, Service)] = &[
    ("kubernetes", Service::Served),
    ("jwt", Service::Served),
    ("approle", Service::Served),
    ("cert", Service::Served),
    ("aws", Service::Served),
    ("token_file", Service::Served),
    (
        "gcp",
        Service::Refused(
            "it needs Google's metadata server or a signing service; a jwt mount takes the pod's own token",
        ),
    ),
    ("azure", Service::Refused("it needs Azure's metadata server; a jwt mount takes the pod's own token")),
    ("ldap", Service::Refused("it would keep a person's password in the pod")),
    ("alicloud", Service::Refused("its signing is not implemented; a jwt mount takes the pod's own token")),
    ("cf", Service::Refused("it belongs to Cloud Foundry's instances, not to pods")),
    ("oci", Service::Refused("its signing is not implemented; a jwt mount takes the pod's own token")),
    ("kerberos", Service::Refused("it needs a keytab and a Kerberos library in the pod")),
];

impl Service {
    /// What becomes of a method; `None` for a name that nobody knows.
    pub fn of(name: &str) -> Option<Self> {
        METHODS.iter().find(|(known, _)| *known == name).map(|(_, service)| *service)
    }

    /// The names that are served, as a message lists them.
    pub fn served() -> String {
        let served = METHODS.iter().filter(|(_, service)| *service == Self::Served);
        served.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

const fn default_min_backoff() -> u64 {
    1_000
}

const fn default_max_backoff() -> u64 {
    300_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_without_more_are_their_names() {
        let aws = Aws { region: Some("eu-west-1".to_owned()), ..Aws::default() };
        let approle = AppRole { role_id_file: "/r".to_owned(), ..AppRole::default() };
        let cases = [
            (AuthMethod::Kubernetes, r#""kubernetes""#),
            (AuthMethod::TokenFile, r#""token_file""#),
            (AuthMethod::AppRole(approle), r#"{"approle":{"roleIdFile":"/r"}}"#),
            (AuthMethod::Aws(aws), r#"{"aws":{"region":"eu-west-1"}}"#),
            (AuthMethod::Cert(Cert::default()), r#"{"cert":{}}"#),
        ];
        for (method, json) in cases {
            assert_eq!(serde_json::to_string(&method).unwrap(), json);
            assert_eq!(serde_json::from_str::<AuthMethod>(json).unwrap(), method);
            assert_eq!(Service::of(method.name()), Some(Service::Served));
        }
        assert!(serde_json::from_str::<AuthMethod>(r#"{"cert":{"nmae":"x"}}"#).is_err());
    }

    #[test]
    fn names_what_is_served() {
        assert_eq!(Service::served(), "kubernetes, jwt, approle, cert, aws, token_file");
        assert!(matches!(Service::of("gcp"), Some(Service::Refused(_))));
        assert_eq!(Service::of("kubernets"), None);
    }
}
