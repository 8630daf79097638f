//! What must hold, whatever happens: looked at after each simulated second, and by a reader that never stops.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::pod::{Pod, Seen};
use crate::process::Said;
use crate::server::{MOUNT, Server};

/// Requests and new connections in any minute: each of five things at most once a second, and what is asked about failures.
/// What is allowed is far below that product, since whatever fails waits ever longer.
pub(crate) const MOST_A_MINUTE: usize = 120;

/// How old the KV value in a file may be: the interval, and a look that failed once.
const STALE: Duration = Duration::from_secs(45);

/// An answer whose loss is excused comes this long before the fault, or after it, at most.
const NEAR: Duration = Duration::from_secs(4);

/// A lease: when it was first heard of, what was going on, and what the agent had said by then.
struct Issued {
    at: Duration,
    scene: String,
    line: usize,
}

/// A broken invariant, in words.
pub(crate) type Wrong = String;

/// Counted for the report: a claim of no failure says how often it was tried.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) looks: u64,
    pub(crate) credentials: u64,
    pub(crate) requests: u64,
    pub(crate) most_a_minute: usize,
    pub(crate) leases: usize,
    pub(crate) lost_to_kill: usize,
    pub(crate) lost_to_fault: usize,
    pub(crate) memory_early: u64,
    pub(crate) memory_late: u64,
}

pub(crate) struct Watch {
    pub(crate) tally: Tally,
    pub(crate) logins: usize,
    pub(crate) grants: usize,
    asked: VecDeque<Duration>,
    opened: usize,
    /// By user name.
    issued: BTreeMap<String, Issued>,
    seen: BTreeSet<String>,
    /// When answers may have been lost, and why.
    losses: Vec<(Duration, bool)>,
    versions: Vec<Duration>,
}

impl Watch {
    pub(crate) const fn new() -> Self {
        Self {
            tally: Tally {
                looks: 0,
                credentials: 0,
                requests: 0,
                most_a_minute: 0,
                leases: 0,
                lost_to_kill: 0,
                lost_to_fault: 0,
                memory_early: 0,
                memory_late: 0,
            },
            logins: 0,
            grants: 0,
            asked: VecDeque::new(),
            opened: 0,
            issued: BTreeMap::new(),
            seen: BTreeSet::new(),
            losses: Vec::new(),
            versions: Vec::new(),
        }
    }

    /// From now on version `versions.len()` is what KV holds.
    pub(crate) fn put(&mut self, now: Duration) -> usize {
        self.versions.push(now);
        self.versions.len()
    }

    /// An answer may be lost about now: by a kill, or by a fault that lets the request have its effect.
    pub(crate) fn may_lose(&mut self, now: Duration, by_kill: bool) {
        self.losses.push((now, by_kill));
    }

    /// What always holds.
    pub(crate) fn look(&mut self, pod: &Pod, server: &Server, said: &Mutex<Said>, scene: &str) -> Result<(), Wrong> {
        self.tally.looks += 1;
        self.count(server)?;
        self.meet(server, said, scene);
        for (user, _) in credentials(pod) {
            self.seen.insert(user);
        }
        groups(pod).map(|_| ())
    }

    /// Of two leases of one role in one second the first was replaced before anybody could see it, as after a login that was
    /// under way.
    fn meet(&mut self, server: &Server, said: &Mutex<Said>, scene: &str) {
        let users = server.fake.leases().into_iter().filter_map(|lease| lease.username);
        let new: Vec<String> = users.filter(|user| !self.issued.contains_key(user)).collect();
        let role = |user: &str| user.rsplit_once('-').map(|(role, _)| role.to_owned());
        for (index, user) in new.iter().enumerate() {
            let issued = Issued { at: server.fake.now(), scene: scene.to_owned(), line: said.lock().unwrap().lines };
            self.issued.insert(user.clone(), issued);
            if new[index + 1..].iter().any(|later| role(later) == role(user)) {
                self.seen.insert(user.clone());
            }
        }
    }

