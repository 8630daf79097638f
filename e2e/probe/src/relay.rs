//! The stand-in for a mesh's proxy: TCP on loopback, sent on to one address.

use std::io;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at a time; more of them wait.
const MOST: usize = 100;

/// Serves `127.0.0.1:PORT` for ever; each connection becomes one to `address` (`host:port`).
pub(crate) async fn relay(port: &str, address: &str) -> io::Result<()> {
    let port: u16 = port.parse().map_err(|_| io::Error::other(format!("{port} is no port")))?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let room = Arc::new(Semaphore::new(MOST));
    loop {
        let place = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
        let (mut near, _) = listener.accept().await?;
        let address = address.to_owned();
        tokio::spawn(async move {
            if let Ok(mut far) = TcpStream::connect(address).await {
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
            drop(place);
        });
    }
}
