//! How old a group's files are, and their end where a limit is set.

use std::collections::BTreeMap;

use sidekey_core::time::Time;
use sidekey_core::{Cause, Lookup};

use super::Group;
use crate::backoff::random;
use crate::member::Member;
use crate::report::unix;
use crate::{withdraw, write};

impl Group {
    /// Since when Vault has not vouched for what its files hold, as a date.
    pub(crate) fn stale_since(&self) -> Option<i64> {
        self.old.map(|(_, date)| date)
    }

    pub(super) fn too_old_at(&self) -> Option<Time> {
        let (since, _) = self.old.filter(|_| !self.withdrawn)?;
        let at = since + self.limit?;
        Some(self.retry.until().map_or(at, |until| until.max(at)))
    }

    /// Takes note of its secrets that Vault does not vouch for, and removes its files when they are too old: then why. What
    /// was removed is rendered again once Vault vouches for it.
    pub(crate) fn age(&mut self, stale: &[BTreeMap<Lookup, Time>], now: Time) -> Option<Cause> {
        let of = |member: &Member| {
            Some(stale.get(member.login())?).map(|stale| member.needs().filter_map(|l| stale.get(l)).min())
        };
        let since = self.members.iter().filter_map(of).flatten().min().copied();
        if self.old.map(|(time, _)| time) != since {
            self.old = since.map(|since| (since, unix(since, now)));
            // What could not be removed is right again.
            self.stale |= self.old.is_none() && self.cause.is_some();
        }
        let too_old = self.old.zip(self.limit).is_some_and(|((since, _), limit)| since + limit <= now);
        if self.withdrawn && !too_old {
            (self.withdrawn, self.stale) = (false, true);
        }
        if self.too_old_at().is_none_or(|at| at > now) {
            return None;
        }
        let removed = self.withdraw(now);
        self.withdrawn = removed.is_ok();
        let cause = removed.err().unwrap_or_else(|| withdraw::too_old(&self.name, self.limit.unwrap_or_default()));
        if self.withdrawn {
            self.pending = None;
            self.retry.succeeded();
            self.members.iter_mut().for_each(Member::gone);
        } else {
            self.retry.failed(now, random());
        }
        let new = self.cause.as_ref() != Some(&cause);
        self.cause = Some(cause);
        self.cause.clone().filter(|_| new)
    }

    /// The bytes go at once, readers or not.
    fn withdraw(&mut self, now: Time) -> Result<(), Cause> {
        self.beside.iter().for_each(|output| write::remove(&output.dir, output.file.as_str()));
        let mut removed = Ok(());
        for unit in &self.units {
            let (layout, outputs) = self.whole_unit(unit);
            let before = write::current(&unit.dir, &unit.link);
            removed = removed.and_then(|()| withdraw::withdraw(&unit.dir, layout, &unit.link, &outputs));
            self.lingering.replaced(&unit.dir, &unit.link, before, now);
        }
        self.lingering.end(now);
        removed
    }
}
