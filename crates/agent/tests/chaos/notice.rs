//! Each thing that must hold, broken on purpose: a run that does not say so could not fail.

use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use sidekey_fakevault::{Fault, Matcher, RoleSpec, Times};

use crate::fault::status;
use crate::ledger::Loss;
use crate::program::Program;
use crate::read::credentials;
use crate::run::Run;
use crate::watch::{MOST_A_MINUTE, Wrong};

/// The words of the failure that has to come, and what brings it about in a run where all is well.
type Case = (&'static str, fn(&mut Run) -> Result<(), Wrong>);

const CASES: [Case; 26] = [
    ("the group pair is torn", |run| spoil(run, "..data-pair/pair.b", "1")),
    ("the group app is torn", |run| lose(run, "..data-app/app.pass")),
    ("the group both mixes versions", |run| spoil(run, "..data-both/both.b", "0 x y z")),
    ("the group tls mixes versions", |run| spoil(run, "..data-tls/tls.key", "0 -----")),
    ("job.json is torn", |run| spoil(run, "job.json", "{")),
    ("of 3 credentials can be read", gone),
    ("whose credential is in a file", ended),
    ("after the next one was put", stale),
    ("the token in its file does not live", other_token),
    ("the app was told of", untold),
    ("is older than its life", uncertified),
    ("has not come back", kept_away),
    ("asked through its port", unanswered),
    ("the program has ended", program_ended),
    ("s after its end it has been well for", no_recovery),
    ("reached no file", lost),
    ("leases lost to", killed_too_often),
    ("a restart cost a login or a lease", forgetful),
    ("requests in a minute", hammered),
    ("panicked", |run| beside(run, "panic")),
    ("said: ", |run| beside(run, "tell")),
    ("termination holds a secret", told),
    ("memory grew", grown),
    ("has not gone round its loop", stopped),
    ("the agent has ended", dead),
    ("tokens are left", token_left),
];

/// How many cases there are, all of them noticed.
pub(crate) fn all(mounts: bool) -> Result<usize, Wrong> {
    for (words, case) in CASES {
        let mut run = Run::new(1, mounts);
        words.clone_into(&mut run.scene);
        run.start_agent();
        run.recover(60)?;
        match case(&mut run).and_then(|()| run.finish()) {
            Err(wrong) if wrong.contains(words) => {}
            other => return Err(format!("what should have ended in \"… {words} …\" ended in {other:?}")),
        }
    }
    Ok(CASES.len())
}

/// One file changes by itself.
fn spoil(run: &mut Run, file: &str, text: &str) -> Result<(), Wrong> {
    let path = run.pod.path("secrets").join(file);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(path, text).unwrap();
    run.pass(1)
}

fn lose(run: &mut Run, file: &str) -> Result<(), Wrong> {
    std::fs::remove_file(run.pod.path("secrets").join(file)).unwrap();
    run.pass(1)
}

fn gone(run: &mut Run) -> Result<(), Wrong> {
    let link = run.pod.path("secrets/..data-app");
    std::fs::remove_file(&link).unwrap();
    symlink("nowhere", link).unwrap();
    run.watch.honoured(&run.pod, &run.server)
}

fn ended(run: &mut Run) -> Result<(), Wrong> {
    let (user, _) = credentials(&run.pod).remove(0);
    let leases = run.server.fake.leases();
    run.server.fake.revoke_lease(&leases.iter().find(|lease| lease.username.as_ref() == Some(&user)).unwrap().id);
    run.watch.honoured(&run.pod, &run.server)
}

fn stale(run: &mut Run) -> Result<(), Wrong> {
    run.server.fake.fault(Matcher::path("secret/data/pair"), status(500), Times::Always);
    run.calm(120)
}

fn other_token(run: &mut Run) -> Result<(), Wrong> {
    run.pod.write("sink/token", "another");
    run.calm(1)
}

fn untold(run: &mut Run) -> Result<(), Wrong> {
    run.beside.turn_deaf();
    run.calm(90)
}

fn uncertified(run: &mut Run) -> Result<(), Wrong> {
    run.server.fake.fault(Matcher::path("pki/issue"), status(500), Times::Always);
    run.calm(400)
}

/// As by hand: what is not there is written with the next change of its secret.
fn kept_away(run: &mut Run) -> Result<(), Wrong> {
    std::fs::remove_file(run.pod.path("secrets/limited.json")).unwrap();
    run.recover(40)
}

fn unanswered(run: &mut Run) -> Result<(), Wrong> {
    run.beside.port = 1;
    run.recover(40)
}

fn program_ended(run: &mut Run) -> Result<(), Wrong> {
    let program = run.program.insert(Program::start(&run.pod));
    program.signal(Signal::SIGTERM);
    while program.look().is_ok() {
        std::thread::sleep(Duration::from_millis(1));
    }
    run.calm(1)
}

fn no_recovery(run: &mut Run) -> Result<(), Wrong> {
    run.server.fake.seal(true);
    run.recover(40)
}

/// An answer that does not come, though nothing is the matter.
fn lost(run: &mut Run) -> Result<(), Wrong> {
    run.server.fake.fault(Matcher::path("database/creds/"), Fault::LoseAnswer, Times::Once);
    run.calm(150)
}

/// Two leases, and one kill.
fn killed_too_often(run: &mut Run) -> Result<(), Wrong> {
    run.kill_agent();
    run.may_lose(Loss::Kill);
    for user in ["v-one", "v-other"] {
        let issued = crate::ledger::Issued { at: run.now(), scene: String::new(), line: 0 };
        run.watch.ledger.issued(user.to_owned(), || issued);
    }
    run.resume(None)
}

fn forgetful(run: &mut Run) -> Result<(), Wrong> {
    let mut quiet = run.quiet_until();
    while quiet.is_none() {
        run.calm(1)?;
        quiet = run.quiet_until();
    }
    run.kill_agent();
    std::fs::remove_file(run.pod.path("state/state")).unwrap();
    run.resume(quiet)
}

fn hammered(run: &mut Run) -> Result<(), Wrong> {
    let address = run.server.front.address;
    for _ in 0..=MOST_A_MINUTE {
        drop(TcpStream::connect(address).unwrap());
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

/// The next agent does something beside its work.
fn beside(run: &mut Run, what: &'static str) -> Result<(), Wrong> {
    run.kill_agent();
    run.spoilt = Some(what);
    run.start_agent();
    Ok(())
}

fn told(run: &mut Run) -> Result<(), Wrong> {
    run.pod.write("termination", crate::server::MARKER);
    Ok(())
}

fn grown(run: &mut Run) -> Result<(), Wrong> {
    run.calm(16)?;
    run.late = true;
    beside(run, "grow")?;
    std::thread::sleep(Duration::from_millis(400));
    Ok(())
}

fn stopped(run: &mut Run) -> Result<(), Wrong> {
    run.hangs = Duration::from_millis(200);
    signal(run, Signal::SIGSTOP);
    run.pass(1)
}

fn dead(run: &mut Run) -> Result<(), Wrong> {
    signal(run, Signal::SIGKILL);
    Ok(())
}

fn token_left(run: &mut Run) -> Result<(), Wrong> {
    run.server.fake.token(&RoleSpec::default());
    Ok(())
}

fn signal(run: &Run, signal: Signal) {
    kill(run.agent.as_ref().unwrap().pid(), signal).unwrap();
}
