//! A tunnel through an HTTP proxy (RFC 9110, 9.3.6 CONNECT), and which requests take it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use sidekey_core::Sensitive;
use sidekey_core::contract::Server;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::address::Origin;
use crate::bypass::Bypass;

/// Longest answer to CONNECT that is read, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// Where the proxy is, and its credentials if its URL has some. No `Debug`.
pub(crate) struct Proxy {
    pub(crate) origin: Origin,
    credentials: Option<Sensitive<String>>,
    bypass: Bypass,
}

/// Fills in what the environment says of proxies where `server` names none, by the names that Go's clients read:
/// `HTTPS_PROXY` for https, `HTTP_PROXY` for http, and `NO_PROXY`; in lower case, too.
pub fn by_environment(server: &mut Server, variable: impl Fn(&str) -> Option<String>) {
    let either = |name: &str| {
        let found = variable(name).filter(|value| !value.is_empty());
        found.or_else(|| variable(&name.to_ascii_lowercase()).filter(|value| !value.is_empty()))
    };
    let https = server.address.trim().starts_with("https://");
    if server.proxy.is_none() {
        // Where there is no scheme, Go takes http.
        let full = |url: String| if url.contains("://") { url } else { format!("http://{url}") };
        server.proxy = either(if https { "HTTPS_PROXY" } else { "HTTP_PROXY" }).map(full);
    }
    if server.no_proxy.is_none() {
        server.no_proxy = either("NO_PROXY");
    }
}

impl Proxy {
    /// `http[s]://[user:password@]host:port`, but for the hosts of a list between commas.
    pub(crate) fn parse(url: &str, bypass: &str) -> Result<Self, String> {
        let uri: Uri = url.trim().parse().map_err(|_| "the proxy is not a URL".to_owned())?;
        let origin = Origin::of(&uri).ok_or("the proxy must be an http:// or https:// URL")?;
        let userinfo = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@')).map(|(user, _)| user);
        Ok(Self { origin, credentials: userinfo.map(credentials), bypass: Bypass::parse(bypass) })
    }

    /// Whether this host is reached through it.
    pub(crate) fn serves(&self, origin: &Origin) -> bool {
        !self.bypass.covers(origin)
    }

    /// Asks for a tunnel to `target`; the stream carries nothing else afterwards.
    ///
    /// # Errors
    /// What went wrong, in words without credentials.
    pub(crate) async fn tunnel(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        target: &Origin,
    ) -> Result<(), String> {
        let host = target.authority();
        let login = self
            .credentials
            .as_ref()
            .map_or_else(String::new, |credentials| format!("Proxy-Authorization: Basic {}\r\n", credentials.expose()));
        let head = Sensitive::new(format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{login}\r\n"));
        let broken = |error: std::io::Error| format!("the proxy {} broke off: {}", self.origin, error.kind());
        stream.write_all(head.expose().as_bytes()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut answer = Vec::new();
        // Byte by byte, so that nothing of what the server says first is taken from the tunnel.
        while !answer.ends_with(b"\r\n\r\n") && answer.len() < MAX_HEAD {
            answer.push(stream.read_u8().await.map_err(broken)?);
        }
        match status(&answer) {
            Some(200..=299) => Ok(()),
            Some(status) => Err(format!("the proxy {} answers {status} to CONNECT {host}", self.origin)),
            None => Err(format!("the proxy {} does not speak HTTP", self.origin)),
        }
    }
}

/// URLs carry them percent-encoded; what is not valid stays as it is.
fn credentials(userinfo: &str) -> Sensitive<String> {
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(userinfo.len()));
    let mut rest = userinfo.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match hex.filter(|_| byte == b'%') {
            Some(decoded) => (bytes.push(decoded), rest = tail.get(2..).unwrap_or_default()).0,
            None => (bytes.push(byte), rest = tail).0,
        }
    }
    Sensitive::new(STANDARD.encode(&*bytes))
}

fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let (version, rest) = line.split_once(' ')?;
    version.starts_with("HTTP/1.").then(|| rest.get(..3)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_proxies_and_refuses_what_it_cannot_speak_to() {
        let proxy = Proxy::parse("http://user:p%77@proxy.example:3128", "").unwrap();
        assert_eq!(proxy.origin.to_string(), "http://proxy.example:3128");
        assert_eq!(proxy.credentials.as_ref().map(|c| c.expose().as_str()), Some("dXNlcjpwdw=="));
        for url in ["socks5://proxy:1080", "proxy:3128", ""] {
            assert!(Proxy::parse(url, "").is_err(), "{url}");
        }
    }

    #[test]
    fn takes_the_environments_proxies_by_scheme_unless_one_is_named() {
        let environment = |name: &str| match name {
            "HTTPS_PROXY" => Some("secure:1".to_owned()),
            "http_proxy" => Some("http://plain:2".to_owned()),
            "NO_PROXY" => Some(String::new()),
            "no_proxy" => Some(".svc".to_owned()),
            _ => None,
        };
        let cases = [
            ("https://vault", None, "http://secure:1"),
            ("http://vault", None, "http://plain:2"),
            ("https://vault", Some("http://own:3"), "http://own:3"),
        ];
        for (address, own, want) in cases {
            let mut server = Server { address: address.to_owned(), proxy: own.map(str::to_owned), ..Server::default() };
            by_environment(&mut server, environment);
            assert_eq!((server.proxy.as_deref(), server.no_proxy.as_deref()), (Some(want), Some(".svc")), "{address}");
        }
        let mut server = Server::default();
        by_environment(&mut server, |_| None);
        assert_eq!((server.proxy, server.no_proxy), (None, None));
    }

    #[test]
    fn reads_status_lines() {
        let cases: [(&[u8], Option<u16>); 4] = [
            (b"HTTP/1.1 200 Connection established\r\n\r\n", Some(200)),
            (b"HTTP/1.0 407 \r\n", Some(407)),
            (b"SSH-2.0-x\r\n", None),
            (b"", None),
        ];
        for (head, want) in cases {
            assert_eq!(status(head), want);
        }
    }
}
