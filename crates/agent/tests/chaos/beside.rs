//! What the pod's app has beside its files: it is told of changes, finds the agent's token in a file, and asks Vault through the
//! agent's port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::pod::{CERTIFICATE, Pod};
use crate::read::groups;
use crate::server::{MARKER, Server};
use crate::watch::{Watch, Wrong};

/// A change is told of within this.
const TOLD: Duration = Duration::from_secs(20);

/// Real time for one question, whatever the machine's speed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the app heard.
#[derive(Default)]
struct Told {
    calls: usize,
    /// The version that was in the files at the last call.
    last: usize,
    wrong: Option<Wrong>,
}

/// The app's side.
pub(crate) struct Beside {
    /// The agent's port.
    pub(crate) port: u16,
    /// Where the app is told.
    pub(crate) told_at: SocketAddr,
    told: Arc<Mutex<Told>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Beside {
    pub(crate) fn start(pod: &Arc<Pod>) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (told, stop) = (Arc::<Mutex<Told>>::default(), Arc::<AtomicBool>::default());
        let (own, ended, pod) = (told.clone(), stop.clone(), pod.clone());
        let told_at = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                hear(stream, &pod, &own);
            }
        });
        Self { port: free.local_addr().unwrap().port(), told_at, told, stop, thread: Some(thread) }
    }

    /// How often the app was told.
    pub(crate) fn calls(&self) -> usize {
        self.told.lock().unwrap().calls
    }

    /// What holds whenever the app is told.
    pub(crate) fn look(&self) -> Result<(), Wrong> {
        self.told.lock().unwrap().wrong.clone().map_or(Ok(()), Err)
    }

    /// What holds while the server lives and nobody meddles.
    pub(crate) fn well(&self, pod: &Pod, server: &Server, watch: &Watch) -> Result<(), Wrong> {
        let now = server.fake.now();
        let token = std::fs::read_to_string(pod.path("sink/token")).unwrap_or_default();
        if !server.fake.lives(&token) {
            return Err("the token in its file does not live".to_owned());
        }
        let last = self.told.lock().unwrap().last;
        let untold = watch.shown.iter().find(|(version, _)| *version > last);
        if let Some((version, since)) = untold.filter(|(_, since)| now.saturating_sub(*since) > TOLD) {
            let ago = now - *since;
            return Err(format!("version {version} came into the files {ago:?} ago, and the app was told of {last}"));
        }
        let (_, since) = &watch.certificate;
        let age = now.saturating_sub(*since);
        if age > Duration::from_secs(CERTIFICATE) {
            return Err(format!("the certificate in the file is older than its life: {age:?}"));
        }
        Ok(())
    }

    /// What was taken away, or did not answer, is there again.
    pub(crate) fn is_back(&self, pod: &Pod) -> Result<(), Wrong> {
        if !pod.read("limited.json").is_some_and(|text| text.contains(MARKER)) {
            return Err("the file with a limit has not come back".to_owned());
        }
        let answer = self.ask().map_err(|error| format!("asked through its port, the agent says {error}"))?;
        let is_good = answer.starts_with("HTTP/1.1 200") && answer.contains(MARKER);
        if is_good {
            Ok(())
        } else {
            Err(format!("asked through its port, the agent says {:?}", answer.lines().next()))
        }
    }

    fn ask(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /v1/secret/data/web HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// It hears no more: for [`crate::notice`].
    pub(crate) fn turn_deaf(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn hear(mut stream: TcpStream, pod: &Pod, told: &Mutex<Told>) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let mut head = [0; 4_096];
    let _ = stream.read(&mut head);
    let (sets, seen) = (groups(pod), pod.pair("pair", ["pair.a", "pair.b"]));
    let version = seen.and_then(|seen| seen.first.first()?.parse().ok());
    {
        let mut told = told.lock().unwrap();
        told.calls += 1;
        told.last = version.unwrap_or(told.last);
        told.wrong = told.wrong.take().or_else(|| Some(format!("told of a change, the app found: {}", sets.err()?)));
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.told_at);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
