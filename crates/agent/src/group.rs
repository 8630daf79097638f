//! The unit of consistency: outputs that change together or not at all.

mod age;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sidekey_core::contract::{Dialect, Layout, Output, Source};
use sidekey_core::output::{self, Rendered};
use sidekey_core::time::Time;
use sidekey_core::{AgentConfig, Cause, Lookup, Sensitive};
use sidekey_template::{Frozen, Inputs};
use tokio::sync::watch;

use crate::backoff::{Backoff, random};
use crate::clock::unix_seconds;
use crate::environment::{self, Handed};
use crate::extra::{Owner, Volumes};
use crate::local::Local;
use crate::member::Member;
use crate::session::Session;
use crate::state::State;
use crate::sweep::{self, Lingering};
use crate::write;

/// Outputs of one group, wherever they lie.
pub(crate) struct Group {
    name: String,
    dialect: Dialect,
    members: Vec<Member>,
    units: Vec<Unit>,
    frozen: Frozen,
    stale: bool,
    whole: bool,
    pending: Option<Rendered>,
    /// What templates write beside their outputs, in the newest set.
    extras: Vec<(Output, Owner)>,
    /// The same of the set on disk, as far as this agent wrote it.
    beside: Vec<Output>,
    retry: Backoff,
    cause: Option<Cause>,
    lingering: Lingering,
    /// The shortest of its members' limits.
    limit: Option<Duration>,
    /// Since when Vault has not vouched for its oldest secret; the same as a date.
    old: Option<(Time, i64)>,
    withdrawn: bool,
    desk: watch::Sender<Handed>,
}

/// A group's part in one directory: what one rename can change.
struct Unit {
    dir: String,
    layout: Layout,
    link: String,
    outputs: Vec<Output>,
}

impl Group {
    /// Of a group's outputs, in order. `alone` tells of a directory whether this is its only linked group.
    pub(crate) fn new(
        name: &str,
        dialect: Dialect,
        outputs: &[&Output],
        frozen: Option<Frozen>,
        volumes: &Arc<Volumes>,
        alone: impl Fn(&str) -> bool,
        desk: &watch::Sender<Handed>,
    ) -> Self {
        let dirs: BTreeSet<&str> = outputs.iter().map(|output| output.dir.as_str()).collect();
        let unit = |dir: &str| {
            let outputs: Vec<Output> = outputs.iter().filter(|o| o.dir == dir).map(|o| (*o).clone()).collect();
            let is = |layout| outputs.iter().any(|output| output.layout == layout);
            let layout = [Layout::Served, Layout::Linked].into_iter().find(|layout| is(*layout));
            // Readers that know the kubelet's volumes watch `..data`.
            let layout = layout.unwrap_or(Layout::Plain);
            let link = if layout == Layout::Linked && alone(dir) { "..data".to_owned() } else { own_link(name) };
            Unit { dir: dir.to_owned(), layout, link, outputs }
        };
        Self {
            name: name.to_owned(),
            dialect,
            members: outputs.iter().map(|output| Member::new(output, volumes.clone())).collect(),
            units: dirs.into_iter().map(unit).collect(),
            frozen: frozen.unwrap_or_else(freeze),
            stale: true,
            whole: false,
            pending: None,
            extras: Vec::new(),
            beside: Vec::new(),
            retry: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            cause: None,
            lingering: Lingering::default(),
            limit: outputs.iter().filter_map(|o| o.max_stale_seconds).min().map(|s| Duration::from_secs(s.into())),
            old: None,
            withdrawn: false,
            desk: desk.clone(),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The time and seed its bytes are rendered with.
    pub(crate) const fn frozen(&self) -> &Frozen {
        &self.frozen
    }

    /// Its outputs.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Why its newest set is not on disk.
    pub(crate) const fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// Whether any of it is read by that login.
    pub(crate) fn is_of(&self, login: usize) -> bool {
        self.members.iter().any(|member| member.login() == login)
    }

    /// Everything its outputs ask for by a login, as far as is known.
    pub(crate) fn needs(&self, login: usize) -> impl Iterator<Item = &Lookup> {
        self.members.iter().filter(move |member| member.login() == login).flat_map(Member::needs)
    }

    /// Whether [`Self::needs`] is all of it.
    pub(crate) fn knows_needs(&self) -> bool {
        self.members.iter().all(Member::knows_needs)
    }

    /// New data: what depends on it is rendered again. A set that was whole gets a time and seed of its own; one that is
    /// still being gathered keeps them, since a path made of the time would never be the same twice.
    pub(crate) fn answered(&mut self, login: usize, changed: &Lookup) {
        if self.needs(login).any(|lookup| lookup == changed) {
            if std::mem::take(&mut self.whole) {
                self.frozen = freeze();
            }
            self.stale = true;
        }
    }

    /// Reads changed template files again; a bad one leaves the old in force.
    pub(crate) fn reload(&mut self) {
        for member in &mut self.members {
            self.stale |= member.reload();
        }
    }

    /// Renders when there is something new. A set with a hole is not kept: the last good one stays.
    /// `private` is the directory of the agent's own state.
    pub(crate) fn render(&mut self, sessions: &[Session], env: &BTreeMap<String, String>, private: &str) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let (mut rendered, mut extras) = (Rendered::new(), Vec::new());
        for member in &mut self.members {
            let Some(session) = sessions.get(member.login()) else { continue };
            let answers = Local { answers: &session.answers, private };
            let inputs = Inputs { answers: &answers, env, frozen: &self.frozen };
            if let Some((bytes, beside)) = member.render(&inputs) {
                rendered.insert(member.output().name.clone(), bytes);
                for extra in beside {
                    rendered.insert(extra.output.name.clone(), extra.bytes);
                    extras.push((extra.output, extra.owner));
                }
            }
        }
        self.whole = self.members.iter().all(|m| rendered.contains_key(&m.output().name) || m.may_be_absent());
        if self.whole && !rendered.is_empty() {
            self.pending = Some(rendered);
            self.extras = extras;
            self.retry.succeeded();
        }
    }

    /// Whether the first publication need not wait for it.
    pub(crate) fn is_whole(&self) -> bool {
        self.pending.is_some() || self.is_on_disk()
    }

    /// Whether readiness need not wait for it.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.members.iter().all(|member| member.good().is_some() || member.output().optional)
    }

