//! `AppRole` logins, and response wrapping as far as secret ids need it.

use serde_json::{Value, json};

use crate::answer::{Answer, Envelope};
use crate::ask::{Ask, Operation};
use crate::auth::AuthMount;
use crate::spec::RoleSpec;
use crate::state::State;

/// An answer that waits behind its wrapping token.
pub(crate) struct Wrapping {
    pub creation_path: String,
    pub data: Value,
}

impl State {
    /// A role's own name for logins; the same every time.
    pub(crate) fn role_id(mount: &str, role: &str) -> String {
        format!("role-id-of-{}-{role}", mount.replace('/', "-"))
    }

    pub(crate) fn new_secret_id(&mut self, mount: &str, role: &str) -> String {
        let id = self.ids.uuid();
        self.secret_ids.insert(id.clone(), (mount.to_owned(), role.to_owned()));
        id
    }

    pub(crate) fn wrap_secret_id(&mut self, mount: &str, role: &str) -> String {
        let data = json!({ "secret_id": self.new_secret_id(mount, role), "secret_id_accessor": self.ids.uuid() });
        let token = self.ids.token(self.flavour, false);
        let creation_path = format!("{mount}/role/{role}/secret-id");
        self.wrappings.insert(token.clone(), Wrapping { creation_path, data });
        token
    }

    /// The role that role id and secret id are of.
    pub(crate) fn check_approle(&self, auth: &AuthMount, mount: &str, ask: &Ask) -> Result<(String, RoleSpec), Answer> {
        let refuse = || Answer::error(400, "invalid role or secret ID");
        let Some(role_id) = ask.text("role_id") else { return Err(Answer::error(400, "missing role_id")) };
        let (name, spec) =
            auth.roles.iter().find(|(name, _)| Self::role_id(mount, name) == role_id).ok_or_else(refuse)?;
        let Some(secret_id) = ask.text("secret_id") else { return Err(Answer::error(400, "missing secret_id")) };
        let known = self.secret_ids.get(secret_id).is_some_and(|(of, role)| of == mount && role == name);
        if known { Ok((name.clone(), spec.clone())) } else { Err(refuse()) }
    }

    fn wrap(&mut self, ask: &Ask) -> Answer {
        let token = self.ids.token(self.flavour, false);
        let creation_path = "sys/wrapping/wrap".to_owned();
        self.wrappings.insert(token.clone(), Wrapping { creation_path: creation_path.clone(), data: ask.body.clone() });
        let info = json!({ "token": token, "accessor": "", "ttl": 60, "creation_path": creation_path });
        Answer::bare(200, json!({ "request_id": self.ids.uuid(), "data": null, "wrap_info": info }))
    }

    /// `sys/wrapping/*`, which needs no token but the wrapping's own.
    pub(crate) fn wrapping_route(&mut self, action: &str, ask: &Ask) -> Answer {
        if ask.operation != Operation::Write {
            return Answer::unsupported_operation();
        }
        let gone = || Answer::error(400, "wrapping token is not valid or does not exist");
        let named = ask.text("token").map(ToOwned::to_owned).or_else(|| ask.token.clone());
        let Some(token) = named else { return Answer::error(400, "missing \"token\" value in input") };
        match action {
            "wrap" if ask.token.as_ref().is_some_and(|token| self.tokens.contains_key(token)) => self.wrap(ask),
            "lookup" => match self.wrappings.get(&token) {
                Some(wrapping) => {
                    let data = json!({ "creation_path": wrapping.creation_path, "creation_ttl": 300 });
                    self.data(data, "system")
                }
                None => gone(),
            },
            "unwrap" => match self.wrappings.remove(&token) {
                Some(wrapping) => self.envelope(Envelope { data: wrapping.data, ..Envelope::default() }),
                None => gone(),
            },
            _ => Answer::unsupported_path(),
        }
    }
}
