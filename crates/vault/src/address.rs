//! Vault's address, and paths below it.

use std::fmt;

use http::Uri;

use crate::error::{Class, VaultError};

/// Scheme, host and port: what one connection reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) https: bool,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Where Vault's API begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) origin: Origin,
    /// `/vault` of `https://h/vault`: empty, or with a leading and without a trailing slash.
    pub(crate) prefix: String,
}

impl Address {
    /// Parses `https://host[:port][/prefix]`. The port defaults as the scheme's does, as Vault's own clients have it.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.trim().parse().map_err(|_| "it is not a URL".to_owned())?;
        let origin = Origin::of(&uri).ok_or("it must begin with http:// or https:// and name a host")?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("it must not carry a user or password".to_owned());
        }
        if uri.query().is_some() {
            return Err("it must not have a query".to_owned());
        }
        Ok(Self { origin, prefix: uri.path().trim_end_matches('/').to_owned() })
    }
}

impl Origin {
    /// Of an absolute URL.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        (!host.is_empty()).then_some(Self { https, host, port })
    }

    /// `host:port` as URLs and the Host header write it.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority())
    }
}

/// A logical path as it goes over the wire: each segment percent-encoded, empty ones dropped (Vault would redirect).
/// Parent references are refused here as Vault refuses them, lest something between cleans them into another path.
pub(crate) fn encode_path(verb: &str, path: &str) -> Result<String, VaultError> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.is_empty() || segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        let words = if segments.is_empty() { "the path is empty" } else { "path cannot contain parent references" };
        return Err(VaultError::new(verb, path, Class::BadRequest).with_detail(words));
    }
    Ok(segments.into_iter().map(|segment| encode(segment, b"-._~$&+,:;=@")).collect::<Vec<_>>().join("/"))
}

/// A query's key or value.
pub(crate) fn encode_query(text: &str) -> String {
    encode(text, b"-._~")
}

fn encode(text: &str, kept: &[u8]) -> String {
    use fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_and_keeps_their_prefix() {
        let cases = [
            ("https://vault.vault.svc:8200", "https://vault.vault.svc:8200", ""),
            ("https://vault.example.com/", "https://vault.example.com:443", ""),
            ("http://[::1]:8200/team/vault/", "http://[::1]:8200", "/team/vault"),
            (" http://127.0.0.1 ", "http://127.0.0.1:80", ""),
        ];
        for (url, origin, prefix) in cases {
            let address = Address::parse(url).unwrap();
            assert_eq!((address.origin.to_string().as_str(), address.prefix.as_str()), (origin, prefix), "{url}");
        }
    }

    #[test]
    fn refuses_what_is_no_address_of_vault() {
        for url in
            ["", "vault:8200", "vault", "unix:///run/vault", "ftp://h", "https://", "https://u:p@h", "https://h/?x=1"]
        {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn encodes_paths_and_refuses_those_that_climb() {
        let cases = [
            ("secret/data/web", Some("secret/data/web")),
            ("secret//data/web/", Some("secret/data/web")),
            ("secret/data/a b?c#d%2e", Some("secret/data/a%20b%3Fc%23d%252e")),
            ("secret/data/é\n", Some("secret/data/%C3%A9%0A")),
            ("secret/../sys/seal", None),
            ("secret/./x", None),
            ("", None),
        ];
        for (path, want) in cases {
            assert_eq!(encode_path("GET", path).ok().as_deref(), want, "{path}");
        }
        assert_eq!(encode_query("a b&c=d/é"), "a%20b%26c%3Dd%2F%C3%A9");
    }
}
