//! Each kind of fault, done and undone.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use sidekey_agent::status::Phase;
use sidekey_fakevault::{Matcher, Times};

use crate::fault::{self, Kind, STANDINGS, STATUSES};
use crate::front::Way;
use crate::ledger::Loss;
use crate::pod::TEMPLATE;
use crate::read::credentials;
use crate::run::{Run, SECOND, UNMET};
use crate::server::RIGHTS;
use crate::watch::Wrong;

/// Longest time for an agent to be well again: the longest waits of a denial and of a server that is gone.
const AFTER_DENIAL: u64 = 200;
pub(crate) const AFTER_OUTAGE: u64 = 110;

/// For so long after its login a token of [`crate::server`] is renewed in full, and nobody thinks of its successor.
const RENEWED: Duration = Duration::from_secs(350);

/// How long nothing is due, a little less than what is asked of the status.
const QUIET: Duration = Duration::from_secs(18);

/// Real time for a process to be loaded and at its work, on a slow machine too.
const LOADED: Duration = Duration::from_secs(10);

/// Seconds in which a slow answer is not waited for.
const SLOW: u64 = 8;

/// The longest time in which a job's lease is replaced, and its file with it.
const REPLACED: u64 = 70;

impl Run {
    /// One fault of this kind, and the recovery from it; whether anything noticed it.
    pub(crate) fn strike(&mut self, kind: Kind) -> Result<bool, Wrong> {
        let seconds = self.dice.between(5..=self.longest);
        match kind {
            Kind::Cut => self.cut(),
            Kind::Sealed | Kind::Standing | Kind::EveryStatus | Kind::NoName => self.refusals(kind, seconds),
            Kind::Refused | Kind::Hole | Kind::ExpiredCertificate | Kind::ExpiredAuthority | Kind::WrongCa => {
                self.no_way(kind, seconds)
            }
            Kind::NoDns => self.no_dns(seconds),
            Kind::Outlived => self.outlived(),
            Kind::OnePath => self.one_path(seconds * 3),
            Kind::TokensRevoked | Kind::LeaseRevoked | Kind::PolicyGone => self.meddle(kind, seconds),
            Kind::JwtRotated | Kind::JwtGone | Kind::JwtEmpty | Kind::JwtForeign => self.token_file(kind, seconds),
            Kind::SecretsFull | Kind::ReadOnly | Kind::FileBlocked => self.no_room(kind, seconds),
            Kind::StateFull => self.no_state(seconds),
            Kind::FileReadOnly => self.read_only_file(seconds),
            Kind::TemplateGone | Kind::TemplateBad => self.template(kind, seconds),
            Kind::ClockAhead | Kind::ClockBack => self.leap(kind),
            Kind::Kill => self.kill(),
            Kind::KillInOutage => self.kill_in_outage(seconds),
            _ => self.one_answer(kind),
        }
    }

    /// One bad answer is no reason for a gap.
    fn one_answer(&mut self, kind: Kind) -> Result<bool, Wrong> {
        let (matcher, fault) = fault::answer(kind, &mut self.dice);
        self.scene = format!("{fault:?} to {:?}", matcher.path);
        let loses = matches!(kind, Kind::LoseAnswer | Kind::CutBody | Kind::Garbage | Kind::Huge);
        self.server.fake.fault(matcher, fault, Times::Once);
        self.held_up = kind == Kind::Slow;
        let mut met = false;
        for _ in 0..UNMET {
            self.calm(1)?;
            met = self.server.fake.faults_left() == 0;
            if met {
                break;
            }
        }
        self.server.fake.clear_faults();
        // A slow answer takes some seconds of the pod's time, on a machine of any speed.
        self.calm(if self.held_up && met { SLOW } else { 0 })?;
        self.held_up = false;
        if loses {
            self.may_lose(Loss::Answer);
        }
        // One bad answer at a time: what the server asked for is waited out before the next.
        let seconds = self.dice.between(3..=12) + if kind == Kind::RetryAfter { 13 } else { 0 };
        self.calm(seconds)?;
        Ok(met)
    }

