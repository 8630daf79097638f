//! Leases: what a credential comes with, and `sys/leases/*`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::answer::{Answer, Envelope};
use crate::ask::{Ask, Operation};
use crate::clock::At;
use crate::state::State;
use crate::ttl::{self, Terms};

pub(crate) struct Lease {
    pub id: String,
    /// The token it dies with.
    pub token: String,
    pub terms: Terms,
    pub issued: At,
    pub expires: At,
    pub renewed: Option<At>,
    pub renewable: bool,
    /// User name and password the database takes as long as this lives.
    pub credential: Option<(String, String)>,
}

impl State {
    /// A new lease for `token` below `path`: its id and time.
    pub(crate) fn issue_lease(
        &mut self,
        path: &str,
        token: &str,
        terms: Terms,
        renewable: bool,
        credential: Option<(String, String)>,
    ) -> (String, Duration, Vec<String>) {
        let now = self.clock.now();
        let (mut granted, warnings) = terms.grant(Duration::ZERO, now, now).unwrap_or_default();
        // Vault keeps no batch token, so nothing would end the lease with it: it is cut to the token's time at once.
        if let Some(end) = self.tokens.get(token).filter(|token| token.batch).and_then(|token| token.expires) {
            granted = granted.min(end.saturating_sub(now));
        }
        let id = format!("{path}/{}", self.ids.hex(2).chars().take(24).collect::<String>());
        let lease = Lease {
            id: id.clone(),
            token: token.to_owned(),
            terms,
            issued: now,
            expires: now + granted,
            renewed: None,
            renewable,
            credential,
        };
        self.leases.insert(id.clone(), lease);
        (id, granted, warnings)
    }

    /// `sys/leases/<action>`, also below the older `sys/renew` and `sys/revoke`.
    pub(crate) fn lease_route(&mut self, action: &str, ask: &Ask) -> Answer {
        let (action, in_path) = action.split_once('/').unwrap_or((action, ""));
        let id = ask.text("lease_id").unwrap_or(in_path).to_owned();
        match (action, ask.operation) {
            ("renew" | "revoke" | "lookup", Operation::Write) if id.is_empty() => {
                Answer::error(400, "lease_id must be specified")
            }
            ("renew", Operation::Write) => self.renew_lease(&id, ask),
            // Vault answers the same for a lease it does not know.
            ("revoke", Operation::Write) => {
                self.leases.remove(&id);
                Answer::no_content()
            }
            ("lookup", Operation::Write) => self.lookup_lease(&id),
            ("renew" | "revoke" | "lookup", _) => Answer::unsupported_operation(),
            _ => Answer::unsupported_path(),
        }
    }

    fn renew_lease(&mut self, id: &str, ask: &Ask) -> Answer {
        let now = self.clock.now();
        let Some(lease) = self.leases.get_mut(id) else { return Answer::error(400, "lease not found") };
        if !lease.renewable {
            return Answer::error(400, "lease is not renewable");
        }
        let increment = ask.body.get("increment").and_then(ttl::parse).unwrap_or_default();
        let (granted, warnings) = match lease.terms.grant(increment, lease.issued, now) {
            Ok(_) if ask.renew_to_nothing => (Duration::ZERO, Vec::new()),
            Ok(granted) => granted,
            Err(text) => return Answer::error(400, text),
        };
        if !ask.renew_to_nothing {
            lease.expires = now + granted;
            lease.renewed = Some(now);
        }
        self.envelope(Envelope {
            lease_id: id.to_owned(),
            lease: granted,
            renewable: true,
            warnings,
            mount_type: "system",
            ..Envelope::default()
        })
    }

    fn lookup_lease(&mut self, id: &str) -> Answer {
        let now = self.clock.now();
        let Some(lease) = self.leases.get(id) else { return Answer::error(400, "invalid lease") };
        let data = json!({
            "id": lease.id,
            "issue_time": self.clock.rfc3339(lease.issued),
            "expire_time": self.clock.rfc3339(lease.expires),
            "last_renewal": lease.renewed.map_or(Value::Null, |at| self.clock.rfc3339(at).into()),
            "renewable": lease.renewable,
            "ttl": lease.expires.saturating_sub(now).as_secs(),
        });
        self.data(data, "system")
    }
}
