//! One step's request to Vault, as a task of its own: it takes what it needs along and owns no state.

use std::collections::BTreeMap;
use std::sync::Arc;

use sidekey_core::contract::{Action, Auth};
use sidekey_core::planner::{Step, TokenId};
use sidekey_core::{AgentConfig, Cause, Lookup, Response, Sensitive};
use sidekey_vault::{Client, Grant, Mounts, Renewal, TokenInfo, VaultError, diagnose};

use crate::action;
use crate::trouble::{Subject, of_login};

/// What a task brings back.
pub(crate) enum Done {
    /// A step's answer.
    Answered(Step, Result<Answer, VaultError>),
    /// A login that never left: there is no service account token to show.
    NoCredential(Cause),
    /// What the server says of a token that was denied something.
    Probed(TokenId, Result<TokenInfo, VaultError>),
    /// What is behind a failure.
    Explained(Subject, Cause),
    /// An action after a change, and what came of it.
    Acted(Action, Result<(), String>),
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

/// Logs in with the service account token as it is now: the kubelet replaces it.
pub(crate) async fn log_in(client: Client, auth: Auth) -> Done {
    match credential(&auth) {
        Ok(jwt) => Done::Answered(Step::LogIn, client.login(&auth, &jwt).await.map(Answer::Grant)),
        Err(cause) => Done::NoCredential(cause),
    }
}

/// Reads the service account token; blanks around it go.
///
/// # Errors
/// `AuthToken`.
pub(crate) fn credential(auth: &Auth) -> Result<Sensitive<String>, Cause> {
    let text = std::fs::read_to_string(&auth.token_file).map(Sensitive::new);
    let text = text.map_err(|error| of_login(error.to_string(), &auth.token_file))?;
    match text.expose().trim() {
        "" => Err(of_login("the file is empty", &auth.token_file)),
        token => Ok(token.into()),
    }
}

/// Extends the own token.
pub(crate) async fn renew_token(client: Client, token: Sensitive<String>) -> Done {
    Done::Answered(Step::RenewToken, client.renew_token(&token).await.map(Answer::Renewal))
}

/// Asks for a secret.
pub(crate) async fn fetch(client: Client, token: Sensitive<String>, lookup: Lookup, mounts: Arc<Mounts>) -> Done {
    let answer = client.fetch(&token, &lookup, &mounts).await.map(Answer::Response);
    Done::Answered(Step::Fetch(lookup), answer)
}

/// Extends a lease by what the server likes.
pub(crate) async fn renew_lease(client: Client, token: Sensitive<String>, lookup: Lookup, lease: String) -> Done {
    let answer = client.renew_lease(&token, &lease, None).await.map(Answer::Renewal);
    Done::Answered(Step::RenewLease(lookup), answer)
}

/// Gives a superseded token back.
pub(crate) async fn revoke_token(client: Client, token: Sensitive<String>, id: TokenId) -> Done {
    Done::Answered(Step::RevokeToken(id), client.revoke_token(&token).await.map(|()| Answer::Revoked))
}

/// Asks whether a token lives.
pub(crate) async fn probe(client: Client, token: Sensitive<String>, id: TokenId) -> Done {
    Done::Probed(id, client.lookup_token(&token).await)
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
        (Subject::Secret(lookup), Some(token)) => {
            diagnose::fetch(&client, &token, lookup, config.dialect, &error).await
        }
        (Subject::Login, _) => {
            let jwt = credential(&config.auth).ok();
            diagnose::login(&client, &config.auth, &config.pod, config.dialect, jwt.as_ref(), &error).await
        }
        _ => diagnose::transport(&error, &config.server),
    };
    Done::Explained(subject, cause)
}
