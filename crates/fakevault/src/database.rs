//! Database credentials: users made per lease, and static users whose password changes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::answer::{Answer, Envelope};
use crate::ask::{Ask, Operation};
use crate::clock::At;
use crate::mount::Mount;
use crate::spec::{DatabaseRole, StaticRole};
use crate::state::{Ids, State};
use crate::ttl::Terms;

#[derive(Default)]
pub(crate) struct Database {
    pub roles: BTreeMap<String, DatabaseRole>,
    pub statics: BTreeMap<String, StaticUser>,
}

pub(crate) struct StaticUser {
    pub role: StaticRole,
    pub password: String,
    pub rotated: At,
    /// Told in the place of the period.
    pub schedule: Option<String>,
}

impl Database {
    /// Changes every static password that is due.
    pub(crate) fn rotate(&mut self, now: At, ids: &mut Ids) {
        for user in self.statics.values_mut().filter(|user| !user.role.rotation_period.is_zero()) {
            let periods = now.saturating_sub(user.rotated).as_nanos() / user.role.rotation_period.as_nanos();
            if periods > 0 {
                user.rotated += user.role.rotation_period.saturating_mul(u32::try_from(periods).unwrap_or(u32::MAX));
                user.password = ids.password();
            }
        }
    }
}

impl State {
    pub(crate) fn database_route(&mut self, mount: &str, rest: &str, token: &str, ask: &Ask) -> Answer {
        let Some(Mount::Database(database)) = self.mounts.get(mount) else { return Answer::unsupported_path() };
        match (rest.split_once('/').unwrap_or((rest, "")), ask.operation) {
            (("creds", role), Operation::Read) => match database.roles.get(role).cloned() {
                Some(spec) => self.make_user(&format!("{mount}/creds/{role}"), role, &spec, token),
                None => Answer::error(400, format!("unknown role: {role}")),
            },
            (("static-creds", role), Operation::Read) => self.static_user(mount, role),
            (("roles" | "static-roles", ""), Operation::List) => {
                let names: BTreeSet<_> = if rest == "roles" {
                    database.roles.keys().cloned().collect()
                } else {
                    database.statics.keys().cloned().collect()
                };
                self.keys(&names, "database")
            }
            (("creds" | "static-creds", _), _) => Answer::unsupported_operation(),
            _ => Answer::unsupported_path(),
        }
    }

    fn make_user(&mut self, path: &str, role: &str, spec: &DatabaseRole, token: &str) -> Answer {
        // The token was spent by this very request, so a lease would die at once.
        if self.tokens.get(token).is_some_and(|token| token.uses == Some(0)) {
            let text =
                "Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.";
            return Answer::error(400, text);
        }
        let suffix: String = self.ids.hex(2).chars().take(20).collect();
        let username = format!("v-{role}-{suffix}");
        let password = self.ids.password();
        let terms = Terms { ttl: spec.ttl, max_ttl: spec.max_ttl, ..Terms::default() };
        let credential = Some((username.clone(), password.clone()));
        let (lease_id, lease, warnings) = self.issue_lease(path, token, terms, spec.renewable, credential);
        self.envelope(Envelope {
            data: json!({ "username": username, "password": password }),
            lease_id,
            lease,
            renewable: spec.renewable,
            warnings,
            mount_type: "database",
            ..Envelope::default()
        })
    }

    fn static_user(&mut self, mount: &str, role: &str) -> Answer {
        let now = self.clock.now();
        let Some(Mount::Database(database)) = self.mounts.get(mount) else { return Answer::unsupported_path() };
        let Some(user) = database.statics.get(role) else { return Answer::error(400, format!("unknown role: {role}")) };
        let left = (user.rotated + user.role.rotation_period).saturating_sub(now);
        let mut data = json!({
            "username": user.role.username,
            "password": user.password,
            "last_vault_rotation": self.clock.rfc3339(user.rotated),
            "ttl": left.as_secs(),
        });
        match &user.schedule {
            Some(schedule) => data["rotation_schedule"] = json!(schedule),
            None => data["rotation_period"] = json!(user.role.rotation_period.as_secs()),
        }
        self.data(data, "database")
    }

    /// Whether the database would let this user in now.
    pub(crate) fn honours(&self, username: &str, password: &str) -> bool {
        let leased = self
            .leases
            .values()
            .filter_map(|lease| lease.credential.as_ref())
            .any(|(name, word)| name == username && word == password);
        let fixed = |mount: &Mount| match mount {
            Mount::Database(database) => {
                database.statics.values().any(|user| user.role.username == username && user.password == password)
            }
            _ => false,
        };
        leased || self.mounts.values().any(fixed)
    }
}
