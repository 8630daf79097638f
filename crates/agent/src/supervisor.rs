//! The one task that owns all state: `select!` over finished requests, the next due time, and the end.
//!
//! A turn of the loop: what has come back is taken in and kept on disk (`absorb`), groups are rendered and published,
//! steps that are due leave as requests (`launch`), and what has changed is told (`report`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sidekey_core::contract::Shape;
use sidekey_core::planner::Time;
use sidekey_core::{AgentConfig, Cause, Code, Lookup};
use sidekey_runtime::drain::Drain;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::age::Lists;
use crate::alarm::{self, Alarm};
use crate::clock::{Clock, boot_id};
use crate::environment::{self, Handed};
use crate::exit::Exit;
use crate::group::{self, Group};
use crate::listen::Listening;
use crate::notify::Notifier;
use crate::request::Done;
use crate::session::Session;
use crate::sink::Sink;
use crate::state::{Absent, State};
use crate::status::{Counters, Status};
use crate::templates;
use crate::termination;
use crate::trouble::{Subject, Troubles};

/// A program that keeps its environment keeps a credential past its end.
const KEPT: &str = "the environment holds a leased secret, and programs keep the one they began with";

/// What the agent takes from the machine it runs on.
#[derive(Clone)]
pub struct Platform {
    /// The clock of all decisions.
    pub clock: Clock,
    /// Which boot its times belong to.
    pub boot: String,
    /// What templates see as environment.
    pub env: BTreeMap<String, String>,
    /// Where the termination message goes.
    pub termination: PathBuf,
    /// The longest sleep: where timers stand still while the node is suspended, and for clocks that tests move.
    pub longest_sleep: Duration,
}

impl Platform {
    /// The pod's.
    pub fn of_process() -> Self {
        Self {
            clock: Clock::boot(),
            boot: boot_id().unwrap_or_else(|| "unknown".to_owned()),
            env: std::env::vars().filter(|(name, _)| !name.starts_with(sidekey_core::contract::ENV)).collect(),
            termination: termination::PATH.into(),
            longest_sleep: alarm::longest(),
        }
    }
}

/// The agent.
pub struct Supervisor {
    pub(crate) config: Arc<AgentConfig>,
    pub(crate) platform: Platform,
    pub(crate) once: bool,
    pub(crate) state: State,
    pub(crate) groups: Vec<Group>,
    pub(crate) notifier: Notifier,
    pub(crate) env: Arc<BTreeMap<String, String>>,
    pub(crate) work: JoinSet<Done>,
    pub(crate) troubles: Troubles,
    pub(crate) said: BTreeSet<&'static str>,
    pub(crate) sinks: Vec<Sink>,
    pub(crate) counters: Counters,
    pub(crate) status: watch::Sender<Arc<Status>>,
    pub(crate) lists: Lists,
    pub(crate) desk: watch::Sender<Handed>,
    /// By when the state is to be kept, if it knows something new.
    pub(crate) keep_by: Option<Time>,
    pub(crate) reported: bool,
    pub(crate) told: String,
    pub(crate) ending: bool,
}

impl Supervisor {
    /// Reads templates, and the state of the agent before, if there was one. `once` leaves after the first set.
    pub fn new(config: AgentConfig, once: bool, platform: Platform) -> Box<Self> {
        let once = once || matches!(config.lifecycle.shape, Shape::Init | Shape::InitOnly);
        let state = resume(&config, &platform);
        let desk = watch::Sender::new(None);
        let groups = group::all(&config, &state, &desk);
        groups.iter().for_each(Group::clean);
        Box::new(Self {
            status: watch::Sender::new(Arc::new(Status::of_start(&config))),
            desk,
            sinks: config.token_sinks.iter().cloned().map(Sink::new).collect(),
            notifier: Notifier::new(&config.notify, &state.owed, !state.published),
            env: Arc::new(programs(&config, &platform)),
            config: Arc::new(config),
            platform,
            once,
            state,
            groups,
            work: JoinSet::new(),
            troubles: Troubles::default(),
            said: BTreeSet::new(),
            counters: Counters::default(),
            lists: Lists::new(),
            keep_by: None,
            reported: false,
            told: String::new(),
            ending: false,
        })
    }

