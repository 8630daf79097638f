//! What a login shows, and the request it becomes.

use sidekey_core::contract::{Auth, AuthMethod, Cert, Server};
use sidekey_core::{Cause, Sensitive};
use vaultrs::api::auth::approle::requests::LoginWithApproleRequest;
use vaultrs::api::auth::aws::requests::IamLoginRequest;
use vaultrs::api::auth::kubernetes::requests::LoginWithKubernetesRequest;
use vaultrs::api::auth::oidc::requests::JWTLoginRequest;
use zeroize::Zeroize;

use crate::ask::Ask;
use crate::aws::Signed;
use crate::error::{Class, VaultError};

/// What a login shows. No `Debug`.
#[derive(Clone)]
pub enum Credential {
    /// A service account token, or another JWT.
    Jwt(Sensitive<String>),
    /// Role id, and a secret id for roles that want one.
    AppRole {
        /// Who.
        role_id: Sensitive<String>,
        /// What only they know.
        secret_id: Option<Sensitive<String>>,
    },
    /// The TLS connection shows it.
    Certificate,
    /// A request to AWS that Vault sends on.
    Aws(Signed),
    /// A token that somebody else keeps alive.
    Token(Sensitive<String>),
}

/// Why there is nothing to show.
pub enum Unready {
    /// For a person to mend.
    Cause(Cause),
    /// Vault had to be asked, and did not answer as hoped; it may be a matter of time.
    Vault(VaultError),
}

impl From<Cause> for Unready {
    fn from(cause: Cause) -> Self {
        Self::Cause(cause)
    }
}

/// The request of a login; `None` for a token, which is looked up.
pub(crate) fn ask(auth: &Auth, credential: &Credential) -> Result<Ask, VaultError> {
    // vaultrs names auth mounts without their `auth/`.
    let mount = auth.mount.trim_matches('/');
    let mount = mount.strip_prefix("auth/").unwrap_or(mount).to_owned();
    let role = auth.role.clone();
    match (&auth.method, credential) {
        (AuthMethod::Kubernetes, Credential::Jwt(jwt)) => {
            let mut request = LoginWithKubernetesRequest { mount, role, jwt: jwt.expose().clone() };
            let ask = Ask::of(&request);
            request.jwt.zeroize();
            ask
        }
        (AuthMethod::Jwt, Credential::Jwt(jwt)) => {
            let role = Some(role).filter(|role| !role.is_empty());
            let mut request = JWTLoginRequest { mount, jwt: jwt.expose().clone(), role };
            let ask = Ask::of(&request);
            request.jwt.zeroize();
            ask
        }
        (AuthMethod::AppRole(_), Credential::AppRole { role_id, secret_id }) => {
            let secret_id = secret_id.as_ref().map_or_else(String::new, |id| id.expose().clone());
            let mut request = LoginWithApproleRequest { mount, role_id: role_id.expose().clone(), secret_id };
            let ask = Ask::of(&request);
            request.secret_id.zeroize();
            request.role_id.zeroize();
            ask
        }
        (AuthMethod::Cert(cert), Credential::Certificate) => Ok(certificate(&mount, cert)),
        (AuthMethod::Aws(_), Credential::Aws(signed)) => {
            let (mut body, mut headers) = (signed.body(), signed.headers());
            let mut request = IamLoginRequest {
                mount,
                role: Some(role).filter(|role| !role.is_empty()),
                iam_http_request_method: "POST".to_owned(),
                iam_request_url: signed.url(),
                iam_request_body: std::mem::take(&mut body),
                iam_request_headers: std::mem::take(&mut headers),
            };
            let ask = Ask::of(&request);
            request.iam_request_headers.zeroize();
            ask
        }
        _ => Err(VaultError::new("POST", &format!("auth/{mount}/login"), Class::BadRequest)
            .with_detail("the credential is of another method")),
    }
}

fn certificate(mount: &str, cert: &Cert) -> Ask {
    let body = match cert.name.as_str() {
        "" => serde_json::json!({}),
        name => serde_json::json!({ "name": name }),
    };
    Ask::put(format!("auth/{mount}/login"), body.to_string().into_bytes())
}

/// The server as a certificate's login reaches it; `None` when nothing differs.
pub(crate) fn server(server: &Server, method: &AuthMethod) -> Option<Server> {
    let AuthMethod::Cert(Cert { ca_file, cert_file, key_file, .. }) = method else { return None };
    if ca_file.is_none() && cert_file.is_none() && key_file.is_none() {
        return None;
    }
    let mut own = server.clone();
    if ca_file.is_some() {
        (own.ca_file, own.ca_pem, own.ca_dir) = (ca_file.clone(), None, None);
    }
    own.client_cert_file = cert_file.clone().or(own.client_cert_file);
    own.client_key_file = key_file.clone().or(own.client_key_file);
    Some(own)
}
