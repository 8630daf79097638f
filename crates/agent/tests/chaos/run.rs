//! The run: one agent, one fault after the other, and in between calm in which all must be well.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use sidekey_agent::status::Status;
use sidekey_core::AgentConfig;
use sidekey_fakevault::TokenInfo;

use crate::beside::Beside;
use crate::clock::Shared;
use crate::dice::Dice;
use crate::ledger::Loss;
use crate::pod::Pod;
use crate::process::{Agent, Said};
use crate::program::Program;
use crate::read::Reader;
use crate::server::{MARKER, Server};
use crate::watch::{Watch, Wrong};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// [`Run::hangs`]
const HANGS: Duration = Duration::from_secs(20);

/// Real time for an answer that is on its way; what is held up on purpose is not waited for.
const ANSWER: Duration = Duration::from_secs(15);
/// Rounds of the agent's loop in which nothing moves.
const ROUNDS: u64 = 2;
const HELD_UP: Duration = Duration::from_millis(6);

/// Between two versions of the KV secret.
const PUT: Duration = Duration::from_secs(15);

/// A server that cannot be reached is tried again every fifteen seconds at least.
const WELL: u64 = 18;

/// A fault that no request meets for so many seconds is taken back.
pub(crate) const UNMET: u64 = 45;

/// Seconds in which a token has ended that no agent knows of, as its login's answer was lost: longer than [`crate::server`] gives.
const FORGOTTEN: u64 = 250;

/// A service account token holds for an hour; the kubelet replaces it at four fifths.
const JWT: Duration = Duration::from_secs(48 * 60);

/// The whole scene.
pub(crate) struct Run {
    pub(crate) server: Server,
    pub(crate) pod: Arc<Pod>,
    pub(crate) beside: Beside,
    /// Where one is started.
    pub(crate) program: Option<Program>,
    pub(crate) clock: Shared,
    pub(crate) dice: Dice,
    pub(crate) watch: Watch,
    pub(crate) reader: Reader,
    pub(crate) agent: Option<Agent>,
    pub(crate) said: Arc<Mutex<Said>>,
    /// Faults by kind, and those that nothing met in their time.
    pub(crate) met: BTreeMap<String, usize>,
    pub(crate) unmet: BTreeMap<String, usize>,
    pub(crate) took: BTreeMap<String, Duration>,
    /// What is going on, for the words of a failure.
    pub(crate) scene: String,
    /// A fault holds answers up.
    pub(crate) held_up: bool,
    pub(crate) kills: usize,
    pub(crate) resumed: usize,
    /// Seconds of the longest fault.
    pub(crate) longest: u64,
    /// Share of the faults that are done, to tell early memory from late.
    pub(crate) late: bool,
    /// Real time in which the agent must have gone round its loop.
    pub(crate) hangs: Duration,
    /// What the agents to come do beside their work.
    pub(crate) spoilt: Option<&'static str>,
    config: AgentConfig,
    clock_file: PathBuf,
    put_at: Duration,
    jwt_at: Duration,
    steps: u64,
}

impl Run {
    pub(crate) fn new(seed: u64, mounts: bool) -> Self {
        let server = Server::start();
        let pod = Arc::new(Pod::new(&server, mounts));
        let (clock_file, beside) = (pod.path("clock"), Beside::start(&pod));
        let address = if pod.named { server.named() } else { server.address() };
        let mut run = Self {
            config: pod.config(&address, 20_000, Some(&beside)),
            beside,
            program: None,
            clock: Shared::create(&clock_file),
            reader: Reader::start(&pod),
            server,
            pod,
            dice: Dice::new(seed),
            watch: Watch::default(),
            agent: None,
            said: Arc::default(),
            met: BTreeMap::new(),
            unmet: BTreeMap::new(),
            took: BTreeMap::new(),
            scene: String::new(),
            held_up: false,
            kills: 0,
            resumed: 0,
            longest: 60,
            late: false,
            hangs: HANGS,
            spoilt: None,
            clock_file,
            put_at: Duration::ZERO,
            jwt_at: Duration::ZERO,
            steps: 0,
        };
        run.put();
        run
    }

    pub(crate) fn now(&self) -> Duration {
        self.server.fake.now()
    }

