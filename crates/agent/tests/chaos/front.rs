//! What lies between agent and server: a relay that passes, refuses, swallows, or leads to another server.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

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
    /// Times that anything came or went: a connection, some bytes, an end.
    moves: AtomicU64,
    /// Those that are open.
    clients: Mutex<Vec<Arc<OwnedFd>>>,
}

/// One client for as long as its connection is open.
struct Client<'a>(&'a Counts, Arc<OwnedFd>);

impl<'a> Client<'a> {
    fn new(counts: &'a Counts, stream: &TcpStream) -> Self {
        // Not for the agents that are started while it is open: they would seem to hold it.
        let own = Arc::new(rustix::io::fcntl_dupfd_cloexec(stream, 0).unwrap());
        counts.opened.fetch_add(1, Ordering::SeqCst);
        counts.moves.fetch_add(1, Ordering::SeqCst);
        counts.clients.lock().unwrap().push(own.clone());
        Self(counts, own)
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        self.0.moves.fetch_add(1, Ordering::SeqCst);
        self.0.clients.lock().unwrap().retain(|client| !Arc::ptr_eq(client, &self.1));
    }
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

    /// A client waits for an answer, or has said something that the relay did not come to read yet.
    pub(crate) fn is_waited_for(&self) -> bool {
        let unread = |client: &Arc<OwnedFd>| rustix::io::ioctl_fionread(client).is_ok_and(|bytes| bytes > 0);
        self.counts.waiting.load(Ordering::SeqCst) > 0 || self.counts.clients.lock().unwrap().iter().any(unread)
    }

    /// Changes whenever anything comes or goes, in any direction.
    pub(crate) fn moves(&self) -> u64 {
        self.counts.moves.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.counts.clients.lock().unwrap().len()
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
    let open = Client::new(&counts, &client);
    if let Way::To(address) = way
        && let Ok(server) = TcpStream::connect(address).await
    {
        relay(&mut client, server, &mut ways, &counts).await;
    } else if way == Way::Hole {
        let _ = ways.changed().await;
    }
    let _ = client.set_zero_linger();
    drop(open);
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
                    counts.moves.fetch_add(1, Ordering::SeqCst);
                    if server.write_all(&asked[..count]).await.is_err() { return; }
                }
                _ => return,
            },
            read = server.read(&mut told) => match read {
                Ok(count @ 1..) => {
                    counts.moves.fetch_add(1, Ordering::SeqCst);
                    if client.write_all(&told[..count]).await.is_err() { return; }
                    waiting.set(false);
                }
                _ => return,
            },
            _ = ways.changed() => return,
        }
    }
}
