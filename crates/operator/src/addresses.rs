//! Where the operator may send the tokens it mints: nowhere that is link-local or a cloud's metadata service, unless allowed.

use std::net::IpAddr;

use http::Uri;
use sidekey_core::{Cause, Code};
use sidekey_vault::Guard;

use crate::types::object::Key;

/// Names under which clouds serve metadata.
const METADATA: [&str; 3] = ["metadata", "metadata.google.internal", "instance-data"];

/// The rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Hosts (names or addresses) that are allowed in spite of the rule; when `only` is set, the only ones.
    pub allowed: Vec<String>,
    /// Whether nothing else is allowed.
    pub only: bool,
}

impl Addresses {
    /// Checks the host of a connection's address.
    ///
    /// # Errors
    /// It is refused.
    pub fn check(&self, key: &Key, address: &str) -> Result<(), Cause> {
        let host = address.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
        let refused = |answer| Cause::new(Code::AddressRefused, format!("reading {key}"), answer);
        self.host(&host).map_err(refused)
    }

    /// Checks what a name has resolved to.
    ///
    /// # Errors
    /// It is refused.
    pub fn check_resolved(&self, key: &Key, host: &str, resolved: IpAddr) -> Result<(), Cause> {
        let refused = |answer| Cause::new(Code::AddressRefused, format!("reading {key}"), answer);
        self.resolved(host, resolved).map_err(refused)
    }

    /// The rule for sockets: what a name resolves to can change after a check, and a server can name another one.
    pub fn guard(&self) -> Guard {
        let rule = self.clone();
        Guard::new(move |host, address| match address {
            Some(address) => rule.resolved(host, address),
            None => rule.host(host),
        })
    }

    fn host(&self, host: &str) -> Result<(), String> {
        let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        if self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(&host)) {
            return Ok(());
        }
        let refused = self.only || METADATA.contains(&host.as_str()) || host.parse().is_ok_and(is_dangerous);
        if refused { Err(format!("{host} is not an address that tokens may be sent to")) } else { Ok(()) }
    }

    fn resolved(&self, host: &str, resolved: IpAddr) -> Result<(), String> {
        let allowed = |name: &String| name.eq_ignore_ascii_case(host) || *name == resolved.to_string();
        if !is_dangerous(resolved) || self.allowed.iter().any(allowed) {
            return Ok(());
        }
        Err(format!("{host} resolves to {resolved}, which tokens may not be sent to"))
    }
}

/// Link-local of both families, and the metadata services that are not.
fn is_dangerous(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.octets() == [100, 100, 100, 200] || v4.is_unspecified(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_dangerous(IpAddr::V4(v4)),
            None => v6.is_unicast_link_local() || v6.is_unspecified() || v6.segments()[..2] == [0xfd00, 0x0ec2],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Kind;

    #[test]
    fn tokens_go_to_no_metadata_service() {
        let key = Key::new(Kind::VaultConnection, "app", "vault");
        let cases = [
            ("http://vault.vault.svc:8200", true),
            ("https://10.0.0.1:8200", true),
            ("http://127.0.0.1:8200", true),
            ("http://169.254.169.254", false),
            ("http://[fe80::1]:8200", false),
            ("http://[::ffff:169.254.169.254]/", false),
            ("http://[fd00:ec2::254]/", false),
            ("http://Metadata.Google.Internal./x", false),
            ("http://0.0.0.0:8200", false),
        ];
        for (address, want) in cases {
            assert_eq!(Addresses::default().check(&key, address).is_ok(), want, "{address}");
        }
        let one = Addresses { allowed: vec!["169.254.169.254".to_owned()], only: false };
        assert!(one.check(&key, "http://169.254.169.254").is_ok());
        let only = Addresses { allowed: vec!["vault".to_owned()], only: true };
        assert!(only.check(&key, "http://vault:8200").is_ok() && only.check(&key, "http://10.0.0.1").is_err());
        let resolved = "169.254.169.254".parse().unwrap();
        assert!(Addresses::default().check_resolved(&key, "innocent.example", resolved).is_err());
    }
}
