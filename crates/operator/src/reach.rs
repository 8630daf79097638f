//! connection → address check → trust, from Secrets and ConfigMaps → what every client of it is made from.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Uri;
use sidekey_cluster::api::Api;
use sidekey_core::Cause;
use sidekey_core::contract::Server;
use sidekey_vault::{Client, Extras, by_environment, diagnose};
use tokio::time::timeout;

use crate::addresses::Addresses;
use crate::plan::auth::Connection;
use crate::plan::outcome::Trouble;
use crate::proof;
use crate::types::object::Key;

/// How a connection's server is reached, as it was last read.
#[derive(Clone)]
pub struct Reach {
    /// Where it is, and whom to believe.
    pub server: Server,
    /// Headers, client certificate, and where sockets may be opened.
    pub extras: Extras,
}

impl Reach {
    /// Reads what the connection names. Where that is no proxy, the variables `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of `env` hold.
    ///
    /// # Errors
    /// The address is refused, or a Secret or ConfigMap cannot be used.
    pub async fn read(
        api: &Api,
        addresses: &Addresses,
        env: &BTreeMap<String, String>,
        connection: &Connection,
    ) -> Result<Self, Trouble> {
        let (spec, home) = (&connection.spec, &connection.home);
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        admitted(addresses, &connection.key, &spec.address).await?;
        let proxy = filled(&spec.proxy_url);
        if let Some(proxy) = &proxy {
            admitted(addresses, &connection.key, proxy).await?;
        }
        let ca_pem = match (filled(&spec.ca_cert_secret_ref), &spec.ca_cert_config_map_ref) {
            _ if spec.skip_tls_verify => None,
            (Some(name), _) => Some(proof::text(api, home, &name, "ca.crt").await?.expose().clone()),
            (None, Some(map)) => Some(proof::public(api, home, &map.name, map.key()).await?),
            (None, None) => None,
        };
        let identity = match filled(&spec.client_cert_secret_ref) {
            Some(name) => Some(proof::pair(api, home, &name).await?),
            None => None,
        };
        let mut server = Server {
            address: spec.address.clone(),
            ca_pem,
            ca_file: filled(&spec.ca_cert_path),
            server_name: filled(&spec.tls_server_name),
            skip_verify: spec.skip_tls_verify,
            proxy,
            timeout_seconds: u32::try_from(connection.timeout.as_secs().max(1)).unwrap_or(u32::MAX),
            ..Server::default()
        };
        if server.proxy.is_none() {
            by_environment(&mut server, |name| env.get(name).cloned());
        }
        let extras = Extras { headers: spec.headers.clone(), identity, guard: addresses.guard() };
        Ok(Self { server, extras })
    }

    /// The same in a Vault namespace.
    pub fn within(&self, namespace: Option<String>) -> Self {
        Self { server: Server { namespace, ..self.server.clone() }, extras: self.extras.clone() }
    }

    /// Whether it is the same but for the Vault namespace.
    pub fn is_as(&self, other: &Self) -> bool {
        let server = Server { namespace: other.server.namespace.clone(), ..self.server.clone() };
        server == other.server
            && self.extras.headers == other.extras.headers
            && self.extras.identity == other.extras.identity
    }

    /// A client of it.
    ///
    /// # Errors
    /// What cannot be used: certificates above all.
    pub fn client(&self) -> Result<Client, Trouble> {
        let failed = |error| Trouble::new("VaultClientConfigError", diagnose::transport(&error, &self.server));
        Client::with(&self.server, &self.extras).map_err(failed)
    }
}

const fn refused(cause: Cause) -> Trouble {
    Trouble::new("InvalidConfiguration", cause)
}

/// Whether tokens may go to this URL, as it is written and as it resolves now: none is minted for another. The sockets are held to
/// the same when they are opened, see [`Addresses::guard`]. A name that does not resolve is left to the connection, which says so
/// better.
///
/// # Errors
/// They may not.
pub(crate) async fn admitted(addresses: &Addresses, key: &Key, address: &str) -> Result<(), Trouble> {
    addresses.check(key, address).map_err(refused)?;
    let Ok(uri) = address.parse::<Uri>() else { return Ok(()) };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let looked_up = timeout(Duration::from_secs(5), tokio::net::lookup_host((host.as_str(), 0))).await;
    for found in looked_up.ok().and_then(Result::ok).into_iter().flatten() {
        addresses.check_resolved(key, &host, found.ip()).map_err(refused)?;
    }
    Ok(())
}
