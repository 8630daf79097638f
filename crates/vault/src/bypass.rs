//! `NO_PROXY`: which hosts are reached without the proxy, by the rules of Go's clients, Vault's own among them
//! (pkg.go.dev/golang.org/x/net/http/httpproxy#Config).

use std::net::IpAddr;

use crate::address::Origin;

/// Most entries that are read.
const MAX_ENTRIES: usize = 1_000;

/// The hosts that need no proxy. Loopback never does.
#[derive(Debug, Default)]
pub(crate) struct Bypass {
    all: bool,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    host: Host,
    port: Option<u16>,
}

#[derive(Debug)]
enum Host {
    Network(IpAddr, u8),
    /// Lower case; `sub` leaves the name itself out.
    Name {
        name: String,
        sub: bool,
    },
}

impl Bypass {
    /// Reads a list between commas; what is no entry is passed over, as others do.
    pub(crate) fn parse(list: &str) -> Self {
        let words = || list.split(',').map(str::trim).filter(|word| !word.is_empty()).take(MAX_ENTRIES);
        Self { all: words().any(|word| word == "*"), entries: words().filter_map(Entry::parse).collect() }
    }

    /// Whether this host is reached directly.
    pub(crate) fn covers(&self, origin: &Origin) -> bool {
        let host = origin.host.trim_end_matches('.').to_ascii_lowercase();
        let ip: Option<IpAddr> = host.parse().ok();
        let loopback = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        loopback || self.all || self.entries.iter().any(|entry| entry.covers(&host, ip, origin.port))
    }
}

impl Entry {
    fn parse(word: &str) -> Option<Self> {
        if let Some((network, bits)) = word.split_once('/') {
            let network: IpAddr = network.parse().ok()?;
            let bits = bits.parse().ok().filter(|bits| *bits <= if network.is_ipv4() { 32 } else { 128 })?;
            return Some(Self { host: Host::Network(network, bits), port: None });
        }
        let (host, port) = split_port(word)?;
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Some(Self { host: Host::Network(ip, if ip.is_ipv4() { 32 } else { 128 }), port });
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let sub = name.strip_prefix("*.").or_else(|| name.strip_prefix('.')).map(str::to_owned);
        let host = Host::Name { sub: sub.is_some(), name: sub.unwrap_or(name) };
        Some(Self { host, port })
    }

    fn covers(&self, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
        if self.port.is_some_and(|wanted| wanted != port) {
            return false;
        }
        match (&self.host, ip) {
            (Host::Network(network, bits), Some(ip)) => within(ip, *network, *bits),
            (Host::Name { name, sub }, None) => {
                let below = host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
                below || (!sub && host == name)
            }
            _ => false,
        }
    }
}

/// `host`, `host:port`, `[v6]:port`, and an IPv6 address without a port.
fn split_port(word: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = word.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return match port.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => Some((host, None)),
        };
    }
    match word.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Some((word, None)),
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((word, None)),
    }
}

fn within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (ip.to_canonical(), network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let shift = 32 - bits;
            u64::from(u32::from(ip)) >> shift == u64::from(u32::from(network)) >> shift
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            (u128::from(ip) ^ u128::from(network)).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(host: &str, port: u16) -> Origin {
        Origin { https: true, host: host.to_owned(), port }
    }

    #[test]
    fn covers_what_gos_clients_cover() {
        let cases = [
            ("", "127.0.0.1", true),
            ("", "localhost", true),
            ("", "::1", true),
            ("", "vault.example", false),
            ("*", "vault.example", true),
            ("example", "vault.example", true),
            ("vault.example", "VAULT.example.", true),
            ("vault.example", "avault.example", false),
            (".example", "vault.example", true),
            (".vault.example", "vault.example", false),
            ("*.example", "vault.example", true),
            (" a , vault.example:8200 ", "vault.example", true),
            ("vault.example:443", "vault.example", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("0.0.0.0/0", "11.1.2.3", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3:1", "10.1.2.3", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::1", "fd00::1", true),
            ("[fd00::1]:8200", "fd00::1", true),
            ("::/0", "fd00::1", true),
            ("10.0.0.0/33,10.0.0.0/x,a:b:c", "10.1.2.3", false),
            (".svc,.cluster.local", "vault.vault.svc.cluster.local", true),
        ];
        for (list, host, want) in cases {
            assert_eq!(Bypass::parse(list).covers(&origin(host, 8200)), want, "{list:?} {host}");
        }
    }
}
