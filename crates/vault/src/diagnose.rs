//! From a failed step to a cause that a person can act on. The one place that explains Vault.
//!
//! error → what its own words settle → a few harmless questions → what is left → Cause
//!
//! The questions are at most [`MAX_QUESTIONS`] for one failure, each with a short time limit. None carries the pod's
//! service account token.

mod fetch;
mod keys;
mod login;
mod login_text;
mod methods;
mod server;

use std::time::Duration;

use sidekey_core::contract::{Auth, Dialect, PodIdentity, Server};
use sidekey_core::{Cause, Lookup, Sensitive};
use tokio::sync::OnceCell;

use crate::answer::Answer;
use crate::ask::Ask;
use crate::client::Client;
use crate::error::{Class, VaultError};

/// Most requests made to explain one failure.
pub const MAX_QUESTIONS: usize = 4;

/// Longest wait for one of them.
const PATIENCE: Duration = Duration::from_secs(5);

/// Explains a failed login, in the words of the dialect if there is one. With `jwt` its claims are read here, to name what
/// the role does not take; it is not sent.
///
/// What one `403 permission denied` hides is told apart by the order of Vault's own checks: mount, role, bound addresses,
/// config, audience and dates, service account, namespace, and last the review by Kubernetes.
pub async fn login(
    client: &Client,
    auth: &Auth,
    pod: &PodIdentity,
    dialect: impl Into<Option<Dialect>>,
    jwt: Option<&Sensitive<String>>,
    error: &VaultError,
) -> Cause {
    let dialect = dialect.into();
    if !auth.method.shows_service_account() {
        return methods::cause(client, auth, dialect, error).await;
    }
    let scene = login::Scene::new(client, auth, pod, dialect, jwt);
    let finding = login::find(&scene, error).await;
    login_text::cause(&scene, error, &finding)
}

/// Explains a failed lookup.
pub async fn fetch(
    client: &Client,
    token: &Sensitive<String>,
    lookup: &Lookup,
    dialect: impl Into<Option<Dialect>>,
    error: &VaultError,
) -> Cause {
    fetch_seeing(client, token, lookup, dialect, error, &Sight::default()).await
}

/// [`fetch`], for one of many lookups that fail under the same token: what is asked about the token alone is asked once.
pub async fn fetch_seeing(
    client: &Client,
    token: &Sensitive<String>,
    lookup: &Lookup,
    dialect: impl Into<Option<Dialect>>,
    error: &VaultError,
    sight: &Sight,
) -> Cause {
    fetch::cause(&fetch::Scene { client, token, lookup, error, sight }, dialect.into()).await
}

/// Which mounts a token may see, once that has been asked: of one token, in one Vault namespace. A refusal is kept as well, no
/// other failure is.
#[derive(Debug, Default)]
pub struct Sight(OnceCell<Option<fetch::Visible>>);

/// Explains a failure to get an answer of Vault at all; any other failure in general words.
pub fn transport(error: &VaultError, server: &Server) -> Cause {
    let attempted = format!("asking {} for {} {}", server.address, error.verb, error.path);
    server::cause(error, server, None, attempted)
}

/// One question, within [`PATIENCE`].
async fn ask(client: &Client, ask: &Ask) -> Result<Answer, VaultError> {
    match tokio::time::timeout(PATIENCE, client.ask(ask)).await {
        Ok(answer) => answer,
        Err(_) => Err(ask.error(Class::Timeout)),
    }
}