    /// What the agent says of itself, as it changes.
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.subscribe()
    }

    /// Offers the environment to the programs of other containers, where there is one.
    ///
    /// # Errors
    /// `FileWrite`: none of them could start.
    pub fn serve_environment(&self) -> Result<(), Cause> {
        environment::serve(&self.config, self.once, &self.environment())
    }

    /// The environment that programs are to have, as it changes.
    pub(crate) fn environment(&self) -> watch::Receiver<Handed> {
        self.desk.subscribe()
    }

    /// Works until the first set is written (`once`), the drain, or the start deadline.
    pub async fn run(mut self: Box<Self>, mut drain: Drain) -> Exit {
        let begun = self.now();
        let deadline = self.config.lifecycle.start_deadline_seconds.map(|s| begun + Duration::from_secs(s.into()));
        let mut changes = templates::watch(&self.groups);
        let mut until: Option<Time> = None;
        let alarm = Alarm::new();
        if State::is_done(&self.config.state_dir) {
            return self.idle(drain).await;
        }
        let mut listening = self.listen();
        loop {
            let now = self.now();
            self.settle(now);
            if self.once && self.state.published && self.is_on_disk() {
                return self.hand_over();
            }
            if !self.state.published && deadline.is_some_and(|deadline| deadline <= now) {
                return self.give_up();
            }
            if !self.state.published && self.is_login_fatal() {
                return self.despair();
            }
            if until.is_some_and(|until| until <= now) {
                return self.end().await;
            }
            let due = self.launch(now);
            if let Some(listening) = &listening {
                listening.follow(self.current(0));
            }
            self.report(now);
            let open = deadline.filter(|_| !self.state.published);
            let wake = [due, self.due(), open, until].into_iter().flatten().min();
            tokio::select! {
                Some(done) = self.work.join_next() => match done {
                    Ok(done) => self.absorb(done),
                    Err(_) => return Exit::Internal,
                },
                () = alarm.wait(wake, now, self.platform.longest_sleep) => {}
                () = drain.started(), if until.is_none() => until = Some(self.begin_end()),
                Some(()) = quit(&mut listening) => return self.quit(drain).await,
                Some(()) = next(&mut changes) => self.groups.iter_mut().for_each(Group::reload),
            }
        }
    }

    /// Without the port the agent works all the same.
    fn listen(&mut self) -> Option<Listening> {
        let listener = self.config.listener.as_ref().filter(|_| !self.once)?;
        match Listening::start(listener, &self.config.server) {
            Ok(listening) => Some(listening),
            Err(cause) => {
                self.troubles.set(Subject::Listener, cause);
                None
            }
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.platform.clock.now()
    }

    /// Renders and publishes: all groups together the first time, each on its own after that.
    fn settle(&mut self, now: Time) {
        self.render(now);
        self.want();
        self.write_sinks(now);
        if self.state.published || self.groups.iter().all(Group::is_whole) {
            self.publish(now);
            if !self.state.published && self.is_on_disk() && self.notifier.is_open() {
                self.state.published = true;
                self.keep();
                tracing::info!(files = self.config.outputs.len(), "ready: the first set is written");
            }
        }
        if self.keep_by.is_some_and(|by| by <= now) {
            self.keep();
        }
    }

    /// Whether the disk holds a first set. The token's files belong to it where they are all there is; a one-shot agent tries each
    /// of them before it goes, but an app's files never wait for one that cannot be written.
    fn is_on_disk(&self) -> bool {
        let alone = self.groups.is_empty();
        let settled = |sink: &Sink| sink.is_in_step() || !alone && (!self.once || sink.due().is_some());
        self.groups.iter().all(Group::is_on_disk) && self.sinks.iter().all(settled)
    }

    /// What a change asks for is kept before the change: an agent that is killed in between does it after its restart.
    fn publish(&mut self, now: Time) {
        let first = !self.state.published;
        let asks = |group: &Group| group.is_due(now) && self.notifier.cares(group.name(), first);
        self.state.announced = self.groups.iter().filter(|group| asks(group)).map(|g| g.name().to_owned()).collect();
        let announced = !self.state.announced.is_empty();
        if announced {
            self.keep();
        }
        for group in &mut self.groups {
            let changed = group.publish(now);
            self.counters.writes += changed as u64;
            if changed > 0 {
                self.notifier.changed(group.name(), first, now);
                if group.keeps_leased(&self.state.sessions) && self.said.insert(KEPT) {
                    tracing::warn!("{KEPT}: have them started anew after a change (env-on-change: restart)");
                }
            }
        }
        if announced {
            self.state.announced.clear();
            self.keep();
        }
    }

    /// Tells the planner what the outputs need; answers that nobody needs are forgotten. An output that has not rendered
    /// yet may need what it asked for before a restart.
    fn want(&mut self) {
        let all_known = self.groups.iter().all(Group::knows_needs);
        for (login, session) in self.state.sessions.iter_mut().enumerate() {
            let mut wanted: BTreeSet<Lookup> =
                self.groups.iter().flat_map(|group| group.needs(login)).cloned().collect();
            if !all_known {
                wanted.extend(session.answers.keys().cloned());
            }
            session.want(&wanted);
            self.troubles.keep_secrets(login, |lookup| wanted.contains(lookup));
        }
    }

    /// When the agent's own work is due: a failed write, an old set, the token file, an old lease.
    fn due(&self) -> Option<Time> {
        let sinks = self.sinks.iter().filter_map(Sink::due);
        let groups = self.groups.iter().filter_map(Group::due);
        groups.chain(sinks).chain(self.notifier.due()).chain(self.retires_at()).chain(self.keep_by).min()
    }

    /// Keeps the state for a restart. Without room for it the agent goes on: only a crash would cost a login.
    pub(crate) fn keep(&mut self) {
        self.keep_by = None;
        self.state.owed = self.notifier.owed(&self.state.announced, !self.state.published);
        self.state.frozen = self.groups.iter().map(|group| (group.name().to_owned(), group.frozen().clone())).collect();
        match self.state.save(&self.config.state_dir, &self.platform.boot) {
            Ok(()) => self.troubles.clear(&Subject::State),
            Err(cause) => self.troubles.set(Subject::State, cause),
        }
    }

    /// A one-shot container is done; its token and leases live on for the pod.
    fn hand_over(mut self: Box<Self>) -> Exit {
        if self.config.lifecycle.shape == Shape::InitOnly {
            if let Err(error) = State::wipe(&self.config.state_dir) {
                tracing::warn!(%error, "the state could not be wiped");
            }
        } else {
            self.keep();
        }
        let now = self.now();
        self.report(now);
        Exit::Done
    }

    /// What is behind a denial is found out first.
    fn is_login_fatal(&self) -> bool {
        let refused = |login| self.troubles.get(&Subject::Login(login)).is_some();
        self.config.lifecycle.exit_on_login_failure && (0..self.config.login_count()).any(refused)
    }

    /// The kubelet starts the container again, with a back-off of its own.
    fn despair(mut self: Box<Self>) -> Exit {
        let now = self.now();
        self.report(now);
        let line = self.status.borrow().line();
        tracing::error!("ending, as the first login failed: {line}");
        termination::write(&self.platform.termination, &line);
        Exit::Login
    }

    fn give_up(mut self: Box<Self>) -> Exit {
        let now = self.now();
        self.report(now);
        let line = self.status.borrow().line();
        let cause = Cause::new(Code::StartDeadline, "writing the first set of files", line);
        tracing::error!(code = %cause.code, "{cause}");
        termination::write(&self.platform.termination, &cause.to_string());
        Exit::Deadline
    }
}

