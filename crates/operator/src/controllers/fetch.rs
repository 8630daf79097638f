//! One question to Vault under a shared login; a refusal is asked about once more under a new login before it is believed.

use std::sync::Arc;
use std::time::Instant;

use sidekey_core::lookup::Verb;
use sidekey_core::{Lookup, Response};
use sidekey_vault::{Class, MountKind, Mounts, VaultError, diagnose};

use super::{Tools, Turn};
use crate::plan::auth::Login;
use crate::plan::outcome::Trouble;
use crate::reads::{Answer, What};
use crate::sessions::Session;

/// What to ask, and under which name its failure is told.
pub(super) struct Question<'a> {
    pub(super) login: &'a Arc<Login>,
    /// Vault namespace; the login's when none.
    pub(super) namespace: Option<&'a str>,
    pub(super) lookup: &'a Lookup,
    /// Reason of the event.
    pub(super) reason: &'static str,
}

/// Asks.
pub(super) async fn ask(tools: &Tools, question: &Question<'_>) -> Result<(Session, Response), Trouble> {
    let session = tools.sessions.acquire(question.login, question.namespace).await?;
    let error = match once(tools, question, &session).await {
        Ok(response) => return Ok((session, response)),
        Err(error) => error,
    };
    match error.class {
        Class::InvalidToken => {
            tools.sessions.dead(&session).await;
            let session = tools.sessions.acquire(question.login, question.namespace).await?;
            match once(tools, question, &session).await {
                Ok(response) => Ok((session, response)),
                Err(error) => Err(explain(tools, question, &session, error).await),
            }
        }
        Class::Denied => match doubt(tools, question, &session).await {
            Some(better) => Ok(better),
            None => Err(explain(tools, question, &session, error).await),
        },
        _ => Err(explain(tools, question, &session, error).await),
    }
}

/// Asks, or takes the answer to what another look has asked since the object's turn has come.
pub(super) async fn together(tools: &Tools, question: &Question<'_>, turn: Option<Turn>) -> Answer {
    let alone = || async { ask(tools, question).await.map(Arc::new) };
    let Some(Turn { since, .. }) = turn else { return alone().await };
    let what = What::new(question.login, question.namespace, question.lookup);
    tools.reads.ask(&what, since, alone).await
}

/// What comes of a question that only spares another one.
pub(super) enum Peek {
    /// An answer.
    Answer(Box<(Session, Response)>),
    /// The policy of the login with this serial does not allow it.
    Refused(u64),
    /// No answer, or none was asked for: the question that was to be spared will tell why.
    Nothing,
}

/// Asks without a second opinion, and not at all under the login that was refused before.
pub(super) async fn peek(tools: &Tools, question: &Question<'_>, refused: Option<u64>) -> Peek {
    let session = tools.sessions.acquire(question.login, question.namespace).await;
    let Some(session) = session.ok().filter(|session| refused != Some(session.serial)) else { return Peek::Nothing };
    match once(tools, question, &session).await {
        Ok(response) => Peek::Answer(Box::new((session, response))),
        Err(error) if error.class == Class::Denied => Peek::Refused(session.serial),
        Err(_) => Peek::Nothing,
    }
}

/// The answer under a new login, when that is allowed more than the one in use.
async fn doubt(tools: &Tools, question: &Question<'_>, session: &Session) -> Option<(Session, Response)> {
    let second = tools.sessions.doubt(question.login, session, question.namespace).await.ok()?;
    match once(tools, question, &second).await {
        Ok(response) => {
            tools.sessions.adopt(&second).await;
            Some((second, response))
        }
        Err(_) => {
            tools.sessions.discard(&second).await;
            None
        }
    }
}

async fn once(tools: &Tools, question: &Question<'_>, session: &Session) -> Result<Response, VaultError> {
    let begun = Instant::now();
    // The path is written as its engine wants it: nothing is to be looked up or tried in another form.
    let mounts = Mounts::default();
    mounts.remember(question.lookup.path.split('/').next().unwrap_or_default(), MountKind::Plain);
    let answer = session.client.fetch(&session.token, question.lookup, &mounts).await;
    tools.metrics.client(
        operation(question.lookup.verb),
        &question.login.connection.key,
        begun.elapsed(),
        answer.is_ok(),
    );
    answer
}

/// A request as `vso_client_operations_total` names it.
const fn operation(verb: Verb) -> &'static str {
    match verb {
        Verb::Read | Verb::List => "read",
        Verb::Write => "write",
    }
}

async fn explain(tools: &Tools, question: &Question<'_>, session: &Session, error: VaultError) -> Trouble {
    let what = What::new(question.login, question.namespace, question.lookup);
    if let Some(known) = tools.explained.get(&what, &error) {
        return Trouble::new(question.reason, known);
    }
    let sight = tools.explained.sight(session.serial, question.namespace);
    let (client, token) = (&session.client, &session.token);
    let mut cause = diagnose::fetch_seeing(client, token, question.lookup, None, &error, &sight).await;
    let Login { auth, consumer, method, mount, .. } = &**question.login;
    cause.attempted =
        format!("{} as role {} of auth/{mount} ({auth}, for namespace {consumer})", cause.attempted, method.role());
    tools.explained.put(what, error, cause.clone());
    Trouble::new(question.reason, cause)
}
