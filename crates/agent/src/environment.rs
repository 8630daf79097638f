//! Environment variables on their way to `exec`: in memory, and over a unix socket. They are never in a file.
//!
//! group ─▶ desk ─▶ socket (frames: length, bytes) ─▶ `exec`'s own desk ─▶ `child`

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sidekey_core::contract::{Layout, Output};
use sidekey_core::output::full_path;
use sidekey_core::{AgentConfig, Cause, Code, Sensitive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::private;

/// `NAME=value`, each ended by a zero byte; nothing before all of it is there.
pub(crate) type Handed = Option<Arc<Sensitive<Vec<u8>>>>;

/// The program's name beside the socket.
const PROGRAM: &str = "sidekey-agent";

/// Programs at one time.
const READERS: usize = 64;

/// A reader that is slower is cut off.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest environment; Linux takes less.
const LONGEST: usize = 4 << 20;

/// Between two tries to reach the agent, at first and at last.
const WAITS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// Hands new bytes over; whether they differ from those before.
pub(crate) fn hand(desk: &watch::Sender<Handed>, bytes: &Sensitive<Vec<u8>>) -> bool {
    desk.send_if_modified(|known| {
        let changed = known.as_ref().is_none_or(|known| **known != *bytes);
        if changed {
            *known = Some(Arc::new(bytes.clone()));
        }
        changed
    })
}

/// Puts this very program beside each socket, since the app's image may have nothing to copy it with, and serves in tasks of its
/// own unless `once`: then somebody else serves later.
///
/// # Errors
/// `FileWrite`: no program of the pod could start without them.
pub(crate) fn serve(config: &AgentConfig, once: bool, desk: &watch::Receiver<Handed>) -> Result<(), Cause> {
    for output in config.outputs.iter().filter(|output| output.layout == Layout::Served) {
        offer(output, once, desk).map_err(|error| {
            let attempted = format!("offering the environment at {}", full_path(output));
            Cause::new(Code::FileWrite, attempted, error.to_string())
        })?;
    }
    Ok(())
}

fn offer(output: &Output, once: bool, desk: &watch::Receiver<Handed>) -> io::Result<()> {
    copy_program(Path::new(&output.dir))?;
    if once {
        return Ok(());
    }
    let path = PathBuf::from(full_path(output));
    private::remove(&path)?;
    let listener = UnixListener::bind(&path)?;
    // Only the containers that get the variables mount the volume, whoever they run as.
    std::fs::set_permissions(&path, Permissions::from_mode(0o666))?;
    tokio::spawn(accept(listener, desk.clone()));
    Ok(())
}

fn copy_program(dir: &Path) -> io::Result<()> {
    let (path, unfinished) = (dir.join(PROGRAM), dir.join(format!("..{PROGRAM}")));
    let mut own = File::open("/proc/self/exe")?;
    let length = own.metadata()?.len();
    if path.metadata().is_ok_and(|there| there.len() == length) {
        return Ok(());
    }
    private::remove(&unfinished)?;
    let mut copy = File::create_new(&unfinished)?;
    io::copy(&mut own, &mut copy)?;
    copy.set_permissions(Permissions::from_mode(0o555))?;
    std::fs::rename(&unfinished, &path)
}

async fn accept(listener: UnixListener, desk: watch::Receiver<Handed>) {
    let readers = Arc::new(Semaphore::new(READERS));
    loop {
        let Ok(permit) = readers.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, which passes.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let desk = desk.clone();
        tokio::spawn(async move {
            let _ = tell(stream, desk).await;
            drop(permit);
        });
    }
}

/// What there is, then each change, until the reader goes.
async fn tell(mut stream: UnixStream, mut desk: watch::Receiver<Handed>) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    loop {
        let now = desk.borrow_and_update().clone();
        if let Some(bytes) = now {
            let bytes = bytes.expose();
            let frame = async {
                writer.write_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX)).await?;
                writer.write_all(bytes).await
            };
            timeout(PATIENCE, frame).await??;
        }
        tokio::select! {
            changed = desk.changed() => changed.map_err(io::Error::other)?,
            _ = reader.read_u8() => return Ok(()),
        }
    }
}