    /// Whether the disk holds all there is to write.
    pub(crate) const fn is_settled(&self) -> bool {
        self.pending.is_none() && !self.stale
    }

    /// Whether a call of [`Self::publish`] writes.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.pending.is_some() && !self.withdrawn && self.retry.is_due(now)
    }

    /// When it wants to be called again: a failed write, an old set.
    pub(crate) fn due(&self) -> Option<Time> {
        let retry = self.pending.as_ref().filter(|_| !self.withdrawn).and_then(|_| self.retry.until());
        [retry, self.lingering.due(), self.too_old_at()].into_iter().flatten().min()
    }

    /// Puts what is rendered on disk, if it is time; returns how many files changed.
    pub(crate) fn publish(&mut self, now: Time) -> usize {
        self.lingering.tidy(now);
        if self.withdrawn || !self.retry.is_due(now) {
            return 0;
        }
        let Some(rendered) = self.pending.take() else { return 0 };
        match self.write(&rendered, now) {
            Ok(changed) => {
                self.settled(&rendered);
                changed
            }
            Err(cause) => {
                self.retry.failed(now, random());
                if self.cause.as_ref() != Some(&cause) {
                    tracing::warn!(group = self.name, code = %cause.code, "{cause}");
                }
                self.cause = Some(cause);
                self.pending = Some(rendered);
                0
            }
        }
    }

    fn write(&mut self, rendered: &Rendered, now: Time) -> Result<usize, Cause> {
        let mut changed = 0;
        self.adopt();
        let owners = self.extras.iter().map(|(output, owner)| (output.name.clone(), *owner)).collect();
        for unit in &self.units {
            if unit.layout == Layout::Served {
                changed += self.hand(&unit.outputs, rendered);
                continue;
            }
            let (layout, outputs) = self.whole_unit(unit);
            let disk = write::look(&unit.dir, layout, &unit.link, &outputs);
            for plan in output::plan(self.dialect, &outputs, rendered, &disk) {
                let before = write::current(&unit.dir, &unit.link);
                let published = write::publish(&plan, &unit.link, &owners);
                self.lingering.replaced(&unit.dir, &unit.link, before, now);
                published?;
                for file in plan.files.iter().filter(|file| file.changed) {
                    tracing::info!(file = file.output.name, path = output::full_path(file.output), "written");
                    changed += 1;
                }
            }
        }
        self.forget(now);
        Ok(changed)
    }

    /// Directories of which only files beside its outputs are known.
    fn adopt(&mut self) {
        for (output, _) in &self.extras {
            if self.beside.iter().all(|known| known.name != output.name) {
                sweep::sweep_beside(output);
            }
            if self.units.iter().all(|unit| unit.dir != output.dir) {
                let (dir, link) = (output.dir.clone(), own_link(&self.name));
                self.units.push(Unit { dir, layout: Layout::Plain, link, outputs: Vec::new() });
            }
        }
    }

    /// A unit with the files beside its outputs: natively these too change by one rename.
    fn whole_unit<'u>(&self, unit: &'u Unit) -> (Layout, Cow<'u, [Output]>) {
        let mut beside = self.extras.iter().filter(|(output, _)| output.dir == unit.dir).peekable();
        if beside.peek().is_none() {
            return (unit.layout, Cow::Borrowed(&unit.outputs));
        }
        let layout = if self.dialect == Dialect::Native { Layout::Linked } else { unit.layout };
        let extra = beside.map(|(output, _)| Output { layout, ..output.clone() });
        (layout, unit.outputs.iter().cloned().chain(extra).collect())
    }

    /// Removes what templates wrote before and do not any more.
    fn forget(&mut self, now: Time) {
        let kept: Vec<Output> = self.extras.iter().map(|(output, _)| output.clone()).collect();
        for output in self.beside.iter().filter(|before| kept.iter().all(|output| output.name != before.name)) {
            write::remove(&output.dir, output.file.as_str());
            tracing::info!(file = output.name, "removed: no template writes it any more");
        }
        // Of a directory whose one file is a regular one again, the set before is of no use.
        let beside = |unit: &&Unit| self.beside.iter().any(|output| output.dir == unit.dir);
        let regular: Vec<&Unit> =
            self.units.iter().filter(beside).filter(|unit| self.whole_unit(unit).0 == Layout::Plain).collect();
        for unit in regular {
            let before = write::current(&unit.dir, &unit.link);
            write::remove(&unit.dir, &unit.link);
            self.lingering.replaced(&unit.dir, &unit.link, before, now);
        }
        self.beside = kept;
    }

    /// Nothing of it is written down.
    fn hand(&self, outputs: &[Output], rendered: &Rendered) -> usize {
        let bytes = outputs.iter().find_map(|output| rendered.get(&output.name));
        usize::from(bytes.is_some_and(|bytes| environment::hand(&self.desk, bytes)))
    }

    /// Whether programs keep an environment with a leased secret in it.
    pub(crate) fn keeps_leased(&self, sessions: &[Session]) -> bool {
        let keeps = |source: &Source| matches!(source, Source::Environment(source) if !source.restart);
        let leased = |member: &Member| {
            let answers = sessions.get(member.login()).map(|session| &session.answers);
            let answer = |lookup: &Lookup| answers.and_then(|answers| answers.get(lookup));
            member.needs().filter_map(answer).any(|answer| !answer.lease_id.is_empty())
        };
        self.members.iter().any(|member| keeps(&member.output().source) && leased(member))
    }

    fn settled(&mut self, rendered: &Rendered) {
        self.retry.succeeded();
        if self.cause.take().is_some() {
            tracing::info!(group = self.name, "recovered");
        }
        let now = unix_seconds();
        self.members.iter_mut().filter(|m| rendered.contains_key(&m.output().name)).for_each(|m| m.found_good(now));
    }

    /// Removes old sets and what a killed agent left.
    pub(crate) fn clean(&self) {
        let on_disk = self.units.iter().filter(|unit| unit.layout != Layout::Served);
        on_disk.for_each(|unit| sweep::sweep(&unit.dir, &*self.whole_unit(unit).1));
    }
}

