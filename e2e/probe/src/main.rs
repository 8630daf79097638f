//! The app container of the cluster tests.
//!
//! `args → watch (read file → log in → query held connections → tally) | cat | stat | env | kill | signal | duties | relay | sleep → lines on stdout`

mod credential;
mod duties;
mod kill;
mod relay;
mod watch;

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "probe sleep | cat FILE | stat FILE | env NAME [sleep] | kill NAME | signal PID NAME | duties | relay PORT ADDRESS | watch ADDRESS FILE|DIRECTORY SECONDS [USERS AT-MOST]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if args == ["duties"] {
        return duties::work().await.unwrap_or_else(|error| failed(&error));
    }
    let work = async {
        match args.as_slice() {
            ["sleep"] => std::future::pending().await,
            ["cat", file] => std::fs::read(file).and_then(|bytes| io::stdout().write_all(&bytes)),
            ["stat", file] => std::fs::metadata(file)
                .and_then(|it| writeln!(io::stdout(), "{:o} {} {}", it.mode() & 0o7777, it.uid(), it.gid())),
            ["env", name] => show(name),
            ["env", name, "sleep"] => match show(name) {
                Ok(()) => std::future::pending().await,
                Err(error) => Err(error),
            },
            ["kill", name] => kill::kill(name),
            ["signal", pid, name] => kill::signal(pid, name),
            ["orphan"] => duties::orphan(),
            ["nap"] => {
                duties::nap().await;
                Ok(())
            }
            ["relay", port, address] => relay::relay(port, address).await,
            ["watch", rest @ ..] => match watch::Plan::parse(rest) {
                Some(plan) => watch::run(plan).await,
                None => Err(io::Error::other(USAGE)),
            },
            _ => Err(io::Error::other(USAGE)),
        }
    };
    // As process 1 of its container it must answer SIGTERM itself: the kernel's default does not apply to it.
    let ended = tokio::select! {
        done = work => done,
        told = terminated() => told,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &io::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "probe: {error}");
    ExitCode::FAILURE
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn show(name: &str) -> io::Result<()> {
    match std::env::var(name) {
        Ok(value) => say(&format!("{name}={value}")),
        Err(error) => Err(io::Error::other(format!("{name}: {error}"))),
    }
}

async fn terminated() -> io::Result<()> {
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}
