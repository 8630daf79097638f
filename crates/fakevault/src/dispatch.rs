//! Where a request goes: the server's state first, then the token, then its policies, then the engine.

use crate::answer::Answer;
use crate::ask::{Ask, Operation};
use crate::mount::no_route;
use crate::spec::{Flavour, Standing};
use crate::state::State;

impl State {
    /// The usual answer, without faults.
    pub(crate) fn answer(&mut self, ask: &Ask) -> Answer {
        self.sweep();
        if let Some(answer) = self.open_route(ask) {
            return answer;
        }
        if let Some(refused) = self.refuse_by_standing(ask) {
            return refused;
        }
        if let Some(refused) = self.refuse_namespace(ask) {
            return refused;
        }
        if let Some(action) = ask.path.strip_prefix("sys/wrapping/") {
            return self.wrapping_route(action, ask);
        }
        if let Some((mount, "login")) = self.auth_mount(&ask.path) {
            return self.login(&mount, ask);
        }
        let Some(token) = ask.token.as_deref() else { return Answer::error(403, "permission denied") };
        let Some(policies) = self.spend_token(token) else { return dead_token(self.flavour) };
        let answer = if let Some(path) = ask.path.strip_prefix("sys/internal/ui/mounts/") {
            self.mount_of(path, token)
        } else if self.policies.allow(&policies, ask.operation, &ask.path) {
            self.route(token, ask)
        } else {
            Answer::denied()
        };
        // A token's last use ends it, and its leases with it, once the answer is made.
        if self.tokens.get(token).is_some_and(|token| token.uses == Some(0)) {
            self.end_token(token);
        }
        answer
    }

    fn route(&mut self, token: &str, ask: &Ask) -> Answer {
        if ask.operation == Operation::Other {
            return Answer::unsupported_operation();
        }
        if let Some(action) = ask.path.strip_prefix("auth/token/") {
            return self.token_route(action, token, ask);
        }
        if let Some(path) = ask.path.strip_prefix("sys/") {
            return self.sys_route(path, token, ask);
        }
        if ask.path.starts_with("auth/") {
            return match self.auth_mount(&ask.path) {
                Some((mount, rest)) => self.auth_route(&mount, rest, ask.operation),
                None => no_route(&ask.path),
            };
        }
        self.mount_route(token, ask)
    }

    fn refuse_by_standing(&self, ask: &Ask) -> Option<Answer> {
        match self.standing {
            Standing::Active | Standing::PerformanceStandby => None,
            Standing::Standby => self.active_address.as_ref().map(|address| redirect(address, ask)),
            Standing::DrSecondary => Some(Answer::error(472, "path disabled in replication DR secondary mode")),
            Standing::Uninitialised => Some(Answer::error(503, "Vault is not initialized")),
            Standing::Sealed => Some(Answer::error(503, "Vault is sealed")),
        }
    }

    /// Vault answers for an unknown namespace as for an unknown mount; OpenBao says what it is.
    fn refuse_namespace(&self, ask: &Ask) -> Option<Answer> {
        let wanted = self.namespace.as_ref()?;
        if ask.namespace.as_ref() == Some(wanted) {
            return None;
        }
        Some(match self.flavour {
            Flavour::Vault => Answer::error(403, "permission denied"),
            Flavour::OpenBao => Answer::error(404, "namespace not found"),
        })
    }
}

pub(crate) fn redirect(address: &str, ask: &Ask) -> Answer {
    let query: Vec<String> = ask.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let location = format!("{}/v1/{}{query}", address.trim_end_matches('/'), ask.path);
    Answer { status: 307, body: None, headers: vec![("location", location)] }
}

/// A token that was revoked, has ended, or never was.
fn dead_token(flavour: Flavour) -> Answer {
    match flavour {
        Flavour::Vault => Answer::error(403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"),
        Flavour::OpenBao => Answer::error(403, "permission denied"),
    }
}
