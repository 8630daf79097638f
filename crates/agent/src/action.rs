//! One action, done. Its words never quote what a program prints or a server answers: either may hold a secret.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use http::{Request, Uri};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustix::fs::Mode;
use rustix::process::{Pid, WaitOptions, kill_process, kill_process_group, umask, wait};
use sidekey_core::contract::{Action, Process, Signal};
use sidekey_core::path::RelPath;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::dir::Dir;
use crate::process::find;

/// Longest time for one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A killed program is waited for this long.
const LAST: Duration = Duration::from_secs(2);

/// The most that is read of a file with a process id.
const LONGEST_ID: usize = 64;

/// Does it.
///
/// # Errors
/// What came back, in words for a person.
pub(crate) async fn perform(action: &Action, env: &BTreeMap<String, String>, patience: Duration) -> Result<(), String> {
    let late = || format!("no end after {} s", patience.as_secs());
    match action {
        Action::Command { argv } => command(argv, env, patience).await,
        Action::Signal { signal, process } => send(*signal, process),
        Action::Http { method, url } => timeout(patience, request(method, url)).await.map_err(|_| late())?,
        Action::Touch { dir, file } => touch(dir, file).map_err(|error| error.to_string()),
    }
}

async fn command(argv: &[String], env: &BTreeMap<String, String>, patience: Duration) -> Result<(), String> {
    let mut child = spawn(argv, env).map_err(|error| refused(&argv[0], &error))?;
    let ended = match timeout(patience, child.wait()).await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => {
            stop(&mut child).await;
            Err(format!("no end after {} s: killed", patience.as_secs()))
        }
    };
    reap();
    match ended? {
        status if status.success() => Ok(()),
        status => Err(status.to_string()),
    }
}

/// In a process group of its own, so that its children can be ended with it; what it prints is lost.
fn spawn(argv: &[String], env: &BTreeMap<String, String>) -> io::Result<Child> {
    let [program, arguments @ ..] = argv else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(env).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Its files are for the app to read; this thread makes none in between.
    let ours = umask(Mode::from_raw_mode(0o022));
    let child = command.spawn();
    umask(ours);
    child
}

fn refused(program: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no {program} in the agent's image"),
        _ => format!("{program}: {error}"),
    }
}

async fn stop(child: &mut Child) {
    if let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = timeout(LAST, child.wait()).await;
}

/// Orphans of programs come to the first process of the container: to us, unless the pod shares its processes.
fn reap() {
    if std::process::id() == 1 {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    }
}

fn send(signal: Signal, process: &Process) -> Result<(), String> {
    let (ids, whom) = match process {
        Process::Name(name) => (find(Path::new("/proc"), name), name),
        Process::PidFile(path) => (vec![from_file(path)?], path),
    };
    if ids.is_empty() {
        return Err(format!("no process is called {whom}"));
    }
    ids.into_iter().try_for_each(|id| {
        let pid = Pid::from_raw(id).ok_or_else(|| format!("{id} is no process"))?;
        kill_process(pid, number(signal)).map_err(|error| format!("process {id}: {}", io::Error::from(error)))
    })
}

fn from_file(path: &str) -> Result<i32, String> {
    use std::io::Read as _;

    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| format!("{path}: {error}"))?;
    file.take(LONGEST_ID as u64).read_to_string(&mut text).map_err(|error| format!("{path}: {error}"))?;
    // 1 would be the pause container, or ourselves.
    let id = text.trim().parse().ok().filter(|id| *id > 1);
    id.ok_or_else(|| format!("{path} holds no process id"))
}

pub(crate) const fn number(signal: Signal) -> rustix::process::Signal {
    use rustix::process::Signal as Number;

    match signal {
        Signal::Hup => Number::HUP,
        Signal::Int => Number::INT,
        Signal::Quit => Number::QUIT,
        Signal::Usr1 => Number::USR1,
        Signal::Usr2 => Number::USR2,
        Signal::Term => Number::TERM,
        Signal::Cont => Number::CONT,
        Signal::Winch => Number::WINCH,
        Signal::Kill => Number::KILL,
    }
}

async fn request(method: &str, url: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|_| "it is no URL".to_owned())?;
    let host = uri.host().ok_or("the URL has no host")?;
    let address = (host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let request = Request::builder().method(method).uri(path).header(http::header::HOST, authority);
    let request = request.header(http::header::CONTENT_LENGTH, 0).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let mut exchange = pin!(sender.send_request(request));
    let answer = tokio::select! {
        answer = &mut exchange => answer,
        // A server may close at once behind its answer.
        _ = connection => exchange.await,
    };
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("it answered {}", answer.status().as_u16())),
        Err(error) => Err(error.to_string()),
    }
}

