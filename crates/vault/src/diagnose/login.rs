//! How far a login came.
//!
//! Measured on Vault 1.21: the Kubernetes method looks at the role, then bound addresses, config, audience, dates, service
//! account, namespace, and then asks Kubernetes. Each stage but two has words of its own; mount and review answer alike.

use sidekey_core::Sensitive;
use sidekey_core::contract::{Auth, AuthMethod, Dialect, PodIdentity};

use super::ask;
use super::server::is_about_server;
use crate::ask::Ask;
use crate::claims::Claims;
use crate::client::Client;
use crate::error::{Class, VaultError};

/// A name no role is bound to, unless it is bound to all.
const NOBODY: &str = "sidekey-probe-nobody";

/// The wildcard with the quotes that a form or a shell left around it.
const LITERAL_STAR: &str = "\"*\"";

/// Who logs in where.
pub(super) struct Scene<'a> {
    pub(super) client: &'a Client,
    pub(super) auth: &'a Auth,
    pub(super) pod: &'a PodIdentity,
    pub(super) dialect: Option<Dialect>,
    /// `None` without a token, `Some(None)` with one that is no JWT.
    pub(super) claims: Option<Option<Claims>>,
}

/// The stage at which a login ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing to do with the login.
    Server,
    /// A question found the server out of order where the login did not.
    ServerNow(Box<VaultError>),
    MountAbsent,
    /// Another method's words.
    MountOther,
    Unconfigured,
    RoleMissing,
    /// The names bound are others; `star` when one is the wildcard with its quotes.
    Account {
        star: Star,
    },
    Namespace {
        star: Star,
    },
    Audience,
    /// `exp`, `nbf` or `iat`.
    Dates,
    Issuer,
    /// No JWT, or one the method cannot read.
    Token,
    /// Kubernetes did not confirm the token, or could not be asked. `sure` when a question reached the claims' checks,
    /// so that bound addresses are not the cause.
    Review {
        sure: bool,
    },
    Other,
}

/// Whether a role holds `"*"` where it should hold `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Star {
    Yes,
    No,
    /// Without a token's claims it cannot be asked.
    Unknown,
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        client: &'a Client,
        auth: &'a Auth,
        pod: &'a PodIdentity,
        dialect: Option<Dialect>,
        jwt: Option<&Sensitive<String>>,
    ) -> Self {
        Self { client, auth, pod, dialect, claims: jwt.map(|jwt| Claims::read(jwt.expose())) }
    }

    pub(super) fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref().and_then(Option::as_ref)
    }

    /// `auth/<mount>` without slashes at its ends.
    pub(super) fn mount(&self) -> String {
        let mount = self.auth.mount.trim_matches('/');
        if mount.starts_with("auth/") { mount.to_owned() } else { format!("auth/{mount}") }
    }

    /// Namespace and service account as the token has them, else as the pod says.
    pub(super) fn account(&self) -> (&str, &str) {
        let said = (self.pod.namespace.as_str(), self.pod.service_account.as_str());
        self.claims().and_then(Claims::account).unwrap_or(said)
    }
}

/// Climbs as far as the answer itself does not settle.
pub(super) async fn find(scene: &Scene<'_>, error: &VaultError) -> Finding {
    if matches!(scene.claims, Some(None)) {
        return Finding::Token;
    }
    match read(error, &scene.auth.method) {
        Finding::Account { .. } => {
            Finding::Account { star: star(scene, |scene, name| (scene.account().0.to_owned(), name)).await }
        }
        Finding::Namespace { .. } => {
            Finding::Namespace { star: star(scene, |scene, name| (name, scene.account().1.to_owned())).await }
        }
        Finding::Other if error.class == Class::Denied => climb(scene, error).await,
        Finding::Server if error.class == Class::Timeout => climb(scene, error).await,
        settled => settled,
    }
}

/// What the words alone say.
pub(super) fn read(error: &VaultError, method: &AuthMethod) -> Finding {
    let says = |words: &str| error.says(words);
    let kubernetes = *method == AuthMethod::Kubernetes;
    if is_about_server(error) {
        return Finding::Server;
    }
    match () {
        () if says("invalid role name") => Finding::RoleMissing,
        () if says("could not load backend configuration") => Finding::Unconfigured,
        () if says("service account name not authorized") => Finding::Account { star: Star::Unknown },
        () if says("namespace not authorized") => Finding::Namespace { star: Star::Unknown },
        () if says("invalid audience (aud) claim") || says("audience claim") || says("bound audience") => {
            Finding::Audience
        }
        () if says("(exp) claim") || says("(nbf) claim") || says("(iat) claim") || says("token is expired") => {
            Finding::Dates
        }
        () if says("issuer (iss) claim") || says("claim \"iss\" is invalid") => Finding::Issuer,
        () if says("missing client token") || says("no handler for route") || says("namespace not found") => {
            Finding::MountAbsent
        }
        () if says("could not be found") && !kubernetes => Finding::RoleMissing,
        () if says("could not load configuration") && !kubernetes => Finding::Unconfigured,
        () if says("could not be found") || says("could not load configuration") => Finding::MountOther,
        () if says("role_id") || says("failed to determine alias name") || says("missing username") => {
            Finding::MountOther
        }
        () if matches!(error.class, Class::MethodNotAllowed | Class::Missing) => Finding::MountOther,
        () if says("could not parse UID") || says("missing jwt") || says("missing token") => Finding::Token,
        () => Finding::Other,
    }
}