    fn cut(&mut self) -> Result<bool, Wrong> {
        self.may_lose(Loss::Outage);
        let met = self.server.front.open() > 0;
        self.server.cut();
        let seconds = self.dice.between(3..=12);
        self.calm(seconds).map(|()| met)
    }

    fn refusals(&mut self, kind: Kind, seconds: u64) -> Result<bool, Wrong> {
        let fake = self.server.fake;
        match kind {
            Kind::Sealed => fake.seal(true),
            Kind::Standing => fake.standing(*self.dice.pick(&STANDINGS)),
            Kind::NoName => fake.fault(Matcher::any(), fault::no_name(), Times::Always),
            _ => {
                let status = *self.dice.pick(&STATUSES);
                self.scene = format!("{status} to everything");
                fake.fault(Matcher::any(), fault::status(status), Times::Always);
            }
        }
        let met = self.outage(seconds)?;
        self.server.fake.clear_faults();
        self.server.fake.seal(false);
        self.recover(AFTER_DENIAL)?;
        Ok(met)
    }

    fn no_way(&mut self, kind: Kind, seconds: u64) -> Result<bool, Wrong> {
        self.may_lose(Loss::Outage);
        let front = self.server.front;
        match kind {
            Kind::Refused => front.lead(Way::Refuse),
            Kind::Hole => front.lead(Way::Hole),
            Kind::ExpiredCertificate => front.lead(Way::To(self.server.expired.socket())),
            Kind::ExpiredAuthority => front.lead(Way::To(self.server.unsigned.socket())),
            _ => {
                let other = *self.dice.pick(&["", "no certificate", self.server.expired.ca_pem()]);
                self.pod.write("ca.pem", other);
                self.server.cut();
            }
        }
        self.held_up = kind == Kind::Hole;
        let met = self.outage(seconds)?;
        self.held_up = false;
        self.pod.write("ca.pem", &self.server.ca());
        self.may_lose(Loss::Outage);
        self.server.cut();
        self.recover(AFTER_OUTAGE)?;
        Ok(met)
    }

    /// One secret that cannot be had is no reason for a gap in another; KV's own freshness is.
    fn one_path(&mut self, seconds: u64) -> Result<bool, Wrong> {
        let status = *self.dice.pick(&STATUSES);
        self.scene = format!("{status} to secret/data/web for {seconds} s");
        self.server.fake.fault(Matcher::path("secret/data/web"), fault::status(status), Times::Always);
        // A server that limits its rate is believed for all requests.
        let met = self.noticed(seconds, status != 429)?;
        self.server.fake.clear_faults();
        self.recover(AFTER_DENIAL)?;
        Ok(met)
    }

    fn meddle(&mut self, kind: Kind, seconds: u64) -> Result<bool, Wrong> {
        self.may_lose(Loss::Outage);
        let (logins, grants) = (self.watch.logins, self.watch.grants);
        let mut denied = false;
        match kind {
            Kind::TokensRevoked => self.server.fake.revoke_all_tokens(),
            Kind::LeaseRevoked => {
                let shown = credentials(&self.pod);
                let leases = self.server.fake.leases();
                let used = |user: &Option<String>| shown.iter().any(|(shown, _)| Some(shown) == user.as_ref());
                let leases: Vec<_> = leases.into_iter().filter(|lease| used(&lease.username)).collect();
                if leases.is_empty() {
                    return Ok(false);
                }
                self.server.fake.revoke_lease(&self.dice.pick(&leases).id);
            }
            _ => {
                self.server.fake.policy("web", &RIGHTS[..1]);
                denied = self.noticed(seconds, false)?;
                self.server.fake.policy("web", RIGHTS);
            }
        }
        self.recover(AFTER_DENIAL)?;
        Ok(match kind {
            Kind::TokensRevoked => self.watch.logins > logins,
            Kind::LeaseRevoked => self.watch.grants > grants,
            _ => denied,
        })
    }

