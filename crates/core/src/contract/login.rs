//! Logins beside the pod's own: other roles, mounts, namespaces or servers.

use serde::{Deserialize, Serialize};

use super::{AgentConfig, Auth, ContractError, Server};

/// A server and how to log in there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Login {
    /// Where Vault is; `None` is the pod's own server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// How to log in.
    pub auth: Auth,
}

impl AgentConfig {
    /// How many logins there are; never none.
    pub const fn login_count(&self) -> usize {
        self.logins.len() + 1
    }

    /// The server of a login, counted as outputs do; the pod's own for one that is not there.
    pub fn server_of(&self, login: usize) -> &Server {
        self.other(login).and_then(|other| other.server.as_ref()).unwrap_or(&self.server)
    }

    /// How a login is made, counted as outputs do; the pod's own for one that is not there.
    pub fn auth_of(&self, login: usize) -> &Auth {
        self.other(login).map_or(&self.auth, |other| &other.auth)
    }

    /// A login for people: `auth/kubernetes as web at https://…`.
    pub fn login_name(&self, login: usize) -> String {
        let server = self.server_of(login);
        let namespace = server.namespace.as_ref().map_or_else(String::new, |name| format!(", namespace {name}"));
        format!("{} at {}{namespace}", self.auth_of(login).place(), server.address)
    }

    fn other(&self, login: usize) -> Option<&Login> {
        self.logins.get(login.checked_sub(1)?)
    }

    /// Every output's login is there.
    pub(super) fn whole(self) -> Result<Self, ContractError> {
        match self.outputs.iter().find(|output| output.login >= self.login_count()) {
            Some(output) => {
                Err(ContractError::Malformed(format!("output {} names login {}", output.name, output.login)))
            }
            None => Ok(self),
        }
    }
}
