//! One step's request to Vault, as a task of its own: it takes what it needs along and owns no state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sidekey_core::contract::{Action, Auth};
use sidekey_core::planner::{Step, TokenId};
use sidekey_core::{AgentConfig, Cause, Lookup, Response, Sensitive};
use sidekey_vault::{Client, Grant, Mounts, Renewal, TokenInfo, Unready, VaultError, diagnose};

use crate::action;
use crate::credential::{Source, service_account};
use crate::trouble::Subject;

/// What a task brings back. The first number is the login it was for.
pub(crate) enum Done {
    /// A step's answer.
    Answered(usize, Step, Result<Answer, VaultError>),
    /// A login that never left: there is nothing to show.
    NoCredential(usize, Cause),
    /// What the server says of a token that was denied something.
    Probed(usize, TokenId, Result<TokenInfo, VaultError>),
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
pub(crate) async fn log_in(login: usize, client: Client, source: Source) -> Done {
    match source.credential(&client).await {
        Ok(credential) => {
            Done::Answered(login, Step::LogIn, client.login(source.auth(), &credential).await.map(Answer::Grant))
        }
        Err(Unready::Cause(cause)) => Done::NoCredential(login, cause),
        Err(Unready::Vault(error)) => Done::Answered(login, Step::LogIn, Err(error)),
    }
}

/// Extends the own token.
pub(crate) async fn renew_token(login: usize, client: Client, auth: Auth, token: Sensitive<String>) -> Done {
    let answer = match client.of_login(&auth) {
        Ok(client) => client.renew_token(&token).await.map(Answer::Renewal),
        Err(error) => Err(error),
    };
    Done::Answered(login, Step::RenewToken, answer)
}

/// Asks for a secret.
pub(crate) async fn fetch(
    login: usize,
    client: Client,
    token: Sensitive<String>,
    lookup: Lookup,
    mounts: Arc<Mounts>,
) -> Done {
    let answer = client.fetch(&token, &lookup, &mounts).await.map(Answer::Response);
    Done::Answered(login, Step::Fetch(lookup), answer)
}

/// Extends a lease by what the server likes.
pub(crate) async fn renew_lease(
    login: usize,
    client: Client,
    token: Sensitive<String>,
    lookup: Lookup,
    lease: String,
) -> Done {
    let answer = client.renew_lease(&token, &lease, None).await.map(Answer::Renewal);
    Done::Answered(login, Step::RenewLease(lookup), answer)
}

/// Gives a superseded token back.
pub(crate) async fn revoke_token(login: usize, client: Client, token: Sensitive<String>, id: TokenId) -> Done {
    Done::Answered(login, Step::RevokeToken(id), client.revoke_token(&token).await.map(|()| Answer::Revoked))
}

/// Puts the token into a wrapping for a reader.
pub(crate) async fn wrap(client: Client, token: Sensitive<String>, ttl: Duration, sink: usize) -> Done {
    Done::Wrapped(sink, client.wrap_token(&token, ttl).await)
}

/// Asks whether a token lives.
pub(crate) async fn probe(login: usize, client: Client, token: Sensitive<String>, id: TokenId) -> Done {
    Done::Probed(login, id, client.lookup_token(&token).await)
}

/// Does what is owed after a change.
pub(crate) async fn act(action: Action, env: Arc<BTreeMap<String, String>>) -> Done {
    let result = action::perform(&action, &env, action::PATIENCE).await;
    Done::Acted(action, result)
}

/// Asks what is behind a failure of a login or a lookup.
pub(crate) async fn explain(
    client: Client,
    token: Option<Sensitive<String>>,
    config: Arc<AgentConfig>,
    subject: Subject,
    error: VaultError,
) -> Done {
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
}
