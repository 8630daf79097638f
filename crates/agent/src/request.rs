//! One step's request to Vault, as a task of its own: it takes what it needs along and owns no state.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sidekey_core::contract::{Action, Auth};
use sidekey_core::planner::{Step, TokenId};
use sidekey_core::{AgentConfig, Cause, Lookup, Response, Sensitive};
use sidekey_vault::{Client, Grant, Mounts, Renewal, Unready, VaultError, diagnose};

use crate::action;
use crate::credential::{Source, service_account};
use crate::trouble::Subject;

/// A request on its way. Boxed where it is made, each in a frame of its own: the memory that a stack once took stays taken, and
/// all of them side by side in their caller's frame were the agent's deepest point.
pub(crate) type Task = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What a task brings back. The first number is the login it was for.
pub(crate) enum Done {
    /// A step's answer.
    Answered(usize, Step, Result<Answer, VaultError>),
    /// A login that never left: there is nothing to show.
    NoCredential(usize, Cause),
    /// Whether a token that was denied something lives.
    Probed(usize, TokenId, Result<bool, VaultError>),
    /// What is behind a failure.
    Explained(Subject, Cause),
    /// An action after a change, and what came of it.
    Acted(Action, Result<(), String>),
    /// A lease that was replaced, and what came of its revocation.
    Retired(String, Result<(), VaultError>),
    /// The token in a wrapping, for the sink of that place.
    Wrapped(usize, Result<Sensitive<String>, VaultError>),
}

/// A good answer.
pub(crate) enum Answer {
    /// To a login.
    Grant(Grant),
    /// To a renewal, of token or lease.
    Renewal(Renewal),
    /// To a lookup.
    Response(Response),
    /// To a revocation.
    Revoked,
}

/// Logs in with the credential as it is now: the kubelet replaces tokens.
#[inline(never)]
pub(crate) fn log_in(login: usize, client: Client, source: Source) -> Task {
    Box::pin(async move {
        match source.credential(&client).await {
            Ok(credential) => {
                Done::Answered(login, Step::LogIn, client.login(source.auth(), &credential).await.map(Answer::Grant))
            }
            Err(Unready::Cause(cause)) => Done::NoCredential(login, cause),
            Err(Unready::Vault(error)) => Done::Answered(login, Step::LogIn, Err(error)),
        }
    })
}

/// Extends the own token.
#[inline(never)]
pub(crate) fn renew_token(login: usize, client: Client, auth: Auth, token: Sensitive<String>) -> Task {
    Box::pin(async move {
        let answer = match client.of_login(&auth) {
            Ok(client) => client.renew_token(&token).await.map(Answer::Renewal),
            Err(error) => Err(error),
        };
        Done::Answered(login, Step::RenewToken, answer)
    })
}

/// Asks for a secret.
#[inline(never)]
pub(crate) fn fetch(
    login: usize,
    client: Client,
    token: Sensitive<String>,
    lookup: Lookup,
    mounts: Arc<Mounts>,
) -> Task {
    Box::pin(async move {
        let answer = client.fetch(&token, &lookup, &mounts).await.map(Answer::Response);
        Done::Answered(login, Step::Fetch(lookup), answer)
    })
}

/// Extends a lease by what the server likes.
#[inline(never)]
pub(crate) fn renew_lease(
    login: usize,
    client: Client,
    token: Sensitive<String>,
    lookup: Lookup,
    lease: String,
) -> Task {
    Box::pin(async move {
        let answer = client.renew_lease(&token, &lease, None).await.map(Answer::Renewal);
        Done::Answered(login, Step::RenewLease(lookup), answer)
    })
}

/// Gives a superseded token back.
#[inline(never)]
pub(crate) fn revoke_token(login: usize, client: Client, token: Sensitive<String>, id: TokenId) -> Task {
    Box::pin(async move {
        Done::Answered(login, Step::RevokeToken(id), client.revoke_token(&token).await.map(|()| Answer::Revoked))
    })
}

/// Gives a lease back that another has replaced.
#[inline(never)]
pub(crate) fn revoke_lease(client: Client, token: Sensitive<String>, lease: String) -> Task {
    Box::pin(async move {
        let answer = client.revoke_lease(&token, &lease).await;
        Done::Retired(lease, answer)
    })
}

/// Puts the token into a wrapping for a reader.
#[inline(never)]
pub(crate) fn wrap(client: Client, token: Sensitive<String>, ttl: Duration, sink: usize) -> Task {
    Box::pin(async move { Done::Wrapped(sink, client.wrap_token(&token, ttl).await) })
}

/// Asks whether a token lives; `telling` says whether a denied look-up means that it does not.
#[inline(never)]
pub(crate) fn probe(login: usize, client: Client, token: Sensitive<String>, id: TokenId, telling: bool) -> Task {
    Box::pin(async move { Done::Probed(login, id, client.token_lives(&token, telling).await) })
}

/// Does what is owed after a change.
#[inline(never)]
pub(crate) fn act(action: Action, env: Arc<BTreeMap<String, String>>) -> Task {
    Box::pin(async move {
        let result = action::perform(&action, &env, action::PATIENCE).await;
        Done::Acted(action, result)
    })
}

/// Asks what is behind a failure of a login or a lookup.
#[inline(never)]
pub(crate) fn explain(
    client: Client,
    token: Option<Sensitive<String>>,
    config: Arc<AgentConfig>,
    subject: Subject,
    error: VaultError,
) -> Task {
    Box::pin(async move {
        let cause = match (&subject, token) {
            (Subject::Secret(_, lookup), Some(token)) => {
                diagnose::fetch(&client, &token, lookup, config.dialect, &error).await
            }
            (Subject::Login(login), _) => {
                let auth = config.auth_of(*login);
                let jwt = service_account(auth).ok();
                diagnose::login(&client, auth, &config.pod, config.dialect, jwt.as_ref(), &error).await
            }
            (Subject::Secret(login, _) | Subject::Server(login), _) => {
                diagnose::transport(&error, config.server_of(*login))
            }
            (Subject::Sink(_) | Subject::State | Subject::StaleList | Subject::Listener, _) => {
                diagnose::transport(&error, &config.server)
            }
        };
        Done::Explained(subject, cause)
    })
}
