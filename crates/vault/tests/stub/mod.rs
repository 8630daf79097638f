//! A server that says exactly what it is told to, and keeps exactly what it was asked: for what a Vault would not do.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of it")]

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// `GET /v1/… HTTP/1.1`.
    pub(crate) line: String,
    /// Header lines, names in lower case.
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
    /// Number of the connection, from 0.
    pub(crate) connection: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// The raw answer to the nth request (from 0), and whether the connection ends after it.
pub(crate) type Script = dyn Fn(usize, &Seen) -> (String, bool) + Send + Sync;

pub(crate) struct Stub {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
}

impl Stub {
    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub(crate) fn json(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub(crate) async fn start(script: impl Fn(usize, &Seen) -> (String, bool) + Send + Sync + 'static) -> Stub {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let (script, log): (Arc<Script>, _) = (Arc::new(script), seen.clone());
    tokio::spawn(async move {
        for connection in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(serve(stream, connection, script.clone(), log.clone()));
        }
    });
    Stub { port, seen }
}

/// Also for streams that are already inside TLS.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    script: Arc<Script>,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(seen) = read(&mut stream, connection).await {
        let number = {
            let mut log = log.lock().unwrap();
            log.push(seen.clone());
            log.len() - 1
        };
        let (answer, last) = script(number, &seen);
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() || last {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncBufReadExt + Unpin), connection: usize) -> Option<Seen> {
    let mut seen = Seen { connection, ..Seen::default() };
    let mut line = String::new();
    while stream.read_line(&mut line).await.ok()? > 0 && line != "\r\n" {
        let text = line.trim_end().to_owned();
        if seen.line.is_empty() {
            seen.line = text;
        } else {
            seen.headers.push(text);
        }
        line.clear();
    }
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    seen.body = String::from_utf8(body).unwrap();
    (!seen.line.is_empty()).then_some(seen)
}
