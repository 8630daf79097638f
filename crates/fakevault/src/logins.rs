//! The test's side of logins that show no service account token.

use crate::auth::AuthKind;
use crate::handle::{FakeVault, trim};
use crate::state::State;

/// A client certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct ClientPair {
    /// One certificate.
    pub certificate: String,
    /// Its key, PKCS #8.
    pub key: String,
}

impl FakeVault {
    /// Whether a token lives.
    pub fn lives(&self, token: &str) -> bool {
        let mut state = self.lock();
        state.sweep();
        state.tokens.contains_key(token)
    }

    /// An `AppRole` mount.
    pub fn enable_approle(&self, mount: &str) {
        self.enable(mount, AuthKind::AppRole);
    }

    /// A certificate mount: any role takes the certificates of [`Self::client_pair`].
    pub fn enable_cert(&self, mount: &str) {
        self.enable(mount, AuthKind::Cert);
    }

    /// An AWS mount; a role's `service_accounts` are its principals.
    pub fn enable_aws(&self, mount: &str) {
        self.enable(mount, AuthKind::Aws);
    }

    /// The role id of an `AppRole` role.
    pub fn role_id(&self, mount: &str, role: &str) -> String {
        State::role_id(&trim(mount), role)
    }

    /// A new secret id of an `AppRole` role.
    pub fn secret_id(&self, mount: &str, role: &str) -> String {
        self.lock().new_secret_id(&trim(mount), role)
    }

    /// A new secret id behind a wrapping token, which is returned.
    pub fn wrapped_secret_id(&self, mount: &str, role: &str) -> String {
        self.lock().wrap_secret_id(&trim(mount), role)
    }

    /// Opens a wrapping before its addressee does; what was in it, the first time.
    pub fn intercept(&self, wrapping: &str) -> Option<serde_json::Value> {
        self.lock().wrappings.remove(wrapping).map(|wrapping| wrapping.data)
    }

    /// A certificate that certificate logins take (`trusted`), or another.
    ///
    /// # Errors
    /// No certificate can be made.
    pub fn client_pair(&self, name: &str, trusted: bool) -> Result<ClientPair, crate::StartError> {
        let mut state = self.lock();
        let pair = state.authority.issue(name, "0c", 946_684_800, 4_102_444_800)?;
        if trusted {
            state.client_certificates.insert(pair.der);
        }
        Ok(ClientPair { certificate: pair.certificate, key: pair.key })
    }

    /// The principal that AWS knows by this key's id.
    pub fn aws_key(&self, id: &str, principal: &str) {
        self.lock().aws_keys.insert(id.to_owned(), principal.to_owned());
    }

    /// What AWS logins have to name as this server.
    pub fn aws_server_id(&self, id: &str) {
        self.lock().aws_server_id = Some(id.to_owned());
    }
}