fn touch(dir: &str, file: &RelPath) -> io::Result<()> {
    let root = Dir::root(dir)?;
    let (dir, name) = root.parent_of(file.as_str())?;
    dir.touch(name, 0o644)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use sidekey_core::contract::Notify;
    use sidekey_core::planner::Time;

    use super::*;
    use crate::notify::Notifier;

    async fn run(words: &[&str], patience: u64) -> Result<(), String> {
        let argv = words.iter().map(|word| (*word).to_owned()).collect();
        perform(&Action::Command { argv }, &BTreeMap::new(), Duration::from_millis(patience)).await
    }

    #[tokio::test]
    async fn runs_a_program_with_its_arguments_and_a_clean_environment() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let script = format!("env | grep -c . > {}; test \"$0\" = 'a b'", out.display());
        assert_eq!(run(&["/bin/sh", "-c", &script, "a b"], 5_000).await, Ok(()));
        let count: u32 = fs::read_to_string(&out).unwrap().trim().parse().unwrap();
        assert!(count <= 4, "the shell's own PWD, SHLVL, _ and nothing of ours: {count}");
        assert_eq!(fs::metadata(out).unwrap().permissions().mode() & 0o777, 0o644, "the app can read it");
    }

    #[tokio::test]
    async fn says_how_a_program_ended_and_never_what_it_printed() {
        assert_eq!(run(&["/bin/sh", "-c", "echo hunter2 >&2; exit 3"], 5_000).await, Err("exit status: 3".to_owned()));
        assert_eq!(
            run(&["no-such-program"], 5_000).await,
            Err("there is no no-such-program in the agent's image".to_owned())
        );
    }

    #[tokio::test]
    async fn ends_a_program_that_does_not_end_with_all_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let id = dir.path().join("id");
        let script = format!("sleep 60 & echo $! > {}; wait", id.display());
        let error = run(&["/bin/sh", "-c", &script], 300).await.unwrap_err();
        assert!(error.contains("killed"), "{error}");
        let child = fs::read_to_string(id).unwrap();
        let state = || fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        for _ in 0..200 {
            if state().is_empty() || state().contains(") Z") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it runs still: {}", state());
    }

    #[tokio::test]
    async fn a_call_that_is_taken_and_never_answered_ends_in_time_and_is_owed_again() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/-/reload", server.local_addr().unwrap());
        let call = Action::Http { method: "POST".to_owned(), url };
        let notify = Notify { group: "a".to_owned(), action: call.clone(), first: false };
        let (mut notifier, mut now) = (Notifier::new(&[notify], &[], false), Time::from_millis(0));
        notifier.changed("a", false, now);
        let mut silent = Vec::new();
        for _ in 0..2 {
            now = notifier.due().unwrap();
            assert_eq!(notifier.start(now), std::slice::from_ref(&call));
            let nothing = BTreeMap::new();
            let (result, accepted) =
                tokio::join!(perform(&call, &nothing, Duration::from_millis(200)), server.accept());
            silent.push(accepted.unwrap());
            assert_eq!(result, Err("no end after 0 s".to_owned()));
            notifier.finished(&call, result, now).unwrap();
            assert!(notifier.due().unwrap() > now, "no hot loop");
        }
    }

    #[tokio::test]
    async fn touches_a_file_and_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sub/changed");
        let root = dir.path().to_str().unwrap().to_owned();
        let touch = Action::Touch { dir: root, file: RelPath::parse("sub/changed").unwrap() };
        perform(&touch, &BTreeMap::new(), PATIENCE).await.unwrap();
        fs::File::open(&file).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        perform(&touch, &BTreeMap::new(), PATIENCE).await.unwrap();
        assert!(fs::metadata(&file).unwrap().modified().unwrap() > std::time::SystemTime::UNIX_EPOCH);
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(dir.path().join("victim"), &file).unwrap();
        perform(&touch, &BTreeMap::new(), PATIENCE).await.unwrap_err();
        assert!(!dir.path().join("victim").exists());
    }

    #[tokio::test]
    async fn signals_a_process_by_its_name_and_says_when_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("sk-{}", std::process::id());
        let program = dir.path().join(&name);
        fs::copy("/bin/sleep", &program).unwrap();
        let signal = Action::Signal { signal: Signal::Usr1, process: Process::Name(name.clone()) };
        let error = perform(&signal, &BTreeMap::new(), PATIENCE).await.unwrap_err();
        assert_eq!(error, format!("no process is called {name}"));
        let mut child = Command::new(&program).arg("60").spawn().unwrap();
        // Until the new program is in place, its process has our name.
        while perform(&signal, &BTreeMap::new(), PATIENCE).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let ended = child.wait().await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(10));
    }

    #[tokio::test]
    async fn signals_the_process_of_a_file_and_refuses_what_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid").to_str().unwrap().to_owned();
        let signal = Action::Signal { signal: Signal::Hup, process: Process::PidFile(path.clone()) };
        for text in ["", "1", "-1", "x"] {
            fs::write(&path, text).unwrap();
            let error = perform(&signal, &BTreeMap::new(), PATIENCE).await.unwrap_err();
            assert!(error.contains("no process id"), "{text:?}: {error}");
        }
        let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        fs::write(&path, format!("{}\n", child.id().unwrap())).unwrap();
        perform(&signal, &BTreeMap::new(), PATIENCE).await.unwrap();
        let ended = child.wait().await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(1));
    }
}
