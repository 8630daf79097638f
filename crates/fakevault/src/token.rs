//! Tokens: what a login gives, and `auth/token/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::answer::{Answer, Envelope};
use crate::ask::{Ask, Operation};
use crate::clock::At;
use crate::spec::{Flavour, RoleSpec};
use crate::state::State;
use crate::ttl::{self, Terms};

pub(crate) struct Token {
    pub id: String,
    pub accessor: String,
    /// The path that made it.
    pub path: String,
    pub display_name: String,
    pub policies: BTreeSet<String>,
    pub metadata: BTreeMap<String, String>,
    pub entity_id: String,
    pub terms: Terms,
    pub issued: At,
    pub creation_ttl: Duration,
    /// `None` is for ever: root.
    pub expires: Option<At>,
    pub renewed: Option<At>,
    pub renewable: bool,
    pub batch: bool,
    pub orphan: bool,
    /// Requests left; `None` is any number.
    pub uses: Option<u64>,
    /// Login mount and role: a renewal looks whether the role is still there.
    pub role: Option<(String, String)>,
}

/// Who a new token is for.
#[derive(Default)]
pub(crate) struct Bearer {
    pub path: String,
    pub display_name: String,
    pub metadata: BTreeMap<String, String>,
    pub entity_id: String,
    pub role: Option<(String, String)>,
}

impl Token {
    pub(crate) fn root(id: String) -> Self {
        Self {
            accessor: id.chars().rev().take(24).collect(),
            id,
            path: "auth/token/root".to_owned(),
            display_name: "root".to_owned(),
            policies: BTreeSet::from(["root".to_owned()]),
            metadata: BTreeMap::new(),
            entity_id: String::new(),
            terms: Terms::default(),
            issued: At::ZERO,
            creation_ttl: Duration::ZERO,
            expires: None,
            renewed: None,
            renewable: false,
            batch: false,
            orphan: true,
            uses: None,
            role: None,
        }
    }

    pub(crate) const fn kind(&self) -> &'static str {
        if self.batch { "batch" } else { "service" }
    }

    /// The `auth` object of an answer.
    pub(crate) fn auth(&self, lease: Duration, orphan: bool, flavour: Flavour) -> Value {
        let mut auth = json!({
            "client_token": self.id,
            "accessor": self.accessor,
            "policies": self.policies,
            "token_policies": self.policies,
            "metadata": if self.metadata.is_empty() { Value::Null } else { json!(self.metadata) },
            "lease_duration": lease.as_secs(),
            "renewable": self.renewable,
            "entity_id": self.entity_id,
            "token_type": self.kind(),
            "orphan": orphan,
            "mfa_requirement": null,
            "num_uses": self.uses.unwrap_or(0),
        });
        if flavour == Flavour::OpenBao
            && self.policies.is_empty()
            && let Some(fields) = auth.as_object_mut()
        {
            fields.remove("token_policies");
        }
        auth
    }
}

impl State {
    /// A token by a role's terms; the warnings belong into the login's answer.
    pub(crate) fn issue_token(&mut self, spec: &RoleSpec, bearer: Bearer) -> (String, Duration, Vec<String>) {
        let now = self.clock.now();
        let terms = Terms {
            ttl: spec.ttl,
            max_ttl: spec.max_ttl,
            period: spec.period,
            explicit_max_ttl: spec.explicit_max_ttl,
        };
        let (ttl, warnings) = terms.grant(Duration::ZERO, now, now).unwrap_or_default();
        let mut policies: BTreeSet<_> = spec.policies.iter().cloned().collect();
        if !spec.no_default_policy && !policies.contains("root") {
            policies.insert("default".to_owned());
        }
        let id = self.ids.token(self.flavour, spec.batch);
        let accessor = if spec.batch { String::new() } else { self.ids.hex(2).chars().take(24).collect() };
        let token = Token {
            id: id.clone(),
            accessor,
            path: bearer.path,
            display_name: bearer.display_name,
            policies,
            metadata: bearer.metadata,
            entity_id: bearer.entity_id,
            terms,
            issued: now,
            creation_ttl: ttl,
            expires: Some(now + ttl),
            renewed: None,
            renewable: !spec.batch,
            batch: spec.batch,
            orphan: true,
            uses: (spec.num_uses > 0).then_some(spec.num_uses),
            role: bearer.role,
        };
        self.tokens.insert(id.clone(), token);
        (id, ttl, warnings)
    }

    /// The token's policies, one use of it spent; `None` when there is no such token.
    pub(crate) fn spend_token(&mut self, id: &str) -> Option<BTreeSet<String>> {
        let token = self.tokens.get_mut(id)?;
        if token.uses == Some(0) {
            self.end_token(id);
            return None;
        }
        token.uses = token.uses.map(|left| left - 1);
        Some(token.policies.clone())
    }

