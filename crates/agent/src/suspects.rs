//! Steps that were denied, while the server is asked whether the token lives.
//!
//! Vault says `403 permission denied` to a policy that denies and, in old releases, to a token that is dead; one look-up
//! answers for all steps denied at that time.

use sidekey_core::planner::{FailureKind, Step, TokenId};
use sidekey_vault::{TokenInfo, VaultError};

/// Denied steps waiting for one answer.
#[derive(Default)]
pub(crate) struct Suspects {
    asked: Option<TokenId>,
    steps: Vec<(Step, VaultError)>,
}

impl Suspects {
    /// One more; whether a look-up has to be sent for it.
    pub(crate) fn add(&mut self, step: Step, error: VaultError, token: TokenId) -> bool {
        self.steps.push((step, error));
        self.asked.replace(token).is_none()
    }

    /// The look-up has been answered: the steps, to be taken in as failed.
    pub(crate) fn take(&mut self) -> Vec<(Step, VaultError)> {
        self.asked = None;
        std::mem::take(&mut self.steps)
    }
}

/// What a look-up's answer means for the token: a denied look-up says only that the policies lack `default`.
pub(crate) fn verdict(answer: &Result<TokenInfo, VaultError>) -> FailureKind {
    match answer {
        Ok(_) => FailureKind::Denied,
        Err(error) if error.failure().kind == FailureKind::TokenDead => FailureKind::TokenDead,
        Err(_) => FailureKind::Denied,
    }
}