/// The link of a group that shares its directory.
fn own_link(group: &str) -> String {
    format!("..data-{}", group.replace('/', "-"))
}

/// The groups of a configuration, in the order of their first outputs.
pub(crate) fn all(config: &AgentConfig, state: &State, desk: &watch::Sender<Handed>) -> Vec<Group> {
    let mut named: Vec<(&str, Vec<&Output>)> = Vec::new();
    for output in &config.outputs {
        match named.iter_mut().find(|(name, _)| *name == output.group) {
            Some((_, outputs)) => outputs.push(output),
            None => named.push((&output.group, vec![output])),
        }
    }
    let linked = |dir: &str| {
        let outputs = config.outputs.iter().filter(|o| o.dir == dir && o.layout == Layout::Linked);
        outputs.map(|output| output.group.as_str()).collect::<BTreeSet<_>>().len()
    };
    let volumes = Arc::new(Volumes::of(&config.outputs));
    let group = |(name, outputs): &(&str, Vec<&Output>)| {
        let frozen = state.frozen.get(*name).cloned();
        Group::new(name, config.dialect, outputs, frozen, &volumes, |dir| linked(dir) == 1, desk)
    };
    named.iter().map(group).collect()
}

/// Now, and a seed; where the system has no random numbers, none.
pub(crate) fn freeze() -> Frozen {
    let mut seed = Sensitive::new([0; 32]);
    if getrandom::fill(seed.expose_mut()).is_err() {
        seed = Sensitive::default();
    }
    Frozen { unix_seconds: unix_seconds(), seed }
}
