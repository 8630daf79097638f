//! The run: one agent, one fault after the other, and in between calm in which all must be well.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use sidekey_agent::status::Status;
use sidekey_core::AgentConfig;

use crate::clock::Shared;
use crate::dice::Dice;
use crate::pod::Pod;
use crate::process::{Agent, Said};
use crate::server::{MARKER, Server};
use crate::watch::{Reader, Watch, Wrong, told};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Real time in which the agent must have gone round its loop.
const HANGS: Duration = Duration::from_secs(20);

/// Real time for an answer that is on its way; what is held up on purpose is not waited for.
const ANSWER: Duration = Duration::from_millis(1_500);
/// Real time for a connection to be accepted, or its end to be seen; what lasts longer is a socket of the agent's own.
const UNSEEN: Duration = Duration::from_millis(300);
const HELD_UP: Duration = Duration::from_millis(6);

/// Between two versions of the KV secret.
const PUT: Duration = Duration::from_secs(15);

/// A server that cannot be reached is tried again every fifteen seconds at least.
const WELL: u64 = 18;

/// A fault that no request meets for so many seconds is taken back.
pub(crate) const UNMET: u64 = 45;

/// A service account token holds for an hour; the kubelet replaces it at four fifths.
const JWT: Duration = Duration::from_secs(48 * 60);

/// The whole scene.
pub(crate) struct Run {
    pub(crate) server: Server,
    pub(crate) pod: Arc<Pod>,
    pub(crate) clock: Shared,
    pub(crate) dice: Dice,
    pub(crate) watch: Watch,
    pub(crate) reader: Reader,
    pub(crate) agent: Option<Agent>,
    pub(crate) said: Arc<Mutex<Said>>,
    pub(crate) met: BTreeMap<String, usize>,
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
    config: AgentConfig,
    clock_file: PathBuf,
    own_sockets: usize,
    put_at: Duration,
    jwt_at: Duration,
    steps: u64,
}

impl Run {
    pub(crate) fn new(seed: u64, mounts: bool) -> Self {
        let server = Server::start();
        let pod = Arc::new(Pod::new(&server, mounts));
        let clock_file = pod.path("clock");
        let mut run = Self {
            config: pod.config(&server.address(), 20_000),
            clock: Shared::create(&clock_file),
            reader: Reader::start(&pod),
            server,
            pod,
            dice: Dice::new(seed),
            watch: Watch::new(),
            agent: None,
            said: Arc::default(),
            met: BTreeMap::new(),
            scene: String::new(),
            held_up: false,
            kills: 0,
            resumed: 0,
            longest: 60,
            late: false,
            clock_file,
            own_sockets: usize::MAX,
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
        self.own_sockets = usize::MAX;
        self.agent = Some(Agent::start(&self.config, &self.clock_file, self.pod.path("termination"), &self.said));
    }

    pub(crate) fn kill_agent(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.kill();
            self.kills += 1;
            self.watch.may_lose(self.now(), true);
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
        self.reader.look()?;
        if self.steps.is_multiple_of(16) {
            told(&self.pod, &self.said)?;
            self.weigh();
        }
        Ok(())
    }

    fn weigh(&mut self) {
        let Some(agent) = &self.agent else { return };
        let memory = agent.memory();
        let most = if self.late { &mut self.watch.tally.memory_late } else { &mut self.watch.tally.memory_early };
        *most = memory.max(*most);
    }

    /// Waits till the agent has looked round with nothing on its way.
    pub(crate) fn settle(&mut self) -> Result<(), Wrong> {
        let Some(agent) = &mut self.agent else { return Ok(()) };
        let (begun, mut looks) = (Instant::now(), self.clock.looks());
        let answer = if self.held_up { HELD_UP } else { ANSWER };
        loop {
            sleep(Duration::from_micros(400));
            let elapsed = begun.elapsed();
            if self.clock.looks() > looks + 1 {
                // Sockets of the agent that are no connection of the relay: a few of its own, and those that are still to be
                // accepted, or whose end it has not seen.
                let others = agent.sockets().saturating_sub(self.server.front.open());
                self.own_sockets = self.own_sockets.min(others);
                let waits = self.server.front.is_waited_for();
                if (others == self.own_sockets && !waits) || elapsed >= answer {
                    return Ok(());
                }
                if !waits && elapsed > UNSEEN {
                    self.own_sockets = others;
                }
                looks = self.clock.looks();
            }
            if agent.has_ended() {
                return Err("the agent has ended".to_owned());
            }
            if elapsed > HANGS {
                return Err(format!("the agent has not gone round its loop for {HANGS:?}"));
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
            self.watch.honoured(&self.pod, &self.server)
        })
    }

    /// After an outage all must be well again within `limit` seconds, and then stay so. Well is who has been so for longer
    /// than an agent waits before it tries a server again.
    pub(crate) fn recover(&mut self, limit: u64) -> Result<(), Wrong> {
        let (mut well, mut last) = (0, Ok(()));
        for _ in 0..limit {
            self.step()?;
            last = self.watch.honoured(&self.pod, &self.server).and_then(|()| self.complaints());
            well = if last.is_ok() { well + 1 } else { 0 };
            if well == WELL {
                return Ok(());
            }
        }
        Err(format!("{limit} s after its end it has been well for {well} s only: {last:?}"))
    }

    /// The agent itself says that all is well.
    fn complaints(&self) -> Result<(), Wrong> {
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

    fn traffic(&self) -> u64 {
        self.watch.tally.requests + self.server.front.opened() as u64
    }
}
