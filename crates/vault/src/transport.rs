//! Sends one question and brings back one bounded answer.
//!
//! Connections are HTTP/1.1 and kept alive, two at most while idle. A question goes out twice only if the first time not
//! a byte of it left, or if asking twice does no harm and the connection was an old one.
//!
//! Redirects: a standby names the active node with 307 or 308. They are followed at most twice, only to the same scheme,
//! only to the very path that was asked, and only over a connection that passes the same certificate checks. So the token
//! goes nowhere that the server which already holds it did not name over that same trust.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, LOCATION, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use sidekey_core::Sensitive;

use crate::address::{Address, Origin};
use crate::answer::Reply;
use crate::ask::Ask;
use crate::connect::{Broken, Connector, Stream};
use crate::date;
use crate::error::{Class, VaultError};
use crate::tls;

/// Longest answer, in bytes. Vault's own limit for requests is 32 MiB; a secret is a few KiB.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Idle connections kept: Vault's, and the active node's after a redirect.
const MAX_IDLE: usize = 2;

/// Then an idle one is closed. Questions come in bursts, with minutes between them: held open, a connection for each pod would
/// cost the server and the pod memory for nothing.
const IDLE_TIME: Duration = Duration::from_secs(3);

/// Redirects followed for one question.
const MAX_HOPS: usize = 2;

/// Longest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// One of its own on the heap.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

type Sender = SendRequest<Full<Bytes>>;

struct Idle {
    origin: Origin,
    sender: Sender,
    since: Instant,
}

/// One server.
pub(crate) struct Transport {
    pub(crate) address: Address,
    pub(crate) namespace: Option<HeaderValue>,
    /// Whatever the configuration wants on every request.
    pub(crate) headers: HeaderMap,
    pub(crate) connector: Connector,
    pub(crate) timeout: Duration,
    pub(crate) idle: Arc<Pool>,
}

/// The idle connections; the lock is never held over an await.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    idle: VecDeque<Idle>,
    /// Whether a task is about to close what has been idle too long.
    swept: bool,
}

/// What became of one sending.
enum Sent {
    Answered(Box<Response<Incoming>>),
    /// Not a byte left.
    Unsent(hyper::Error),
    /// It may have arrived.
    Broken(hyper::Error),
}

impl Transport {
    /// Asks within the server's time limit.
    pub(crate) async fn send(&self, ask: &Ask) -> Result<Reply, VaultError> {
        match tokio::time::timeout(self.timeout, self.follow(ask)).await {
            Ok(done) => done,
            Err(_) => Err(ask.error(Class::Timeout).with_detail(format!("no answer in {} s", self.timeout.as_secs()))),
        }
    }

    /// Posts to this path of the address, whose answer is not Vault's. No redirect is followed.
    pub(crate) async fn post(&self, path: &str, ask: &Ask) -> Result<Reply, VaultError> {
        match tokio::time::timeout(self.timeout, self.exchange(&self.address.origin, path, ask)).await {
            Ok(done) => done,
            Err(_) => Err(ask.error(Class::Timeout).with_detail(format!("no answer in {} s", self.timeout.as_secs()))),
        }
    }

    async fn follow(&self, ask: &Ask) -> Result<Reply, VaultError> {
        let mut origin = self.address.origin.clone();
        let mut target = ask.target(&self.address.prefix)?;
        let mut reply = self.exchange(&origin, &target, ask).await?;
        for _ in 0..MAX_HOPS {
            if !matches!(reply.status, 307 | 308) {
                break;
            }
            (origin, target) = self.redirect(&reply, ask)?;
            reply = self.exchange(&origin, &target, ask).await?;
        }
        Ok(reply)
    }

    fn redirect(&self, reply: &Reply, ask: &Ask) -> Result<(Origin, String), VaultError> {
        let refused = |words: String| {
            let mut error = ask.error(Class::Standby).with_detail(words);
            error.status = Some(reply.status);
            error
        };
        let location = reply.location.as_deref().unwrap_or_default();
        let uri: Uri = location.parse().map_err(|_| refused("a redirect to nowhere".to_owned()))?;
        let origin = Origin::of(&uri).ok_or_else(|| refused("a redirect without a host".to_owned()))?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        if origin.https != self.address.origin.https {
            return Err(refused(format!("a redirect to {origin}, of another scheme, is not followed")));
        }
        if !target.ends_with(&ask.target("")?) {
            return Err(refused(format!("a redirect to another path at {origin} is not followed")));
        }
        Ok((origin, target))
    }

    async fn exchange(&self, origin: &Origin, target: &str, ask: &Ask) -> Result<Reply, VaultError> {
        if let Some(mut sender) = self.idle.take(origin).await {
            match send(&mut sender, self.request(origin, target, ask)?).await {
                Sent::Answered(response) => return self.receive(*response, sender, origin, ask).await,
                Sent::Broken(error) if !ask.repeatable => return Err(broken(&error, ask)),
                Sent::Unsent(_) | Sent::Broken(_) => {}
            }
        }
        let mut sender = self.opening(origin, ask).await?;
        match send(&mut sender, self.request(origin, target, ask)?).await {
            Sent::Answered(response) => self.receive(*response, sender, origin, ask).await,
            Sent::Unsent(error) | Sent::Broken(error) => Err(broken(&error, ask)),
        }
    }

