//! A kill before each call that changes anything, in the first start of the real binary and in the writing of a change;
//! then a second agent, which must find its way with what the first one left.

use std::cell::Cell;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use sidekey_agent::status::Status;

use crate::pod::Pod;
use crate::process::SECRETS;
use crate::read::{credentials, groups};
use crate::server::{MARKER, MOUNT, Server};
use crate::tracer::{self, Fate};
use crate::watch::Wrong;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sidekey-agent");

/// Between two looks at KV; what is older is due at once when an agent begins.
const INTERVAL: u64 = 1_000;

/// More calls than any start makes.
const ENDLESS: usize = 10_000;

/// What was tried.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) starts: usize,
    pub(crate) changes: usize,
    /// Leases of killed starts that nobody knows any more.
    pub(crate) lost: usize,
}

struct Steps {
    server: Server,
    version: Cell<usize>,
}

/// Each `stride`-th step, the first one of `offset`; 1 is all of them.
pub(crate) fn run(stride: usize, offset: usize) -> Result<Tally, Wrong> {
    let steps = Steps { server: Server::start(), version: Cell::new(0) };
    let long = sidekey_fakevault::DatabaseRole::default;
    steps.server.fake.database("database", "app", long());
    steps.server.fake.database("database", "job", long());
    steps.put();
    let mut tally = Tally::default();
    let nths = || (1 + offset % stride..ENDLESS).step_by(stride);
    for nth in nths() {
        let (fate, lost) = steps.start(nth).map_err(|what| format!("killed in a start before call {nth}: {what}"))?;
        tally.lost += lost;
        if fate == Fate::Done {
            break;
        }
        tally.starts += 1;
    }
    let kept = Pod::new(&steps.server, false);
    steps.agent(&kept, ENDLESS)?;
    std::thread::sleep(Duration::from_millis(INTERVAL));
    steps.put();
    for nth in nths() {
        let fate = steps.change(&kept, nth).map_err(|what| format!("killed in a change before call {nth}: {what}"))?;
        if fate == Fate::Done {
            break;
        }
        tally.changes += 1;
    }
    Ok(tally)
}

impl Steps {
    fn put(&self) {
        self.version.set(self.version.get() + 1);
        let version = self.version.get();
        self.server.fake.put("secret/pair", json!({"n": version, "password": format!("{MARKER}-{version}")}));
    }

    /// An agent until it is killed before its n-th call, or has the newest version on disk and says so.
    fn agent(&self, pod: &Pod, nth: usize) -> Result<Fate, Wrong> {
        let env = pod.config(&self.server.address(), INTERVAL, None).to_env().unwrap();
        let fate = tracer::run(&[BINARY, "run"], &env, &pod.path("log"), nth, || self.is_done(pod))?;
        groups(pod)?;
        for file in ["log", "state/status.json"] {
            let text = std::fs::read_to_string(pod.path(file)).unwrap_or_default();
            if let Some(secret) = SECRETS.iter().find(|secret| text.contains(**secret)) {
                return Err(format!("{file} holds a secret: {secret}…"));
            }
            if text.contains("panicked") {
                return Err(format!("it panicked: {text}"));
            }
        }
        Ok(fate)
    }

    fn is_done(&self, pod: &Pod) -> bool {
        let newest = |group, files| {
            let seen = pod.pair(group, files).and_then(|seen| seen.first.first()?.parse().ok());
            seen == Some(self.version.get())
        };
        let status = pod.path("state").to_str().and_then(|dir| Status::load(dir).ok());
        let ready = status.is_some_and(|status| status.line() == "ready: 11 files written");
        newest("pair", ["pair.a", "pair.b"]) && newest("both", ["both.a", "both.b"]) && ready
    }

    /// Logins and leases asked for so far.
    fn asked(&self) -> (usize, usize) {
        let count = |path: &str| self.server.fake.count("", path);
        (count(&format!("{MOUNT}/login")), count("database/creds/app") + count("database/creds/job"))
    }

    /// All works, and nothing is left lying about.
    fn judge(&self, pod: &Pod) -> Result<(), Wrong> {
        let known = credentials(pod);
        let dead = known.iter().filter(|(user, password)| !self.server.fake.honours(user, password)).count();
        if known.len() != 3 || dead > 0 {
            return Err(format!("{} of 3 credentials in files, {dead} of them are not honoured", known.len()));
        }
        for entry in std::fs::read_dir(pod.path("secrets")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.starts_with("..sidekey-") {
                return Err(format!("{name} is left of the agent before"));
            }
        }
        Ok(())
    }

    fn start(&self, nth: usize) -> Result<(Fate, usize), Wrong> {
        let pod = Pod::new(&self.server, false);
        let (logins, grants) = self.asked();
        let fate = self.agent(&pod, nth)?;
        if fate == Fate::Killed {
            self.agent(&pod, ENDLESS)?;
        }
        self.judge(&pod)?;
        let now = self.asked();
        let (logins, lost) = (now.0 - logins, now.1 - grants - 2);
        // Two secrets have leases, and both may be on their way: one lease for each request that is.
        if logins > 2 || lost > 2 {
            return Err(format!("{logins} logins, and {lost} leases lost"));
        }
        Ok((fate, lost))
    }

    fn change(&self, kept: &Pod, nth: usize) -> Result<Fate, Wrong> {
        let pod = Pod::new(&self.server, false);
        for volume in ["secrets", "state"] {
            copy(&kept.path(volume), &pod.path(volume));
        }
        let before = self.asked();
        let fate = self.agent(&pod, nth)?;
        if fate == Fate::Killed {
            if credentials(&pod).len() != 3 {
                return Err("a file is gone".to_owned());
            }
            self.agent(&pod, ENDLESS)?;
        }
        self.judge(&pod)?;
        if self.asked() == before { Ok(fate) } else { Err("it cost a login or a lease".to_owned()) }
    }
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("--archive").arg(from.join(".")).arg(to).status().unwrap();
    assert!(done.success(), "{}", from.display());
}

/// What all of it took, for the report.
pub(crate) fn timed(stride: usize, offset: usize) -> Result<(Tally, Duration), Wrong> {
    let begun = Instant::now();
    run(stride, offset).map(|tally| (tally, begun.elapsed()))
}