/// Follows an agent's socket for ever: an agent that restarts hands over the same once more, which is no change.
pub(crate) async fn follow(path: PathBuf, desk: watch::Sender<Handed>) {
    let (shortest, longest) = WAITS;
    let (mut wait, mut waited) = (shortest, Duration::ZERO);
    loop {
        if let Ok(stream) = UnixStream::connect(&path).await
            && listen(stream, &desk).await > 0
        {
            wait = shortest;
        }
        sleep(wait).await;
        waited += wait;
        wait = (wait * 2).min(longest);
        if desk.borrow().is_none() && wait == longest && waited < longest * 3 {
            let answer = format!("nothing comes from {}", path.display());
            let cause = Cause::new(Code::NotReady, "asking the agent for the environment", answer);
            tracing::warn!(code = %cause.code, "{cause}");
        }
    }
}

/// How many environments came before the end.
async fn listen(mut stream: UnixStream, desk: &watch::Sender<Handed>) -> usize {
    let mut count = 0;
    while let Ok(length) = stream.read_u32().await {
        let length = length as usize;
        if length > LONGEST {
            break;
        }
        let mut bytes = Sensitive::new(vec![0; length]);
        if stream.read_exact(bytes.expose_mut()).await.is_err() {
            break;
        }
        hand(desk, &bytes);
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Sensitive<Vec<u8>> {
        Sensitive::new(text.as_bytes().to_vec())
    }

    fn seen(desk: &watch::Receiver<Handed>) -> String {
        let now = desk.borrow().clone();
        now.map_or_else(String::new, |bytes| String::from_utf8(bytes.expose().clone()).unwrap())
    }

    async fn next(desk: &mut watch::Receiver<Handed>) -> String {
        timeout(Duration::from_secs(10), desk.changed()).await.expect("a change").unwrap();
        seen(desk)
    }

    #[tokio::test]
    async fn hands_over_what_there_is_each_change_and_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env.sock");
        let (agent, reader) = watch::channel(None);
        let (own, mut desk) = watch::channel(None);
        let follower = tokio::spawn(follow(path.clone(), own));
        // The socket comes later than whoever asks.
        sleep(Duration::from_millis(100)).await;
        let server = tokio::spawn(accept(UnixListener::bind(&path).unwrap(), reader.clone()));
        sleep(Duration::from_millis(50)).await;
        assert_eq!(seen(&desk), "");
        assert!(hand(&agent, &bytes("A=1\0")));
        assert_eq!(next(&mut desk).await, "A=1\0");
        assert!(!hand(&agent, &bytes("A=1\0")), "the same is no change");
        assert!(hand(&agent, &bytes("A=2\0")));
        assert_eq!(next(&mut desk).await, "A=2\0");

        // The agent restarts.
        server.abort();
        let _ = server.await;
        std::fs::remove_file(&path).unwrap();
        drop(agent);
        let (agent, reader) = watch::channel(None);
        hand(&agent, &bytes("A=2\0"));
        tokio::spawn(accept(UnixListener::bind(&path).unwrap(), reader));
        hand(&agent, &bytes("A=3\0"));
        while seen(&desk) != "A=3\0" {
            assert_eq!(next(&mut desk).await, "A=3\0", "what was known came once more");
        }
        follower.abort();
    }

    #[test]
    fn puts_a_program_there_that_all_may_run_and_none_may_write() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("..sidekey-agent"), "half").unwrap();
        for _ in 0..2 {
            copy_program(dir.path()).unwrap();
            let about = dir.path().join(PROGRAM).metadata().unwrap();
            assert_eq!(about.permissions().mode() & 0o7777, 0o555);
            assert_eq!(about.len(), std::fs::metadata("/proc/self/exe").unwrap().len());
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }
}