    /// Boxed, and not inlined: the stack that a handshake takes would stay taken, and beneath every answer.
    #[inline(never)]
    fn opening<'a>(&'a self, origin: &'a Origin, ask: &'a Ask) -> BoxFuture<'a, Result<Sender, VaultError>> {
        Box::pin(self.open(origin, ask))
    }

    /// Opens a connection that the next question finds ready. A failure says nothing: that question will meet it too.
    pub(crate) async fn warm(&self) {
        let origin = &self.address.origin;
        if let Ok(sender) = self.opening(origin, &Ask::get("sys/health")).await {
            self.idle.put(origin, sender);
        }
    }

    async fn open(&self, origin: &Origin, ask: &Ask) -> Result<Sender, VaultError> {
        let failed = |Broken(class, words): Broken| ask.error(class).with_detail(words);
        let stream: Stream = self.connector.connect(origin, self.timeout).await.map_err(failed)?;
        let (sender, connection) = Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error, ask))?;
        // Ends by itself when its sender is dropped or the server closes; its error reaches the sender too.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn request(&self, origin: &Origin, target: &str, ask: &Ask) -> Result<Request<Full<Bytes>>, VaultError> {
        let unusable = || ask.error(Class::BadRequest).with_detail("the request cannot be written");
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = target.parse().map_err(|_| unusable())?;
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        headers.insert(HOST, HeaderValue::try_from(origin.authority()).map_err(|_| unusable())?);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("sidekey/", env!("CARGO_PKG_VERSION"))));
        if let Some(kind) = ask.foreign {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            return Ok(request);
        }
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(namespace) = ask.namespace.as_ref().or(self.namespace.as_ref()) {
            headers.insert("x-vault-namespace", namespace.clone());
        }
        if let Some(ttl) = &ask.wrap_ttl {
            headers.insert("x-vault-wrap-ttl", ttl.clone());
        }
        if let Some(token) = &ask.token {
            let mut value = HeaderValue::from_str(token.expose()).map_err(|_| unusable())?;
            value.set_sensitive(true);
            headers.insert("x-vault-token", value);
        }
        if !ask.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(request)
    }

    async fn receive(
        &self,
        response: Response<Incoming>,
        sender: Sender,
        origin: &Origin,
        ask: &Ask,
    ) -> Result<Reply, VaultError> {
        let (head, body) = response.into_parts();
        let number = |name| header(&head.headers, name).and_then(|text| text.trim().parse().ok());
        let (retry_after, length) = (retry_after(&head.headers), number(CONTENT_LENGTH.as_str()));
        let location = header(&head.headers, LOCATION.as_str()).map(str::to_owned);
        let content_type = header(&head.headers, CONTENT_TYPE.as_str()).map(str::to_owned);
        let body = read(body, length, ask).await?;
        self.idle.put(origin, sender);
        Ok(Reply { status: head.status.as_u16(), retry_after, location, content_type, body })
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// In seconds, or as a date, which is taken against the answer's own: no clock of ours is in it.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let text = header(headers, RETRY_AFTER.as_str())?.trim();
    let until = || {
        let now = header(headers, DATE.as_str()).and_then(date::http).unwrap_or_else(unix_now);
        date::http(text).map(|until| until.saturating_sub(now))
    };
    text.parse().ok().or_else(until)
}

fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

async fn send(sender: &mut Sender, request: Request<Full<Bytes>>) -> Sent {
    match sender.try_send_request(request).await {
        Ok(response) => Sent::Answered(Box::new(response)),
        Err(mut refused) => match refused.take_message() {
            Some(_) => Sent::Unsent(refused.into_error()),
            None => Sent::Broken(refused.into_error()),
        },
    }
}

async fn read(mut body: Incoming, length: Option<u64>, ask: &Ask) -> Result<Sensitive<Vec<u8>>, VaultError> {
    let too_long = || ask.error(Class::Protocol).with_detail("the answer is longer than 4 MiB");
    let expected = usize::try_from(length.unwrap_or_default()).unwrap_or(usize::MAX);
    if expected > MAX_BODY {
        return Err(too_long());
    }
    // Room for all of it at once, so that growing leaves no copy behind where the length is known.
    let mut bytes = Sensitive::new(Vec::with_capacity(expected));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error, ask))?;
        if let Ok(data) = frame.into_data() {
            if bytes.expose().len() + data.len() > MAX_BODY {
                return Err(too_long());
            }
            bytes.expose_mut().extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// A connection that failed after it stood: by TLS 1.3 a client certificate is refused only now.
fn broken(error: &hyper::Error, ask: &Ask) -> VaultError {
    if let Some((fault, words)) = tls::fault(error) {
        return ask.error(Class::Tls(fault)).with_detail(words);
    }
    if error.is_parse() {
        return ask.error(Class::Protocol).with_detail("what answers does not speak HTTP");
    }
    ask.error(Class::Tcp).with_detail("the connection broke before the answer's end")
}

impl Pool {
    /// One that is open and ready, newest first; the others of that origin that are not are dropped on the way.
    async fn take(&self, origin: &Origin) -> Option<Sender> {
        loop {
            let mut sender = self.pop(origin)?;
            if !sender.is_closed() && sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    fn pop(&self, origin: &Origin) -> Option<Sender> {
        let mut kept = self.fresh();
        let at = kept.idle.iter().rposition(|idle| idle.origin == *origin)?;
        kept.idle.remove(at).map(|idle| idle.sender)
    }

    fn put(self: &Arc<Self>, origin: &Origin, sender: Sender) {
        let mut kept = self.fresh();
        kept.idle.push_back(Idle { origin: origin.clone(), sender, since: Instant::now() });
        while kept.idle.len() > MAX_IDLE {
            kept.idle.pop_front();
        }
        if !std::mem::replace(&mut kept.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Without those that are too old: they are closed.
    fn fresh(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.idle.retain(|idle| idle.since.elapsed() < IDLE_TIME);
        kept
    }
}

/// Closes what is idle until nothing is.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE_TIME).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut kept = pool.fresh();
        if kept.idle.is_empty() {
            kept.swept = false;
            return;
        }
    }
}