    /// It is read at a login, and a login has a third of a token's life to be tried again. At last the token in hand is taken
    /// away, so that a login must be.
    fn token_file(&mut self, kind: Kind, seconds: u64) -> Result<bool, Wrong> {
        match kind {
            Kind::JwtRotated => self.new_jwt(),
            Kind::JwtGone => std::fs::remove_file(self.pod.path("jwt")).unwrap(),
            Kind::JwtEmpty => self.pod.write("jwt", "\n"),
            _ => self.pod.write("jwt", &self.server.fake.foreign_jwt("shop", "web", "vault")),
        }
        self.calm(seconds.min(40))?;
        self.may_lose(Loss::Outage);
        self.server.fake.revoke_all_tokens();
        let met = kind == Kind::JwtRotated || self.noticed(3, false)?;
        self.may_lose(Loss::Outage);
        self.new_jwt();
        self.recover(AFTER_DENIAL)?;
        Ok(met)
    }

    fn no_room(&mut self, kind: Kind, seconds: u64) -> Result<bool, Wrong> {
        let blocked = self.pod.path("secrets/job.json");
        match kind {
            Kind::SecretsFull => self.pod.fill("secrets"),
            Kind::ReadOnly => self.pod.remount("ro"),
            _ => {
                std::fs::remove_file(&blocked).unwrap();
                std::fs::create_dir_all(blocked.join("in the way")).unwrap();
            }
        }
        let mut met = false;
        for second in 0..seconds + UNMET {
            if second >= seconds && met {
                break;
            }
            self.may_lose(Loss::Outage);
            self.step()?;
            met |= self.complaints().is_err();
        }
        match kind {
            Kind::SecretsFull => self.pod.empty("secrets"),
            Kind::ReadOnly => self.pod.remount("rw"),
            _ => std::fs::remove_dir_all(&blocked).unwrap(),
        }
        // What is not there is written with the next change of its secret, as for a file that somebody removed.
        self.recover(if kind == Kind::FileBlocked { AFTER_DENIAL } else { AFTER_OUTAGE })?;
        Ok(met)
    }

    /// Without room for its state the agent goes on.
    fn no_state(&mut self, seconds: u64) -> Result<bool, Wrong> {
        let failed = |run: &Self| run.said.lock().unwrap().mentions("keeping the state for a restart");
        let before = failed(self);
        self.pod.fill("state");
        self.calm(seconds)?;
        self.pod.empty("state");
        self.recover(AFTER_OUTAGE)?;
        Ok(failed(self) > before)
    }

    fn read_only_file(&mut self, seconds: u64) -> Result<bool, Wrong> {
        let file = self.pod.path("secrets/job.json");
        let number = |file: &Path| std::fs::metadata(file).ok().map(|about| about.ino());
        let mut mode = std::fs::metadata(&file).unwrap().permissions();
        mode.set_readonly(true);
        std::fs::set_permissions(&file, mode).unwrap();
        let before = number(&file);
        for second in 0..seconds + REPLACED {
            self.calm(1)?;
            if second >= seconds && number(&file) != before {
                break;
            }
        }
        Ok(number(&file) != before)
    }

    /// A bad template keeps its last good file and touches no other.
    fn template(&mut self, kind: Kind, seconds: u64) -> Result<bool, Wrong> {
        let before = self.pod.read("web");
        let path = self.pod.path("templates/web.tpl");
        std::fs::remove_file(&path).unwrap();
        match kind {
            Kind::TemplateGone if seconds.is_multiple_of(2) => std::fs::create_dir(&path).unwrap(),
            Kind::TemplateGone => {}
            _ => std::fs::write(&path, *self.dice.pick(&["{{ nothing", "{{ no_such_function }}", "\u{0}"])).unwrap(),
        }
        let met = self.noticed(seconds, true)?;
        let after = self.pod.read("web");
        let _ = std::fs::remove_dir(&path);
        std::fs::write(&path, TEMPLATE).unwrap();
        self.recover(AFTER_OUTAGE)?;
        // NUL is text like any other, and no cause for complaint.
        if after == before || after.as_deref() == Some("\u{0}") {
            Ok(met || after != before)
        } else {
            Err("a bad template changed its file".to_owned())
        }
    }

    fn leap(&mut self, kind: Kind) -> Result<bool, Wrong> {
        self.may_lose(Loss::Outage);
        if kind == Kind::ClockBack {
            // A machine that was restored from an image: the server's clock went on.
            self.clock.back(Duration::from_secs(self.dice.between(2..=3_600)));
        } else {
            let time = Duration::from_secs(self.dice.between(30..=36_000));
            self.server.fake.advance(time);
            self.clock.skip(time);
            self.new_jwt();
        }
        self.may_lose(Loss::Outage);
        self.recover(AFTER_OUTAGE)?;
        Ok(true)
    }

