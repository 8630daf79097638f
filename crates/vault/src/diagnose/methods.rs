//! How far a login came that shows no service account token: each method has words of its own.

use sidekey_core::contract::{Auth, AuthMethod, Dialect};
use sidekey_core::{Cause, Code};

use super::keys::Keys;
use super::server::is_about_server;
use super::{ask, server};
use crate::ask::Ask;
use crate::client::Client;
use crate::error::{Class, VaultError};

/// The stage at which such a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Server,
    MountAbsent,
    MountOther,
    SecretId,
    RoleMissing,
    NoCertificate,
    Certificate,
    /// AWS itself said no to what Vault sent on.
    Aws,
    Principal,
    ServerId,
    TokenDead,
    Other,
}

pub(super) async fn cause(client: &Client, auth: &Auth, dialect: Option<Dialect>, error: &VaultError) -> Cause {
    let finding = match read(error, &auth.method) {
        Finding::Other if error.class == Class::Denied => probe(client, auth).await,
        settled => settled,
    };
    let attempted = attempted(client, auth);
    if finding == Finding::Server {
        return server::cause(error, client.server(), dialect, attempted);
    }
    let (code, fix) = fix(client, auth, dialect, finding);
    Cause::new(code, attempted, error.answer()).with_fix(fix.unwrap_or_else(|| code.advice().to_owned()))
}

/// What the words alone say; those of Vault 1.21 and of OpenBao 2.
fn read(error: &VaultError, method: &AuthMethod) -> Finding {
    let says = |words: &[&str]| words.iter().any(|words| error.says(words));
    match method {
        _ if is_about_server(error) => Finding::Server,
        AuthMethod::TokenFile if matches!(error.class, Class::InvalidToken | Class::Denied) => Finding::TokenDead,
        _ if says(&["no handler for route", "missing client token", "namespace not found"]) => Finding::MountAbsent,
        AuthMethod::AppRole(_) if says(&["role or secret ID", "invalid secret id", "invalid role ID", "_id"]) => {
            Finding::SecretId
        }
        AuthMethod::Cert(_) if says(&["certificate must be supplied", "tls connection required"]) => {
            Finding::NoCertificate
        }
        AuthMethod::Cert(_) if says(&["certificate"]) => Finding::Certificate,
        AuthMethod::Aws(_) if says(&["IAM-Server-ID", "Iam-Server-Id"]) => Finding::ServerId,
        AuthMethod::Aws(_) if says(&["does not belong to", "not bound", "IAM Principal"]) => Finding::Principal,
        AuthMethod::Aws(_) if says(&["from STS", "upstream request", "ErrorResponse"]) => Finding::Aws,
        AuthMethod::Aws(_) if says(&["entry for role", "unknown role"]) => Finding::RoleMissing,
        _ if matches!(error.class, Class::MethodNotAllowed | Class::Missing) => Finding::MountOther,
        _ if says(&["missing role", "missing jwt", "missing token", "missing username"]) => Finding::MountOther,
        _ => Finding::Other,
    }
}

/// Vault denies what is sent to an absent mount; a mount of the method wants more than nothing.
async fn probe(client: &Client, auth: &Auth) -> Finding {
    let question = Ask::put(format!("{}/login", auth.mount.trim_matches('/')), b"{}".to_vec()).repeatable();
    match ask(client, &question).await {
        Err(error) if error.class == Class::Denied || error.says("missing client token") => Finding::MountAbsent,
        _ => Finding::Other,
    }
}

fn attempted(client: &Client, auth: &Auth) -> String {
    let server = client.server();
    let vault =
        server.namespace.as_ref().map_or_else(String::new, |namespace| format!(" in Vault namespace {namespace}"));
    let place = format!("{} of {}{vault}", auth.mount.trim_matches('/'), server.address);
    match &auth.method {
        AuthMethod::TokenFile => format!("looking up the token of {} at {}{vault}", auth.token_file, server.address),
        AuthMethod::AppRole(files) => format!("logging in at {place} with the role id of {}", files.role_id_file),
        AuthMethod::Cert(cert) if cert.name.is_empty() => format!("logging in at {place} by certificate"),
        AuthMethod::Cert(cert) => format!("logging in at {place} by certificate as {}", cert.name),
        _ => format!("logging in at {place} as role {}", auth.role),
    }
}

