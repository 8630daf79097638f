//! The bounded end: revoke, wipe, leave.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sidekey_core::Sensitive;
use sidekey_core::contract::Shape;
use sidekey_core::planner::{Step, Time};
use sidekey_runtime::drain::Drain;
use sidekey_vault::VaultError;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::exit::Exit;
use crate::private;
use crate::request::{Answer, Done};
use crate::session::Session;
use crate::state::State;
use crate::status::Status;
use crate::supervisor::Supervisor;

/// A native sidecar is killed soon after the app has gone: from the signal to the end it takes 1.5 s at most, and what follows the
/// revocation has a part of that.
const REVOCATION: Duration = Duration::from_millis(1_200);

/// A login under way may still bring a token that nobody would revoke.
const LAST_LOGIN: Duration = Duration::from_millis(500);

impl Supervisor {
    /// The drain has begun: when to end. A classic sidecar's app may still be draining, so renewal goes on for a while.
    pub(crate) fn begin_end(&mut self) -> Time {
        self.ending = true;
        let grace = match self.config.lifecycle.shape {
            Shape::Sidecar => Duration::from_secs(self.config.lifecycle.revoke_grace_seconds.into()),
            Shape::Native | Shape::Init | Shape::InitOnly => Duration::ZERO,
        };
        tracing::info!(grace_seconds = grace.as_secs(), "ending");
        self.now() + grace
    }

    /// Revokes when asked, and always when nothing was published: then nobody uses what the token holds.
    ///
    /// The files stay: their volume ends with the pod, and an app that outlives this process keeps what it has.
    pub(crate) async fn end(mut self: Box<Self>) -> Exit {
        let now = self.now();
        self.report(now);
        if self.owns_a_token() && (self.config.lifecycle.revoke || !self.state.published) {
            self.state.revoking = true;
            self.keep();
            self.revoke().await;
            self.wipe();
        }
        tracing::info!("ended");
        Exit::Done
    }

    /// Somebody asked for the end: the token is revoked whatever the configuration says, and none is asked for again, in
    /// this process or, after the mark, in another. A classic sidecar leaves, so that a Job can end; a native one would
    /// be started again.
    pub(crate) async fn quit(mut self: Box<Self>, drain: Drain) -> Exit {
        tracing::info!("ending, as asked");
        self.ending = true;
        if let Err(cause) = State::mark_done(&self.config.state_dir) {
            tracing::warn!(code = %cause.code, "{cause}");
        }
        let now = self.now();
        self.report(now);
        if self.owns_a_token() {
            self.state.revoking = true;
            self.keep();
            self.revoke().await;
        }
        self.forget();
        if self.config.lifecycle.shape == Shape::Native { self.idle(drain).await } else { Exit::Done }
    }

    /// Nothing is left to do but to be there.
    pub(crate) async fn idle(mut self: Box<Self>, mut drain: Drain) -> Exit {
        self.ending = true;
        // The status of the agent before says that the files were written, and a probe may still ask.
        if let Ok(status) = Status::load(&self.config.state_dir) {
            self.status.send_replace(Arc::new(status));
        }
        tracing::info!("done: waiting for the pod's end");
        drain.started().await;
        Exit::Done
    }

    async fn revoke(&mut self) {
        let (begun, now) = (Instant::now(), self.now());
        self.state.sessions.iter_mut().for_each(|session| session.forget_tokens(now));
        let held = |(login, session): (usize, &Session)| {
            session.tokens.values().map(move |held| (login, held.token.clone())).collect::<Vec<_>>()
        };
        let mut tokens: Vec<_> = self.state.sessions.iter().enumerate().flat_map(held).collect();
        self.late_tokens(begun + LAST_LOGIN, &mut tokens).await;
        let mut revocations = JoinSet::new();
        for (login, token) in tokens {
            if self.config.auth_of(login).method.borrows_token() {
                continue;
            }
            if let Ok(client) = self.client(login) {
                revocations.spawn(async move { client.revoke_token(&token).await });
            }
        }
        while let Ok(Some(Ok(answer))) = timeout_at(begun + REVOCATION, revocations.join_next()).await {
            say(answer);
        }
        if !revocations.is_empty() {
            tracing::warn!("no time left to revoke the token: left to expire");
        }
    }

    fn owns_a_token(&self) -> bool {
        (0..self.config.login_count()).any(|login| !self.config.auth_of(login).method.borrows_token())
    }

    /// The tokens of logins that were under way when the end came.
    async fn late_tokens(&mut self, until: Instant, tokens: &mut Vec<(usize, Sensitive<String>)>) {
        while self.state.sessions.iter().any(|session| session.logging_in) {
            let Ok(Some(Ok(done))) = timeout_at(until, self.work.join_next()).await else { return };
            match done {
                Done::Answered(login, Step::LogIn, answer) => {
                    self.state.sessions[login].logging_in = false;
                    if let Ok(Answer::Grant(grant)) = answer {
                        tokens.push((login, grant.token));
                    }
                }
                Done::NoCredential(login, _) => self.state.sessions[login].logging_in = false,
                _ => {}
            }
        }
    }

    fn wipe(&self) {
        self.forget();
        // A container started again begins anew.
        let _ = private::remove(&Status::path(&self.config.state_dir));
    }

    /// Secrets of the state, and token files.
    fn forget(&self) {
        let sinks = self.config.token_sinks.iter().map(|sink| private::remove(Path::new(&sink.path)));
        if let Err(error) = sinks.fold(State::wipe(&self.config.state_dir), Result::and) {
            tracing::warn!(%error, "the state could not be wiped");
        }
    }
}

fn say(answer: Result<(), VaultError>) {
    match answer {
        Ok(()) => tracing::info!("the token is revoked"),
        Err(error) => tracing::warn!(%error, "the token is not revoked: left to expire"),
    }
}