    /// At a moment of no choice of ours; a restarted agent goes on with no login and no lease that was not due.
    fn kill(&mut self) -> Result<bool, Wrong> {
        let mut quiet = self.quiet_until();
        self.pass_half();
        if self.dice.between(0..=1) == 0 {
            quiet = self.await_request(quiet)?;
        }
        self.kill_agent();
        let down = self.dice.between(0..=2);
        self.pass(down)?;
        self.watch.look(&self.pod, &self.server, &self.said, &self.scene)?;
        self.resume(quiet)?;
        let seconds = self.dice.between(2..=6);
        self.calm(seconds)?;
        Ok(true)
    }

    /// Starts the next agent. Until `quiet` nothing is due, and the one before had nothing under way. On a slow machine more
    /// time goes by than the seconds that are asked for.
    pub(crate) fn resume(&mut self, quiet: Option<Duration>) -> Result<(), Wrong> {
        let (logins, grants) = (self.watch.logins, self.watch.grants);
        let before = self.status_file();
        self.start_agent();
        self.await_ready(before);
        self.calm(6)?;
        if quiet.is_some_and(|until| self.now() < until) {
            self.resumed += 1;
            if (logins, grants) != (self.watch.logins, self.watch.grants) {
                return Err("a restart cost a login or a lease that was not due".to_owned());
            }
        }
        Ok(())
    }

    /// Waits, in real time alone, till the agent that was just started says that it is ready. A process that is still being
    /// loaded has cost nothing yet, and would pass for one that costs nothing.
    fn await_ready(&self, before: Option<u64>) {
        let begun = Instant::now();
        let ready = || self.status_file() != before && self.status().is_some_and(|status| status.phase == Phase::Ready);
        while begun.elapsed() < LOADED && !ready() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Which file it is: each status is a new one.
    fn status_file(&self) -> Option<u64> {
        std::fs::metadata(self.pod.path("state/status.json")).ok().map(|file| file.ino())
    }

    /// Until something is on its way, and then a moment: a kill between an answer and its keeping. How long all is quiet as of
    /// when the agent was last seen with nothing under way.
    fn await_request(&mut self, mut quiet: Option<Duration>) -> Result<Option<Duration>, Wrong> {
        for _ in 0..UNMET {
            self.pass_half();
            if self.server.front.is_waited_for() {
                std::thread::sleep(Duration::from_micros(self.dice.between(0..=2_000)));
                break;
            }
            self.calm(1)?;
            quiet = self.quiet_until();
        }
        Ok(quiet)
    }

    /// Somewhere in the agent's work on one second.
    fn pass_half(&mut self) {
        self.server.fake.advance(SECOND);
        self.clock.skip(SECOND);
        std::thread::sleep(Duration::from_micros(self.dice.between(0..=6_000)));
    }

    /// Till when nothing will be due, if nothing is on its way now. To be asked of an agent that has settled: while a renewal
    /// is under way, what it says of the next step is when it would do without.
    pub(crate) fn quiet_until(&self) -> Option<Duration> {
        let status = self.status()?;
        let today = sidekey_agent::clock::unix_seconds();
        let far = |next: Option<i64>| next.is_some_and(|next| next > today + 20);
        let leased = status.secrets.iter().filter(|secret| secret.path.starts_with("database/"));
        let is_quiet = leased.clone().count() == 2
            && leased.clone().all(|secret| secret.state == "fresh" && far(secret.next))
            && self.now() < self.watch.login_at + RENEWED
            && !self.server.front.is_waited_for();
        is_quiet.then(|| self.now() + QUIET)
    }

    fn kill_in_outage(&mut self, seconds: u64) -> Result<bool, Wrong> {
        self.server.fake.seal(true);
        self.pass(seconds / 2)?;
        self.kill_agent();
        self.start_agent();
        self.pass(seconds / 2)?;
        self.server.fake.seal(false);
        self.recover(AFTER_OUTAGE)?;
        Ok(true)
    }
}