    /// `auth/token/<action>`; the caller is `own`.
    pub(crate) fn token_route(&mut self, action: &str, own: &str, ask: &Ask) -> Answer {
        let named = ask.text("token").map(ToOwned::to_owned);
        match (action, ask.operation) {
            ("lookup-self", Operation::Read | Operation::Write) => self.lookup_token(own),
            ("lookup", Operation::Write | Operation::Read) => self.lookup_token(named.as_deref().unwrap_or(own)),
            ("renew-self", Operation::Write) => self.renew_token(own, ask),
            ("renew", Operation::Write) => self.renew_token(named.as_deref().unwrap_or(own), ask),
            ("revoke-self", Operation::Write) => self.revoke_token(own),
            ("revoke", Operation::Write) => match named {
                Some(id) => self.revoke_token(&id),
                None => Answer::error(400, "missing token ID"),
            },
            ("create" | "create-orphan", Operation::Write) => self.create_token(ask),
            ("lookup-self" | "lookup" | "renew-self" | "renew" | "revoke-self" | "revoke" | "create", _) => {
                Answer::unsupported_operation()
            }
            _ => Answer::unsupported_path(),
        }
    }

    fn lookup_token(&mut self, id: &str) -> Answer {
        let now = self.clock.now();
        let Some(token) = self.tokens.get(id) else { return Answer::error(403, "bad token") };
        let mut data = Map::new();
        let mut set = |key: &str, value: Value| data.insert(key.to_owned(), value);
        set("accessor", token.accessor.clone().into());
        set("creation_time", self.clock.unix(token.issued).into());
        set("creation_ttl", token.creation_ttl.as_secs().into());
        set("display_name", token.display_name.clone().into());
        set("entity_id", token.entity_id.clone().into());
        set("expire_time", token.expires.map_or(Value::Null, |end| self.clock.rfc3339(end).into()));
        set("explicit_max_ttl", token.terms.explicit_max_ttl.as_secs().into());
        set("id", token.id.clone().into());
        set("issue_time", self.clock.rfc3339(token.issued).into());
        if let Some(at) = token.renewed {
            set("last_renewal", self.clock.rfc3339(at).into());
            set("last_renewal_time", self.clock.unix(at).into());
        }
        set("meta", if token.metadata.is_empty() { Value::Null } else { json!(token.metadata) });
        // The last use shows as -1: this very request has spent it.
        set("num_uses", token.uses.map_or(json!(0), |left| if left == 0 { json!(-1) } else { json!(left) }));
        set("orphan", token.orphan.into());
        set("path", token.path.clone().into());
        if !token.terms.period.is_zero() {
            set("period", token.terms.period.as_secs().into());
        }
        set("policies", json!(token.policies));
        set("renewable", token.renewable.into());
        set("ttl", token.expires.map_or(0, |end| end.saturating_sub(now).as_secs()).into());
        set("type", token.kind().into());
        self.data(data.into(), "token")
    }

    fn renew_token(&mut self, id: &str, ask: &Ask) -> Answer {
        let now = self.clock.now();
        let roles = &self.auths;
        let Some(token) = self.tokens.get_mut(id) else { return Answer::error(400, "token not found") };
        if token.batch {
            return Answer::error(400, "batch tokens cannot be renewed");
        }
        if !token.renewable {
            return Answer::error(400, "lease is not renewable");
        }
        if let Some((mount, role)) = &token.role
            && !roles.get(mount).is_some_and(|mount| mount.roles.contains_key(role))
        {
            return Answer::error(400, format!("error renewing token: role {role} does not exist during renewal"));
        }
        let increment = ask.body.get("increment").and_then(ttl::parse).unwrap_or_default();
        let (granted, warnings) = match token.terms.grant(increment, token.issued, now) {
            Ok(_) if ask.renew_to_nothing => (Duration::ZERO, Vec::new()),
            Ok(granted) => granted,
            Err(text) => return Answer::error(400, text),
        };
        if !ask.renew_to_nothing {
            token.expires = Some(now + granted);
            token.renewed = Some(now);
        }
        let auth = token.auth(granted, false, self.flavour);
        self.envelope(Envelope { auth, warnings, mount_type: "token", ..Envelope::default() })
    }

    fn revoke_token(&mut self, id: &str) -> Answer {
        if self.tokens.get(id).is_some_and(|token| token.batch) {
            return Answer::error(400, "batch tokens cannot be revoked");
        }
        self.end_token(id);
        Answer::no_content()
    }

    fn create_token(&mut self, ask: &Ask) -> Answer {
        let time = |field: &str| ask.body.get(field).and_then(ttl::parse).unwrap_or_default();
        let listed = |field: &str| ask.body.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
        let spec = RoleSpec {
            policies: listed("policies").iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
            ttl: time("ttl"),
            period: time("period"),
            explicit_max_ttl: time("explicit_max_ttl"),
            num_uses: ask.body.get("num_uses").and_then(Value::as_u64).unwrap_or(0),
            batch: ask.text("type") == Some("batch"),
            no_default_policy: ask.body.get("no_default_policy").and_then(Value::as_bool).unwrap_or(false),
            ..RoleSpec::default()
        };
        let name = ask.text("display_name").map_or_else(|| "token".to_owned(), |name| format!("token-{name}"));
        let bearer = Bearer { path: "auth/token/create".to_owned(), display_name: name, ..Bearer::default() };
        let (id, ttl, warnings) = self.issue_token(&spec, bearer);
        let auth = self.tokens.get(&id).map_or(Value::Null, |token| token.auth(ttl, false, self.flavour));
        self.envelope(Envelope { auth, warnings, mount_type: "token", ..Envelope::default() })
    }
}