    /// What holds while the server lives and nobody meddles: every credential is good, every value fresh.
    pub(crate) fn honoured(&mut self, pod: &Pod, server: &Server) -> Result<(), Wrong> {
        let credentials = credentials(pod);
        if credentials.len() != 3 {
            return Err(format!("{} of 3 credentials can be read", credentials.len()));
        }
        for (user, password) in credentials {
            self.tally.credentials += 1;
            if !server.fake.honours(&user, &password) {
                return Err(format!("the database does not let {user} in, whose credential is in a file"));
            }
        }
        let now = server.fake.now();
        let version: usize = pod
            .pair("pair", ["pair.a", "pair.b"])
            .and_then(|seen| seen.first.first()?.parse().ok())
            .ok_or("no version of the KV secret can be read")?;
        // Version n is out of date since n + 1 was put.
        match self.versions.get(version) {
            Some(since) if now.saturating_sub(*since) > STALE => {
                Err(format!("version {version} is in the file {:?} after the next one was put", now - *since))
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, server: &Server) -> Result<(), Wrong> {
        let requests = server.fake.requests();
        server.fake.clear_requests();
        self.tally.requests += requests.len() as u64;
        for request in &requests {
            self.asked.push_back(request.at);
            self.logins += usize::from(request.path == format!("{MOUNT}/login"));
            self.grants += usize::from(request.path.starts_with("database/creds/"));
        }
        let (now, opened) = (server.fake.now(), server.front.opened());
        for _ in self.opened..opened {
            self.asked.push_back(now);
        }
        self.opened = opened;
        while self.asked.front().is_some_and(|at| now.saturating_sub(*at) > Duration::from_secs(60)) {
            self.asked.pop_front();
        }
        self.tally.most_a_minute = self.tally.most_a_minute.max(self.asked.len());
        if self.asked.len() > MOST_A_MINUTE {
            return Err(format!("{} requests in a minute, {MOST_A_MINUTE} are allowed", self.asked.len()));
        }
        Ok(())
    }

    /// Every lease was seen in a file, but for those that a kill or a lost answer took: one for each kill at most.
    pub(crate) fn account(&mut self, kills: usize, said: &Mutex<Said>) -> Result<(), Wrong> {
        self.tally.leases = self.issued.len();
        for (user, Issued { at, scene, line }) in self.issued.iter().filter(|(user, _)| !self.seen.contains(*user)) {
            let near = |by_kill: bool| {
                let close = |loss: &&(Duration, bool)| loss.1 == by_kill && at.abs_diff(loss.0) <= NEAR;
                self.losses.iter().any(|loss| close(&loss))
            };
            match (near(false), near(true)) {
                (true, _) => self.tally.lost_to_fault += 1,
                (false, true) => self.tally.lost_to_kill += 1,
                (false, false) => {
                    let said = said.lock().unwrap().around(*line);
                    return Err(format!("{said}the lease of {user}, issued at {at:?} in {scene}, reached no file"));
                }
            }
        }
        if self.tally.lost_to_kill > kills {
            return Err(format!("{} leases lost to {kills} kills", self.tally.lost_to_kill));
        }
        Ok(())
    }
}

/// The three credentials in files: user, password.
pub(crate) fn credentials(pod: &Pod) -> Vec<(String, String)> {
    let job = pod.read("job.json").and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let text = |value: &serde_json::Value, key: &str| value[key].as_str().map(str::to_owned);
    let plain = job.and_then(|job| Some((text(&job, "username")?, text(&job, "password")?)));
    let linked = |group, files| {
        let seen: Seen = pod.pair(group, files)?;
        Some((seen.first.last()?.clone(), seen.second.last()?.clone()))
    };
    [linked("app", ["app.user", "app.pass"]), linked("both", ["both.a", "both.b"]), plain]
        .into_iter()
        .flatten()
        .collect()
}

/// No group is torn, and none mixes two versions; returns how many were read.
pub(crate) fn groups(pod: &Pod) -> Result<u64, Wrong> {
    let mut read = 0;
    let cases: [(&str, [&str; 2], usize, usize); 3] = [
        ("pair", ["pair.a", "pair.b"], 2, 2),
        ("app", ["app.user", "app.pass"], 1, 2),
        ("both", ["both.a", "both.b"], 3, 4),
    ];
    for (group, files, same, all) in cases {
        // A set that was swept while it was being read says nothing.
        let Some(Seen { first, second }) = pod.pair(group, files) else { continue };
        if first.len() != all || second.len() != all {
            return Err(format!("the group {group} is torn: {} and {} words of {all}", first.len(), second.len()));
        }
        if first[..same] != second[..same] {
            return Err(format!("the group {group} mixes versions: {:?} and {:?}", &first[..same], &second[..same]));
        }
        read += 1;
    }
    match pod.read("job.json") {
        Some(text) if serde_json::from_str::<serde_json::Value>(&text).is_err() => Err("job.json is torn".to_owned()),
        text => Ok(read + u64::from(text.is_some())),
    }
}

/// Reads the groups all the time.
pub(crate) struct Reader {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    wrong: Arc<Mutex<Option<Wrong>>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    pub(crate) fn start(pod: &Arc<Pod>) -> Self {
        let (stop, reads) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let wrong = Arc::<Mutex<Option<Wrong>>>::default();
        let (pod, at_end, count, found) = (pod.clone(), stop.clone(), reads.clone(), Arc::clone(&wrong));
        let thread = std::thread::spawn(move || {
            while !at_end.load(Ordering::Relaxed) {
                match groups(&pod) {
                    Ok(read) => drop(count.fetch_add(read, Ordering::Relaxed)),
                    Err(what) => *found.lock().unwrap() = Some(what),
                }
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        Self { stop, reads, wrong, thread: Some(thread) }
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    pub(crate) fn look(&self) -> Result<(), Wrong> {
        self.wrong.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Nothing that the agent tells others holds a secret, and it has not panicked.
pub(crate) fn told(pod: &Pod, said: &Mutex<Said>) -> Result<(), Wrong> {
    if let Some(line) = &said.lock().unwrap().wrong {
        return Err(format!("said: {line}"));
    }
    for file in ["state/status.json", "termination"] {
        let text = std::fs::read_to_string(pod.path(file)).unwrap_or_default();
        if crate::process::SECRETS.iter().any(|secret| text.contains(secret)) {
            return Err(format!("{file} holds a secret"));
        }
    }
    Ok(())
}
