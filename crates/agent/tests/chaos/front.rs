//! What lies between agent and server: a relay that passes, refuses, swallows, or leads to another server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// They lead to this server.
    To(SocketAddr),
    /// They are reset.
    Refuse,
    /// Nobody answers.
    Hole,
}

#[derive(Default)]
struct Counts {
    /// Connections whose client spoke last: somebody waits for an answer.
    waiting: AtomicUsize,
    /// Connections that were opened.
    opened: AtomicUsize,
}

/// The relay.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
    counts: Arc<Counts>,
}

impl Front {
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Self {
            address: listener.local_addr().unwrap(),
            way: watch::Sender::new(Way::To(to)),
            counts: Arc::default(),
        };
        let (way, counts) = (front.way.subscribe(), front.counts.clone());
        tokio::spawn(async move {
            loop {
                if let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(connection(client, way.clone(), counts.clone()));
                }
            }
        });
        front
    }

    /// Ends every connection, and leads the next ones this way.
    pub(crate) fn lead(&self, way: Way) {
        self.way.send_replace(way);
    }

    pub(crate) fn is_waited_for(&self) -> bool {
        self.counts.waiting.load(Ordering::SeqCst) > 0
    }

    /// Connections so far, wherever they led.
    pub(crate) fn opened(&self) -> usize {
        self.counts.opened.load(Ordering::SeqCst)
    }
}

/// Counts one waiting client for as long as it waits.
struct Waiting<'a>(&'a AtomicUsize, bool);

impl Waiting<'_> {
    fn set(&mut self, waits: bool) {
        match (self.1, waits) {
            (false, true) => drop(self.0.fetch_add(1, Ordering::SeqCst)),
            (true, false) => drop(self.0.fetch_sub(1, Ordering::SeqCst)),
            _ => {}
        }
        self.1 = waits;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.set(false);
    }
}

async fn connection(mut client: TcpStream, mut ways: watch::Receiver<Way>, counts: Arc<Counts>) {
    let way = *ways.borrow_and_update();
    counts.opened.fetch_add(1, Ordering::SeqCst);
    if let Way::To(address) = way
        && let Ok(server) = TcpStream::connect(address).await
    {
        relay(&mut client, server, &mut ways, &counts).await;
    } else if way == Way::Hole {
        let _ = ways.changed().await;
    }
    let _ = client.set_zero_linger();
}

async fn relay(client: &mut TcpStream, mut server: TcpStream, ways: &mut watch::Receiver<Way>, counts: &Counts) {
    let mut waiting = Waiting(&counts.waiting, false);
    waiting.set(true);
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut asked, mut told) = (vec![0; 16_384], vec![0; 16_384]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(count @ 1..) => {
                    waiting.set(true);
                    if server.write_all(&asked[..count]).await.is_err() { return; }
                }
                _ => return,
            },
            read = server.read(&mut told) => match read {
                Ok(count @ 1..) => {
                    if client.write_all(&told[..count]).await.is_err() { return; }
                    waiting.set(false);
                }
                _ => return,
            },
            _ = ways.changed() => return,
        }
    }
}
