//! Steps that were denied, while the server is asked whether the token lives.
//!
//! OpenBao, and Vault in old releases, say `403 permission denied` both to a policy that denies and to a token that is dead; one
//! look-up answers for all steps denied at that time. That look-up is denied to a dead token too, and to a living one only
//! where its policies lack `default`, or `default` lacks what it has by itself.

use std::time::Duration;

use sidekey_core::planner::{FailureKind, Step, Time, TokenId};
use sidekey_vault::{Class, VaultError};

/// A look-up that is denied so soon after a token was taken for dead is denied to living ones too.
const SOON: Duration = Duration::from_secs(300);

/// Denied steps waiting for one answer, and what denied look-ups are worth.
#[derive(Default)]
pub(crate) struct Suspects {
    asked: Option<TokenId>,
    steps: Vec<(Step, VaultError)>,
    /// When a token was taken for dead last.
    died: Option<Time>,
    /// Look-ups are denied to living tokens.
    barred: bool,
}

impl Suspects {
    /// One more; whether a look-up has to be sent for it.
    pub(crate) fn add(&mut self, step: Step, error: VaultError, token: TokenId) -> bool {
        self.steps.push((step, error));
        self.asked.replace(token).is_none()
    }

    /// Whether a look-up that is denied to a token with `default` means that it is dead. A `default` that was cut down by its
    /// administrator costs one login; were it believed again, each denial would cost one, and all leases with it.
    pub(crate) fn trusts_denials(&self, now: Time) -> bool {
        !self.barred && !self.died_soon_before(now)
    }

    /// The look-up has been answered: the steps, to be taken in as failed.
    pub(crate) fn take(&mut self, lives: &Result<bool, VaultError>, now: Time) -> Vec<(Step, VaultError)> {
        match lives {
            Ok(true) => self.barred = false,
            Ok(false) => self.died = Some(now),
            Err(error) => self.barred |= error.class == Class::Denied && self.died_soon_before(now),
        }
        self.asked = None;
        std::mem::take(&mut self.steps)
    }

    fn died_soon_before(&self, now: Time) -> bool {
        self.died.is_some_and(|died| now.since(died) < SOON)
    }
}

/// What the answer means for the token: where it cannot be known, it lives.
pub(crate) fn verdict(lives: &Result<bool, VaultError>) -> FailureKind {
    if matches!(lives, Ok(false)) { FailureKind::TokenDead } else { FailureKind::Denied }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(class: Class) -> VaultError {
        VaultError {
            verb: "GET".to_owned(),
            path: "auth/token/lookup-self".to_owned(),
            class,
            status: None,
            said: Vec::new(),
            detail: None,
            retry_after: None,
        }
    }

    #[test]
    fn only_a_token_that_is_known_not_to_live_is_dead() {
        assert_eq!(verdict(&Ok(false)), FailureKind::TokenDead);
        assert_eq!(verdict(&Ok(true)), FailureKind::Denied);
        for class in [Class::Denied, Class::Tcp, Class::Internal, Class::RateLimited] {
            assert_eq!(verdict(&Err(error(class))), FailureKind::Denied, "{class:?}");
        }
    }

    #[test]
    fn a_look_up_that_is_denied_to_the_next_token_too_is_believed_again_only_after_a_good_one() {
        let (at, mut suspects) = (Time::from_millis(1_000_000), Suspects::default());
        assert!(suspects.trusts_denials(at));
        suspects.take(&Err(error(Class::Denied)), at);
        assert!(suspects.trusts_denials(at), "of a token without `default`");
        suspects.take(&Ok(false), at);
        assert!(!suspects.trusts_denials(at + SOON / 2) && suspects.trusts_denials(at + SOON));
        suspects.take(&Err(error(Class::Denied)), at + SOON / 2);
        assert!(!suspects.trusts_denials(at + SOON * 9));
        suspects.take(&Ok(true), at + SOON * 9);
        assert!(suspects.trusts_denials(at + SOON * 9));
    }
}
