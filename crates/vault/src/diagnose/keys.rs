//! The annotations that messages point at, in the words of the pod's own dialect.

use sidekey_core::contract::Dialect;

/// Names of annotations; without a dialect, of what they set.
#[derive(Clone, Copy)]
pub(super) struct Keys(pub(super) Option<Dialect>);

impl Keys {
    pub(super) const fn role(self) -> &'static str {
        match self.0 {
            Some(Dialect::Vault) => "vault.hashicorp.com/role",
            Some(Dialect::Native) => "sidekey.dev/role",
            None => "the role",
        }
    }

    pub(super) const fn auth_path(self) -> &'static str {
        match self.0 {
            Some(Dialect::Vault) => "vault.hashicorp.com/auth-path",
            Some(Dialect::Native) => "sidekey.dev/auth-path",
            None => "the auth path",
        }
    }

    pub(super) const fn namespace(self) -> &'static str {
        match self.0 {
            Some(Dialect::Vault) => "vault.hashicorp.com/namespace",
            Some(Dialect::Native) => "sidekey.dev/namespace",
            None => "the Vault namespace",
        }
    }

    pub(super) const fn address(self) -> &'static str {
        match self.0 {
            Some(Dialect::Vault) => "vault.hashicorp.com/service",
            Some(Dialect::Native) => "sidekey.dev/address",
            None => "the address",
        }
    }

    pub(super) const fn ca(self) -> &'static str {
        match self.0 {
            Some(Dialect::Vault) => "vault.hashicorp.com/ca-cert",
            Some(Dialect::Native) => "sidekey.dev/ca-cert",
            None => "the configured CA bundle",
        }
    }

    pub(super) const fn server_name(self) -> &'static str {
        match self.0 {
            Some(Dialect::Vault) => "vault.hashicorp.com/tls-server-name",
            Some(Dialect::Native) => "sidekey.dev/tls-server-name",
            None => "the TLS server name",
        }
    }

    pub(super) const fn client_certificate(self) -> &'static str {
        match self.0 {
            Some(Dialect::Vault) => "vault.hashicorp.com/client-cert and client-key",
            Some(Dialect::Native) => "sidekey.dev/client-cert and client-key",
            None => "a client certificate and its key",
        }
    }

    /// How a pod gets a token of another audience.
    pub(super) const fn audience(self) -> &'static str {
        match self.0 {
            Some(Dialect::Vault) => {
                "sidekey.dev/token-audience or a volume named in vault.hashicorp.com/agent-service-account-token-volume-name"
            }
            Some(Dialect::Native) => "sidekey.dev/token-audience",
            None => "the token volume's audience",
        }
    }

    /// One parameter of the login.
    pub(super) fn auth_config(self, name: &str) -> String {
        match self.0 {
            Some(Dialect::Vault) => format!("vault.hashicorp.com/auth-config-{name}"),
            Some(Dialect::Native) => format!("sidekey.dev/auth-config-{name}"),
            None => format!("the login's {name}"),
        }
    }
}