/// From a bare refusal, or silence, to the stage that gave it.
async fn climb(scene: &Scene<'_>, error: &VaultError) -> Finding {
    match login(scene, "{}").await {
        Err(probe) if probe.says("missing role") => {}
        Err(probe) if is_about_server(&probe) && error.class == Class::Timeout => return Finding::Server,
        Err(probe) if is_about_server(&probe) => return Finding::ServerNow(Box::new(probe)),
        Err(probe) if probe.class == Class::Denied || probe.says("missing client token") => {
            return Finding::MountAbsent;
        }
        Err(probe) => {
            return match read(&probe, &scene.auth.method) {
                Finding::Other => Finding::MountOther,
                settled => settled,
            };
        }
        Ok(()) => return Finding::Other,
    }
    let Some(claims) = scene.claims() else { return Finding::Review { sure: false } };
    if claims.expires().is_some_and(|expires| expires < now()) {
        return Finding::Dates;
    }
    match login(scene, &body(scene, &claims.unsigned(NOBODY, NOBODY))).await {
        Err(probe) => match read(&probe, &scene.auth.method) {
            Finding::Account { .. } | Finding::Namespace { .. } => Finding::Review { sure: true },
            // A role open to all names sends even this to Kubernetes, so silence is the review's too.
            Finding::Other | Finding::Server => Finding::Review { sure: false },
            settled => settled,
        },
        Ok(()) => Finding::Other,
    }
}

/// Asks with an unsigned token whether `"*"` itself is a bound name: only then its answer differs from anybody's.
async fn star(scene: &Scene<'_>, identity: impl Fn(&Scene<'_>, String) -> (String, String)) -> Star {
    let Some(claims) = scene.claims() else { return Star::Unknown };
    let mut answers = Vec::new();
    for name in [LITERAL_STAR, NOBODY] {
        let (namespace, account) = identity(scene, name.to_owned());
        match login(scene, &body(scene, &claims.unsigned(&namespace, &account))).await {
            Err(error) if error.status.is_some() && !is_about_server(&error) => {
                answers.push(read(&error, &scene.auth.method));
            }
            _ => return Star::Unknown,
        }
    }
    let refused = |finding: &Finding| matches!(finding, Finding::Account { .. } | Finding::Namespace { .. });
    match answers.as_slice() {
        [star, nobody] if refused(nobody) && star != nobody => Star::Yes,
        [star, _] if refused(star) => Star::No,
        _ => Star::Unknown,
    }
}

fn body(scene: &Scene<'_>, jwt: &str) -> String {
    serde_json::json!({ "role": scene.auth.role, "jwt": jwt }).to_string()
}

async fn login(scene: &Scene<'_>, body: &str) -> Result<(), VaultError> {
    let question = Ask::put(format!("{}/login", scene.mount()), body.as_bytes().to_vec()).repeatable();
    ask(scene.client, &question).await.map(drop)
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_stage_from_vaults_words() {
        use AuthMethod::{Jwt, Kubernetes};
        let cases = [
            (400, "invalid role name \"web\"", Kubernetes, Finding::RoleMissing),
            (500, "could not load backend configuration", Kubernetes, Finding::Unconfigured),
            (403, "service account name not authorized", Kubernetes, Finding::Account { star: Star::Unknown }),
            (
                500,
                "namespace not authorized err=namespace lookup failed",
                Kubernetes,
                Finding::Namespace { star: Star::Unknown },
            ),
            (
                403,
                "invalid audience (aud) claim: audience claim does not match any expected audience",
                Kubernetes,
                Finding::Audience,
            ),
            (403, "invalid expiration time (exp) claim: token is expired", Kubernetes, Finding::Dates),
            (403, "invalid not before (nbf) claim: token not yet valid", Kubernetes, Finding::Dates),
            (403, "invalid issuer (iss) claim", Kubernetes, Finding::Issuer),
            (400, "missing client token", Kubernetes, Finding::MountAbsent),
            (404, "no handler for route \"auth/x/login\". route entry not found.", Kubernetes, Finding::MountAbsent),
            (404, "namespace not found", Kubernetes, Finding::MountAbsent),
            (400, "role \"web\" could not be found", Kubernetes, Finding::MountOther),
            (400, "role \"web\" could not be found", Jwt, Finding::RoleMissing),
            (400, "could not load configuration", Jwt, Finding::Unconfigured),
            (500, "failed to determine alias name from login request", Kubernetes, Finding::MountOther),
            (405, "unsupported operation", Kubernetes, Finding::MountOther),
            (403, "permission denied", Kubernetes, Finding::Other),
            (503, "Vault is sealed", Kubernetes, Finding::Server),
            (429, "rate limit quota exceeded", Kubernetes, Finding::Server),
        ];
        for (status, words, method, want) in cases {
            let error = VaultError::answered("POST", "auth/kubernetes/login", status, Some(&[words.to_owned()]));
            assert_eq!(read(&error, &method), want, "{status} {words}");
        }
    }
}
