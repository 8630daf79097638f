//! How old the files are: what Vault does not vouch for is listed for readers, and removed where a limit says so.

use std::collections::BTreeMap;

use sidekey_core::Lookup;
use sidekey_core::contract::Layout;
use sidekey_core::time::Time;

use crate::group::Group;
use crate::member::Member;
use crate::session::Session;
use crate::supervisor::Supervisor;
use crate::trouble::Subject;
use crate::withdraw;

/// The lists on disk, by directory; a directory that is not in it has not been looked at.
pub(crate) type Lists = BTreeMap<String, String>;

impl Supervisor {
    /// Renders what has new data, and takes the age of all of it.
    pub(crate) fn render(&mut self, now: Time) {
        let published = self.state.published;
        let of = |session: &Session| -> BTreeMap<Lookup, Time> {
            session.planner.report(now).into_iter().filter_map(|entry| Some((entry.lookup, entry.stale?))).collect()
        };
        let stale: Vec<_> = if published { self.state.sessions.iter().map(of).collect() } else { Vec::new() };
        for group in &mut self.groups {
            group.render(&self.state.sessions, &self.platform.env, &self.config.state_dir);
            if !published {
                continue;
            }
            if let Some(cause) = group.age(&stale, now) {
                tracing::warn!(group = group.name(), code = %cause.code, "{cause}");
                *self.counters.failures.entry(cause.code).or_default() += 1;
            }
            group.render(&self.state.sessions, &self.platform.env, &self.config.state_dir);
        }
        if published {
            self.list_stale();
        }
    }

    fn list_stale(&mut self) {
        for (dir, text) in texts(&self.groups) {
            if self.lists.get(&dir) == Some(&text) {
                continue;
            }
            match withdraw::list(&dir, &text) {
                Ok(()) => {
                    self.troubles.clear(&Subject::StaleList);
                    self.lists.insert(dir, text);
                }
                Err(cause) => self.troubles.set(Subject::StaleList, cause),
            }
        }
    }
}

/// For each directory of files a line for each stale one: the date, a blank, the path below the directory.
fn texts(groups: &[Group]) -> Lists {
    let mut lists = Lists::new();
    for group in groups {
        for output in group.members().iter().map(Member::output).filter(|output| output.layout != Layout::Served) {
            let list = lists.entry(output.dir.clone()).or_default();
            if let Some(since) = group.stale_since() {
                list.push_str(&format!("{since} {}\n", output.file));
            }
        }
    }
    lists
}
