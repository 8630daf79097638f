//! A tunnel through an HTTP proxy (RFC 9110, 9.3.6 CONNECT).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use sidekey_core::Sensitive;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::address::Origin;

/// Longest answer to CONNECT that is read, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// Where the proxy is, and its credentials if its URL has some. No `Debug`.
pub(crate) struct Proxy {
    pub(crate) origin: Origin,
    credentials: Option<Sensitive<String>>,
}

impl Proxy {
    /// `http://[user:password@]host:port`. A proxy that wants TLS for itself is refused.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.trim().parse().map_err(|_| "the proxy is not a URL".to_owned())?;
        let origin = Origin::of(&uri).filter(|origin| !origin.https).ok_or("the proxy must be an http:// URL")?;
        let userinfo = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@')).map(|(user, _)| user);
        Ok(Self { origin, credentials: userinfo.map(|user| Sensitive::new(STANDARD.encode(user))) })
    }

    /// Asks for a tunnel to `target`; the stream carries nothing else afterwards.
    ///
    /// # Errors
    /// What went wrong, in words without credentials.
    pub(crate) async fn tunnel(&self, stream: &mut TcpStream, target: &Origin) -> Result<(), String> {
        let host = target.authority();
        let login = self
            .credentials
            .as_ref()
            .map_or_else(String::new, |credentials| format!("Proxy-Authorization: Basic {}\r\n", credentials.expose()));
        let head = Sensitive::new(format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{login}\r\n"));
        let broken = |error: std::io::Error| format!("the proxy {} broke off: {}", self.origin, error.kind());
        stream.write_all(head.expose().as_bytes()).await.map_err(broken)?;
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
        let proxy = Proxy::parse("http://user:pw@proxy.example:3128").unwrap();
        assert_eq!(proxy.origin.to_string(), "http://proxy.example:3128");
        assert_eq!(proxy.credentials.as_ref().map(|c| c.expose().as_str()), Some("dXNlcjpwdw=="));
        for url in ["https://proxy:3128", "socks5://proxy:1080", "proxy:3128", ""] {
            assert!(Proxy::parse(url).is_err(), "{url}");
        }
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