fn fix(client: &Client, auth: &Auth, dialect: Option<Dialect>, finding: Finding) -> (Code, Option<String>) {
    let (keys, mount) = (Keys(dialect), auth.mount.trim_matches('/'));
    let name = auth.method.name();
    match finding {
        Finding::MountAbsent => {
            let namespace = client.server().namespace.as_deref().unwrap_or("none");
            let path = mount.strip_prefix("auth/").unwrap_or(mount);
            let fix = format!(
                "Enable it: `vault auth enable -path={path} {name}`; or correct {} (now {mount}) or {} (now {namespace}).",
                keys.auth_path(),
                keys.namespace()
            );
            (Code::AuthMountAbsent, Some(fix))
        }
        Finding::MountOther => {
            let key = keys.auth_path();
            let fix = format!("Point {key} (now {mount}) at a mount of type {name}: `vault auth list` shows them.");
            (Code::AuthMethodOther, Some(fix))
        }
        Finding::SecretId => (Code::AuthSecretId, secret_id(auth, mount)),
        Finding::RoleMissing => {
            (Code::AuthRoleMissing, Some(format!("Create {mount}/role/{}, or correct {}.", auth.role, keys.role())))
        }
        Finding::NoCertificate => (Code::AuthCertificate, Some(no_certificate(keys))),
        Finding::Certificate => {
            let fix = format!(
                "`vault list {mount}/certs` shows the roles: one must trust the certificate's CA and allow its names; \
                 and it must be in force."
            );
            (Code::AuthCertificate, Some(fix))
        }
        Finding::Aws => (Code::AuthAws, None),
        Finding::Principal => {
            let fix = format!("Add the principal to bound_iam_principal_arn: `vault read {mount}/role/{}`.", auth.role);
            (Code::AuthPrincipal, Some(fix))
        }
        Finding::ServerId => {
            let key = keys.auth_config("header-value");
            let fix = format!("Write iam_server_id_header_value of `vault read {mount}/config/client` into {key}.");
            (Code::AuthDenied, Some(fix))
        }
        Finding::TokenDead => {
            let fix = format!("Put a token that lives into {}; the agent reads it again.", auth.token_file);
            (Code::TokenDead, Some(fix))
        }
        Finding::Other | Finding::Server => (Code::AuthDenied, None),
    }
}

fn no_certificate(keys: Keys) -> String {
    format!(
        "Give the agent one by {} and {}, and let Vault's listener ask for it: no proxy that ends TLS may stand \
         between, and tls_disable_client_certs must be off.",
        keys.auth_config("client-cert"),
        keys.auth_config("client-key")
    )
}

fn secret_id(auth: &Auth, mount: &str) -> Option<String> {
    let AuthMethod::AppRole(files) = &auth.method else { return None };
    Some(match &files.secret_id_file {
        Some(file) => format!(
            "The secret id of {file} may be used up, expired, or of another role than {}: issue a new one with \
             `vault write -f {mount}/role/ROLE/secret-id`.",
            files.role_id_file
        ),
        None => format!("Check {}; a role with bind_secret_id wants a secret id, too.", files.role_id_file),
    })
}

#[cfg(test)]
mod tests {
    use sidekey_core::contract::{AppRole, Aws, Cert};

    use super::*;

    #[test]
    fn reads_the_stage_from_vaults_words() {
        let approle = || AuthMethod::AppRole(AppRole::default());
        let cert = || AuthMethod::Cert(Cert::default());
        let aws = || AuthMethod::Aws(Aws::default());
        let cases = [
            (400, "invalid role or secret ID", approle(), Finding::SecretId),
            (400, "missing secret_id", approle(), Finding::SecretId),
            (400, "missing role", approle(), Finding::MountOther),
            (403, "permission denied", approle(), Finding::Other),
            (404, "no handler for route \"auth/x/login\"", approle(), Finding::MountAbsent),
            (400, "client certificate must be supplied", cert(), Finding::NoCertificate),
            (400, "invalid certificate or no client certificate supplied", cert(), Finding::Certificate),
            (
                400,
                "no chain matching all constraints could be found for this login certificate",
                cert(),
                Finding::Certificate,
            ),
            (400, "missing role", cert(), Finding::MountOther),
            (
                400,
                "error making upstream request: received error code 403 from STS: <ErrorResponse>",
                aws(),
                Finding::Aws,
            ),
            (
                400,
                "IAM Principal \"arn:aws:sts::1:assumed-role/x/y\" does not belong to the role \"web\"",
                aws(),
                Finding::Principal,
            ),
            (400, "entry for role \"web\" not found", aws(), Finding::RoleMissing),
            (
                400,
                "error validating X-Vault-AWS-IAM-Server-ID header: expected \"a\" but got \"b\"",
                aws(),
                Finding::ServerId,
            ),
            (403, "permission denied", AuthMethod::TokenFile, Finding::TokenDead),
            (503, "Vault is sealed", aws(), Finding::Server),
        ];
        for (status, words, method, want) in cases {
            let error = VaultError::answered("POST", "auth/x/login", status, Some(&[words.to_owned()]));
            assert_eq!(read(&error, &method), want, "{status} {words}");
        }
    }
}