/// Nobody may ask: never.
async fn quit(listening: &mut Option<Listening>) -> Option<()> {
    match listening {
        Some(listening) => listening.quit().await,
        None => None,
    }
}

/// Nothing is watched: never.
async fn next(changes: &mut Option<mpsc::Receiver<()>>) -> Option<()> {
    match changes {
        Some(changes) => changes.recv().await,
        None => None,
    }
}

fn resume(config: &AgentConfig, platform: &Platform) -> State {
    match State::load(&config.state_dir, &platform.boot, config.login_count()) {
        Ok(state) if state.revoking => {
            tracing::info!("the agent before was ending: starting afresh");
            fresh(config)
        }
        Ok(state) => {
            let (secrets, tokens) = state.size();
            tracing::info!(secrets, tokens, "resuming");
            state
        }
        Err(Absent::Nothing) => fresh(config),
        Err(Absent::Unusable(cause)) => {
            tracing::warn!(code = %cause.code, "{cause}");
            fresh(config)
        }
    }
}

/// What programs see: the agent's own environment, and where Vault is, as they do beside today's agent.
fn programs(config: &AgentConfig, platform: &Platform) -> BTreeMap<String, String> {
    let server = &config.server;
    let known = [("VAULT_ADDR", Some(&server.address)), ("VAULT_CACERT", server.ca_file.as_ref())];
    let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone())));
    known.chain(platform.env.clone()).collect()
}

fn fresh(config: &AgentConfig) -> State {
    State {
        sessions: (0..config.login_count()).map(|login| Session::fresh(config, login)).collect(),
        frozen: BTreeMap::new(),
        owed: Vec::new(),
        announced: Vec::new(),
        superseded: Vec::new(),
        published: false,
        revoking: false,
    }
}
