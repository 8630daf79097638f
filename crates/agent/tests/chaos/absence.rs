//! A name that stops resolving, and an outage that a file must not outlive.

use std::time::Duration;

use sidekey_core::Code;

use crate::ledger::Loss;
use crate::pod::LIMIT;
use crate::run::Run;
use crate::strike::AFTER_OUTAGE;
use crate::watch::Wrong;

/// After its limit a file is gone within this: it counts from an answer before the outage.
const GONE: Duration = Duration::from_secs(15);

impl Run {
    /// In the middle of a run: connections end, and the next ones find nobody who knows the name.
    pub(crate) fn no_dns(&mut self, seconds: u64) -> Result<bool, Wrong> {
        self.may_lose(Loss::Outage);
        self.pod.resolve(false);
        self.server.cut();
        self.noticed(seconds, false)?;
        let says = |code: Code| self.status().is_some_and(|status| status.causes().iter().any(|it| it.code == code));
        let met = says(Code::VaultDns);
        self.pod.resolve(true);
        self.may_lose(Loss::Outage);
        self.recover(AFTER_OUTAGE)?;
        Ok(met)
    }

    /// The file with a limit goes, and no other.
    pub(crate) fn outlived(&mut self) -> Result<bool, Wrong> {
        self.server.fake.seal(true);
        let met = self.outage(LIMIT + GONE.as_secs())?;
        let (limited, web) = (self.pod.read("limited.json"), self.pod.read("web"));
        if limited.is_some() || web.is_none() {
            return Err(format!(
                "a file outlived its limit: {}, or another went: {}",
                limited.is_some(),
                web.is_none()
            ));
        }
        self.server.fake.seal(false);
        self.recover(AFTER_OUTAGE)?;
        Ok(met)
    }
}
