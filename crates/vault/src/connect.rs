//! name → address → leave → socket → tunnel → TLS: one connection, and the stage at which it failed.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::address::Origin;
use crate::error::{Class, TlsFault};
use crate::extras::Guard;
use crate::proxy::Proxy;
use crate::tls;
use crate::transport::BoxFuture;

/// Longest time for all stages together; a request's own limit may be shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// A failed stage and the words for it.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) Class, pub(crate) String);

/// How connections are made.
pub(crate) struct Connector {
    pub(crate) tls: Arc<ClientConfig>,
    /// Checked in place of the host's name, on redirects too: one certificate usually serves all nodes.
    pub(crate) server_name: Option<ServerName<'static>>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) guard: Guard,
}

/// A plain or a TLS connection; below, there may be one to a proxy that speaks TLS itself.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Nested(Box<TlsStream<TlsStream<TcpStream>>>),
}

impl Connector {
    pub(crate) async fn connect(&self, origin: &Origin, limit: Duration) -> Result<Stream, Broken> {
        let deadline = Instant::now() + limit.min(CONNECT_TIMEOUT);
        let proxy = self.proxy.as_ref().filter(|proxy| proxy.serves(origin));
        let via = proxy.map_or(origin, |proxy| &proxy.origin);
        let refused = |words| Broken(Class::Refused, words);
        self.guard.ask(&origin.host, None).map_err(refused)?;
        let addresses = resolve(via, deadline).await?;
        // One that is not allowed is reason enough not to try the others: who answers so is not to be believed.
        addresses.iter().try_for_each(|found| self.guard.ask(&via.host, Some(found.ip()))).map_err(refused)?;
        let tcp = dial(via, &addresses, deadline).await?;
        let _best_effort = tcp.set_nodelay(true);
        match proxy {
            None => self.secure(origin, tcp, deadline).await,
            Some(proxy) => self.through(proxy, tcp, origin, deadline).await,
        }
    }

    /// Boxed, and not inlined: few have a proxy, and the stack it takes would lie beneath everybody's handshake.
    #[inline(never)]
    fn through<'a>(
        &'a self,
        proxy: &'a Proxy,
        tcp: TcpStream,
        origin: &'a Origin,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Stream, Broken>> {
        Box::pin(self.tunnelled(proxy, tcp, origin, deadline))
    }

    async fn tunnelled(
        &self,
        proxy: &Proxy,
        mut tcp: TcpStream,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Stream, Broken> {
        if proxy.origin.https {
            let name = name_of(&proxy.origin)?;
            let mut tls = self
                .handshake(name, tcp, deadline)
                .await
                .map_err(|Broken(class, words)| Broken(class, format!("the proxy {}: {words}", proxy.origin)))?;
            tunnel(proxy, &mut tls, origin, deadline).await?;
            if !origin.https {
                return Ok(Stream::Tls(Box::new(tls)));
            }
            let name = self.name(origin)?;
            return Ok(Stream::Nested(Box::new(self.handshake(name, tls, deadline).await?)));
        }
        tunnel(proxy, &mut tcp, origin, deadline).await?;
        self.secure(origin, tcp, deadline).await
    }

    async fn secure(&self, origin: &Origin, tcp: TcpStream, deadline: Instant) -> Result<Stream, Broken> {
        if !origin.https {
            return Ok(Stream::Plain(tcp));
        }
        let name = self.name(origin)?;
        Ok(Stream::Tls(Box::new(self.handshake(name, tcp, deadline).await?)))
    }

    fn name(&self, origin: &Origin) -> Result<ServerName<'static>, Broken> {
        self.server_name.as_ref().map_or_else(|| name_of(origin), |name| Ok(name.clone()))
    }

    async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        name: ServerName<'static>,
        stream: S,
        deadline: Instant,
    ) -> Result<TlsStream<S>, Broken> {
        let handshake = TlsConnector::from(self.tls.clone()).connect(name, stream);
        match timeout_at(deadline, handshake).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(handshake_failed(&error)),
            Err(_) => Err(Broken(Class::Timeout, "connected, but no TLS handshake in time".to_owned())),
        }
    }
}

fn name_of(origin: &Origin) -> Result<ServerName<'static>, Broken> {
    ServerName::try_from(origin.host.clone())
        .map_err(|_| Broken(Class::Address, format!("{} is no name for a certificate", origin.host)))
}

async fn tunnel(
    proxy: &Proxy,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    origin: &Origin,
    deadline: Instant,
) -> Result<(), Broken> {
    match timeout_at(deadline, proxy.tunnel(stream, origin)).await {
        Ok(done) => done.map_err(|words| Broken(Class::Tcp, words)),
        Err(_) => Err(Broken(Class::Tcp, format!("the proxy {} does not answer", proxy.origin))),
    }
}

async fn resolve(origin: &Origin, deadline: Instant) -> Result<Vec<SocketAddr>, Broken> {
    let failed = |words: String| Broken(Class::Dns, format!("lookup {}: {words}", origin.host));
    match timeout_at(deadline, lookup_host((origin.host.as_str(), origin.port))).await {
        Ok(Ok(found)) => {
            let found: Vec<SocketAddr> = found.take(MAX_ADDRESSES).collect();
            if found.is_empty() { Err(failed("no such host".to_owned())) } else { Ok(found) }
        }
        Ok(Err(error)) => Err(failed(format!("no such host ({error})"))),
        Err(_) => Err(failed("the resolver does not answer".to_owned())),
    }
}

/// One after the other, each with its share of the time that is left.
async fn dial(origin: &Origin, addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Broken> {
    let mut last = String::new();
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(1);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        last = match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => match error.kind() {
                std::io::ErrorKind::ConnectionRefused => format!("connect {address}: connection refused"),
                kind => format!("connect {address}: {kind}"),
            },
            Err(_) => format!("connect {address}: i/o timeout"),
        };
    }
    Err(Broken(Class::Tcp, format!("{last} ({})", origin.authority())))
}

fn handshake_failed(error: &std::io::Error) -> Broken {
    match tls::fault(error) {
        Some((fault, words)) => Broken(Class::Tls(fault), words),
        None => {
            Broken(Class::Tls(TlsFault::Other), format!("the connection broke in the TLS handshake: {}", error.kind()))
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Nested(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Nested(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Nested(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Nested(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
