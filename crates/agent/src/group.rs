//! The unit of consistency: outputs that change together or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sidekey_core::contract::{Dialect, Layout, Output};
use sidekey_core::output::{self, Rendered};
use sidekey_core::time::Time;
use sidekey_core::{Cause, Lookup};
use sidekey_template::{Frozen, Inputs};

use crate::backoff::{Backoff, random};
use crate::clock::unix_seconds;
use crate::member::Member;
use crate::session::Session;
use crate::write;

/// For how long a set that was replaced stays for readers in the middle of a path.
const LINGER: Duration = Duration::from_secs(5);

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
    retry: Backoff,
    cause: Option<Cause>,
    sweep: Option<Time>,
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
        alone: impl Fn(&str) -> bool,
    ) -> Self {
        let dirs: BTreeSet<&str> = outputs.iter().map(|output| output.dir.as_str()).collect();
        let unit = |dir: &str| {
            let outputs: Vec<Output> = outputs.iter().filter(|o| o.dir == dir).map(|o| (*o).clone()).collect();
            let linked = outputs.iter().any(|output| output.layout == Layout::Linked);
            // Readers that know the kubelet's volumes watch `..data`.
            let link = if alone(dir) { "..data".to_owned() } else { format!("..data-{}", name.replace('/', "-")) };
            Unit { dir: dir.to_owned(), layout: if linked { Layout::Linked } else { Layout::Plain }, link, outputs }
        };
        Self {
            name: name.to_owned(),
            dialect,
            members: outputs.iter().map(|output| Member::new(output)).collect(),
            units: dirs.into_iter().map(unit).collect(),
            frozen: frozen.unwrap_or_else(freeze),
            stale: true,
            whole: false,
            pending: None,
            retry: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            cause: None,
            sweep: None,
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The time and seed its bytes are rendered with.
    pub(crate) const fn frozen(&self) -> Frozen {
        self.frozen
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
    pub(crate) fn render(&mut self, sessions: &[Session], env: &BTreeMap<String, String>) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let mut rendered = Rendered::new();
        for member in &mut self.members {
            let Some(session) = sessions.get(member.login()) else { continue };
            let inputs = Inputs { answers: &session.answers, env, frozen: self.frozen };
            if let Some(bytes) = member.render(&inputs) {
                rendered.insert(member.output().name.clone(), bytes);
            }
        }
        self.whole = self.members.iter().all(|m| rendered.contains_key(&m.output().name) || m.may_be_absent());
        if self.whole && !rendered.is_empty() {
            self.pending = Some(rendered);
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
        self.pending.is_some() && self.retry.is_due(now)
    }

    /// When it wants to be called again: a failed write, an old set.
    pub(crate) fn due(&self) -> Option<Time> {
        let retry = self.pending.as_ref().and_then(|_| self.retry.until());
        [retry, self.sweep].into_iter().flatten().min()
    }

    /// Puts what is rendered on disk, if it is time; returns how many files changed.
    pub(crate) fn publish(&mut self, now: Time) -> usize {
        self.tidy(now);
        if !self.retry.is_due(now) {
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
        for unit in &self.units {
            let disk = write::look(&unit.dir, unit.layout, &unit.link, &unit.outputs);
            for plan in output::plan(self.dialect, &unit.outputs, rendered, &disk) {
                write::publish(&plan, &unit.link)?;
                for file in plan.files.iter().filter(|file| file.changed) {
                    tracing::info!(file = file.output.name, path = output::full_path(file.output), "written");
                    changed += 1;
                }
            }
        }
        if changed > 0 && self.units.iter().any(|unit| unit.layout == Layout::Linked) {
            self.sweep = Some(now + LINGER);
        }
        Ok(changed)
    }

    fn settled(&mut self, rendered: &Rendered) {
        self.retry.succeeded();
        if self.cause.take().is_some() {
            tracing::info!(group = self.name, "recovered");
        }
        let now = unix_seconds();
        self.members.iter_mut().filter(|m| rendered.contains_key(&m.output().name)).for_each(|m| m.found_good(now));
    }

    fn tidy(&mut self, now: Time) {
        if self.sweep.is_some_and(|at| at <= now) {
            self.sweep = None;
            self.clean();
        }
    }

    /// Removes old sets and what a killed agent left.
    pub(crate) fn clean(&self) {
        self.units.iter().for_each(|unit| write::sweep(&unit.dir, &unit.outputs));
    }
}

fn freeze() -> Frozen {
    Frozen { unix_seconds: unix_seconds(), seed: random() }
}