    pub(crate) fn start_agent(&mut self) {
        let termination = self.pod.path("termination");
        self.agent = Some(Agent::start(&self.config, &self.clock_file, termination, self.spoilt, &self.said));
    }

    pub(crate) fn kill_agent(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.kill();
            self.kills += 1;
            self.may_lose(Loss::Kill);
        }
    }

    pub(crate) fn status(&self) -> Option<Status> {
        Status::load(self.pod.path("state").to_str()?).ok()
    }

    fn put(&mut self) {
        self.put_at = self.now();
        let version = self.watch.put(self.put_at);
        self.server.fake.put("secret/pair", json!({"n": version, "password": format!("{MARKER}-{version}")}));
    }

    pub(crate) fn new_jwt(&mut self) {
        self.jwt_at = self.now();
        self.pod.new_jwt(&self.server);
    }

    /// A second passes, the agent does what is due, and what always holds is looked at.
    pub(crate) fn step(&mut self) -> Result<(), Wrong> {
        self.server.fake.advance(SECOND);
        self.clock.skip(SECOND);
        if self.now() > self.put_at + PUT {
            self.put();
        }
        if self.now() > self.jwt_at + JWT {
            self.new_jwt();
        }
        self.settle()?;
        self.steps += 1;
        self.watch.look(&self.pod, &self.server, &self.said, &self.scene)?;
        self.reader.users().into_iter().for_each(|user| self.watch.ledger.seen(user));
        self.reader.look()?;
        self.beside.look()?;
        self.program.as_mut().map_or(Ok(()), Program::look)?;
        if self.steps.is_multiple_of(16) {
            self.watch.told(&self.pod, &self.said)?;
            self.watch.account(self.now(), false, &self.said)?;
            if let Some(agent) = &self.agent {
                self.watch.weigh(agent.memory(), self.late);
            }
        }
        Ok(())
    }

    /// An answer, or what was made of it, may be lost about now.
    pub(crate) fn may_lose(&mut self, loss: Loss) {
        self.watch.ledger.may_lose(self.now(), loss);
    }

    /// What must hold over the whole run, and a clean end.
    pub(crate) fn finish(&mut self) -> Result<(), Wrong> {
        "the end".clone_into(&mut self.scene);
        self.calm(FORGOTTEN)?;
        self.watch.told(&self.pod, &self.said)?;
        self.watch.account(self.now(), true, &self.said)?;
        self.watch.ledger.audit(self.kills)?;
        self.watch.flat()?;
        if self.beside.calls() > self.watch.changes + self.kills {
            return Err(format!("told {} times of {} changes", self.beside.calls(), self.watch.changes));
        }
        self.program.as_mut().map_or(Ok(()), Program::finish)?;
        let agent = self.agent.take().ok_or("no agent at the end")?;
        let before = self.server.fake.tokens();
        match (agent.stop(), self.server.fake.tokens(), self.pod.path("sink/token").exists()) {
            (Some(0), left, false) if left.is_empty() => Ok(()),
            (code, left, file) => {
                let what = self.biography(&before, &left);
                Err(format!(
                    "{what}it ended with {code:?}, and {} tokens are left, and a file of one: {file}",
                    left.len()
                ))
            }
        }
    }

    /// What is known of tokens: for the words of a failure.
    fn biography(&self, before: &[TokenInfo], left: &[TokenInfo]) -> String {
        let said = self.said.lock().unwrap();
        let of = |token: &TokenInfo| {
            let is_left = left.iter().any(|left| left.accessor == token.accessor);
            format!(
                "  token {}, {} s, left: {is_left}\n{}",
                token.accessor,
                token.ttl.as_secs(),
                said.of(&token.accessor)
            )
        };
        before.iter().map(of).collect()
    }

    /// Waits till the agent has gone round its loop a few times with nothing on its way. Once is too few: between two parts of
    /// a handshake, and between an answer and its file, nobody waits for anything.
    pub(crate) fn settle(&mut self) -> Result<(), Wrong> {
        let Some(agent) = &mut self.agent else { return Ok(()) };
        let front = self.server.front;
        let (begun, mut looks, mut moves) = (Instant::now(), self.clock.looks(), front.moves());
        let answer = if self.held_up { HELD_UP } else { ANSWER };
        loop {
            sleep(Duration::from_micros(400));
            let elapsed = begun.elapsed();
            if self.clock.looks() > looks + ROUNDS {
                // Some are to be accepted yet, or their end is to be seen.
                let behind = agent.connections() != front.open();
                let moved = behind || moves != front.moves() || front.is_waited_for();
                if !moved {
                    return Ok(());
                }
                if elapsed >= answer {
                    self.watch.tally.unsettled += 1;
                    return Ok(());
                }
                (looks, moves) = (self.clock.looks(), front.moves());
            }
            if agent.has_ended() {
                return Err("the agent has ended".to_owned());
            }
            if elapsed > self.hangs {
                return Err(format!("the agent has not gone round its loop for {:?}", self.hangs));
            }
        }
    }

    pub(crate) fn pass(&mut self, seconds: u64) -> Result<(), Wrong> {
        (0..seconds).try_for_each(|_| self.step())
    }

    /// Time in which the server lives, and so no credential may end.
    pub(crate) fn calm(&mut self, seconds: u64) -> Result<(), Wrong> {
        (0..seconds).try_for_each(|_| {
            self.step()?;
            self.honoured()
        })
    }

    fn honoured(&mut self) -> Result<(), Wrong> {
        self.watch.honoured(&self.pod, &self.server)?;
        self.beside.well(&self.pod, &self.server, &self.watch)
    }

    /// After an outage all must be well again within `limit` seconds, and then stay so. Well is who has been so for longer
    /// than an agent waits before it tries a server again.
    pub(crate) fn recover(&mut self, limit: u64) -> Result<(), Wrong> {
        let (mut well, mut why) = (0, None);
        for _ in 0..limit {
            self.step()?;
            let mut now = self.honoured().and_then(|()| self.complaints());
            if now.is_ok() && well + 1 == WELL {
                now = self.beside.is_back(&self.pod);
            }
            well = if now.is_ok() { well + 1 } else { 0 };
            why = now.err().or(why);
            if well == WELL {
                self.watch.tally.recoveries += 1;
                return Ok(());
            }
        }
        Err(format!("{limit} s after its end it has been well for {well} s only: {why:?}"))
    }

    /// The agent itself says that all is well.
    pub(crate) fn complaints(&self) -> Result<(), Wrong> {
        let status = self.status().ok_or("there is no status")?;
        status.causes().first().map_or(Ok(()), |cause| Err(format!("it says {cause}")))
    }

    /// What the agent thinks of each secret, and the server of each lease: for the words of a failure.
    pub(crate) fn plan(&self) -> String {
        let today = sidekey_agent::clock::unix_seconds();
        let left = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), |at| (at - today).to_string());
        let secrets = self.status().map(|status| status.secrets).unwrap_or_default();
        let secrets = secrets.iter().map(|secret| {
            let (next, ends) = (left(secret.next), left(secret.expires));
            format!(
                "  agent: {} {}, next in {next} s, ends in {ends} s, {} failures\n",
                secret.path, secret.state, secret.failures
            )
        });
        let leases = self.server.fake.leases();
        let leases = leases
            .iter()
            .map(|lease| format!("  server: {} {} s\n", lease.username.as_deref().unwrap_or("-"), lease.ttl.as_secs()));
        secrets.chain(leases).collect()
    }

    /// Time in which the server does not live, and no less than it takes for the agent to notice.
    pub(crate) fn outage(&mut self, seconds: u64) -> Result<bool, Wrong> {
        let before = self.traffic();
        self.pass(seconds)?;
        for _ in 0..UNMET {
            if self.traffic() > before {
                return Ok(true);
            }
            self.step()?;
        }
        Ok(false)
    }

    /// So many seconds, and more till the agent says that something is wrong; whether it does. `calm` is as in
    /// [`Self::calm`].
    pub(crate) fn noticed(&mut self, seconds: u64, calm: bool) -> Result<bool, Wrong> {
        let mut noticed = false;
        for second in 0..seconds + UNMET {
            if second >= seconds && noticed {
                break;
            }
            if calm {
                self.calm(1)?;
            } else {
                self.step()?;
            }
            noticed |= self.complaints().is_err();
        }
        Ok(noticed)
    }

    fn traffic(&self) -> u64 {
        self.watch.tally.requests + self.server.front.opened() as u64
    }
}
