//! Small scenarios, step by step: secrets here, logins and tokens in `token`. Simulated days are in `tests/planner`.

mod token;

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use super::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1000)
}

fn lookup(name: &str) -> Lookup {
    Lookup::read(name)
}

fn token(ttl: u64) -> TokenTerms {
    TokenTerms { ttl: secs(ttl), renewable: true, uses: None, batch: false }
}

fn lease(id: &str, ttl: u64) -> LeaseTerms {
    LeaseTerms::Lease { id: id.to_owned(), ttl: secs(ttl), renewable: true }
}

const KV: LeaseTerms = LeaseTerms::Static { hint: None };

fn limited(wait: u64) -> Failure {
    Failure { kind: FailureKind::Limited, retry_after: Some(secs(wait)) }
}

/// A planner and the time.
struct Bench {
    planner: Planner,
    now: Time,
}

impl Bench {
    fn new(policy: Policy, names: &[&str]) -> Self {
        let mut planner = Planner::new(policy, 42);
        planner.want(&names.iter().map(|name| lookup(name)).collect());
        Self { planner, now: at(1000) }
    }

    /// Logged in at 1000 s.
    fn with_token(terms: TokenTerms, names: &[&str]) -> Self {
        let mut bench = Self::new(Policy::default(), names);
        bench.begin(&Step::LogIn);
        bench.planner.logged_in(&terms, bench.now);
        bench
    }

    fn next(&self) -> Step {
        self.planner.next(self.now)
    }

    /// The next step must be this one; it is started.
    fn begin(&mut self, step: &Step) {
        assert_eq!(&self.next(), step, "at {}", self.now);
        self.planner.started(step, self.now);
    }

    fn fetch(&mut self, name: &str, terms: &LeaseTerms) {
        self.begin(&Step::Fetch(lookup(name)));
        self.planner.fetched(&lookup(name), terms, self.now);
    }

    fn fetch_fails(&mut self, name: &str, failure: impl Into<Failure>) {
        self.begin(&Step::Fetch(lookup(name)));
        self.planner.fetch_failed(&lookup(name), &failure.into(), self.now);
    }

    /// Waits as long as the planner says; returns the seconds.
    fn sleep(&mut self) -> f64 {
        let Step::Wait(Some(until)) = self.next() else { panic!("no wait: {:?}", self.next()) };
        let slept = until.since(self.now).as_secs_f64();
        self.now = until;
        slept
    }

    fn sleeps(&mut self, range: Range<f64>) {
        let slept = self.sleep();
        assert!(range.contains(&slept), "{slept} not in {range:?}");
    }

    fn state(&self, name: &str) -> State {
        let report = self.planner.report(self.now);
        report.into_iter().find(|entry| entry.lookup == lookup(name)).map(|entry| entry.state).unwrap()
    }
}

#[test]
fn logs_in_once_then_fetches_side_by_side_but_not_all_at_once() {
    let names = ["a", "b", "c", "d", "e"];
    let mut bench = Bench::new(Policy::default(), &names);
    bench.begin(&Step::LogIn);
    assert_eq!(bench.next(), Step::Wait(None));
    bench.planner.logged_in(&token(3600), bench.now);
    for name in &names[..4] {
        bench.begin(&Step::Fetch(lookup(name)));
    }
    assert!(matches!(bench.next(), Step::Wait(Some(renewal)) if renewal > at(1600)));
    bench.planner.fetched(&lookup("c"), &KV, bench.now);
    bench.begin(&Step::Fetch(lookup("e")));
}

#[test]
fn a_lease_whose_renewal_is_cut_is_replaced_before_its_end() {
    let mut bench = Bench::with_token(token(100_000), &["db"]);
    for generation in 0..50 {
        let began = bench.now;
        bench.fetch("db", &lease(&format!("lease/{generation}"), 60));
        bench.sleeps(if generation == 0 { 12.0..42.0 } else { 33.0..42.0 });
        bench.begin(&Step::RenewLease(lookup("db")));
        let left = (began + secs(60)).since(bench.now);
        bench.planner.lease_renewed(&lookup("db"), secs(left.as_secs()), bench.now);
        if matches!(bench.next(), Step::Wait(_)) {
            bench.sleep();
        }
        let left = (began + secs(60)).since(bench.now);
        assert!(left >= secs(17), "{left:?} left");
    }
}

#[test]
fn a_lease_renewed_to_nothing_is_replaced_at_once_and_never_faster_than_each_second() {
    let mut bench = Bench::with_token(token(100_000), &["db"]);
    for _ in 0..20 {
        let began = bench.now;
        bench.fetch("db", &lease("lease/1", 1));
        while let Step::Wait(_) = bench.next() {
            bench.sleep();
        }
        if bench.next() == Step::RenewLease(lookup("db")) {
            bench.begin(&Step::RenewLease(lookup("db")));
            bench.planner.lease_renewed(&lookup("db"), secs(0), bench.now);
            bench.sleep();
        }
        assert_eq!(bench.now.since(began), secs(1));
    }
}

#[test]
fn a_lease_that_somebody_revoked_is_replaced_at_once() {
    let mut bench = Bench::with_token(token(100_000), &["db"]);
    bench.fetch("db", &lease("lease/1", 600));
    bench.sleep();
    bench.begin(&Step::RenewLease(lookup("db")));
    bench.planner.lease_renew_failed(&lookup("db"), &FailureKind::Missing.into(), bench.now);
    assert_eq!(bench.state("db"), State::Ended);
    bench.fetch("db", &lease("lease/2", 600));
    assert_eq!(bench.planner.lease_id(&lookup("db")), Some("lease/2"));
}

#[test]
fn a_renewal_that_hangs_does_not_keep_the_replacement_waiting() {
    let mut bench = Bench::with_token(token(100_000), &["db"]);
    bench.fetch("db", &lease("lease/1", 60));
    bench.sleep();
    bench.begin(&Step::RenewLease(lookup("db")));
    bench.sleep();
    assert_eq!(bench.now, at(1048), "a fifth is left");
    bench.fetch("db", &lease("lease/2", 60));
    // The answer is to the lease before.
    bench.planner.lease_renewed(&lookup("db"), secs(10), bench.now);
    bench.sleeps(33.0..42.0);
}

#[test]
fn what_cannot_be_replaced_is_renewed_instead() {
    let mut bench = Bench::with_token(token(100_000), &["db"]);
    bench.fetch("db", &lease("lease/1", 600));
    bench.sleep();
    bench.begin(&Step::RenewLease(lookup("db")));
    bench.planner.lease_renew_failed(&lookup("db"), &FailureKind::Other.into(), bench.now);
    bench.fetch_fails("db", FailureKind::Other);
    assert_eq!(bench.state("db"), State::Failing);
    bench.sleep();
    bench.begin(&Step::RenewLease(lookup("db")));
    bench.planner.lease_renewed(&lookup("db"), secs(600), bench.now);
    assert_eq!(bench.state("db"), State::Fresh);
    // Other agents may have seen the same failure: they part.
    bench.sleeps(120.0..420.0);
}

#[test]
fn a_configured_threshold_is_for_what_cannot_be_renewed() {
    let mut bench = Bench::new(Policy { renewal_threshold: Some(0.9), ..Policy::default() }, &["db"]);
    bench.begin(&Step::LogIn);
    bench.planner.logged_in(&token(100_000), bench.now);
    bench.fetch("db", &LeaseTerms::Lease { id: "lease/1".to_owned(), ttl: secs(1000), renewable: false });
    bench.sleeps(855.0..900.0);
    bench.fetch("db", &lease("lease/2", 1000));
    bench.sleeps(550.0..700.0);
}

#[test]
fn secrets_without_a_lease_are_read_again_at_the_jittered_interval() {
    let cases = [
        (None, 255.0..300.0),
        (Some(100), 85.0..100.0),
        (Some(2_764_800), 255.0..300.0),
        (Some(1), 1.0..1.1),
        (Some(0), 255.0..300.0),
    ];
    for (hint, range) in cases {
        let terms = LeaseTerms::Static { hint: hint.map(secs) };
        let mut bench = Bench::with_token(token(1_000_000), &["kv"]);
        bench.fetch("kv", &terms);
        bench.sleep();
        for _ in 0..20 {
            bench.fetch("kv", &terms);
            bench.sleeps(range.clone());
        }
    }
}

#[test]
fn looks_for_a_rotated_password_after_its_time_and_quickly_while_it_is_due() {
    let mut bench = Bench::with_token(token(1_000_000), &["static"]);
    let rotating = |ttl| LeaseTerms::Rotating { ttl: secs(ttl) };
    bench.fetch("static", &rotating(100));
    bench.sleeps(101.0..101.6);
    for _ in 0..8 {
        bench.fetch("static", &rotating(0));
        bench.sleeps(1.0..1.6);
    }
    let mut last = 0.0;
    for _ in 0..20 {
        bench.fetch("static", &rotating(0));
        last = bench.sleep();
    }
    assert!((20.0..=30.0).contains(&last), "{last}");
    bench.fetch("static", &rotating(86_400));
    bench.sleeps(255.0..300.0);
}

#[test]
fn a_certificate_is_replaced_within_its_life_and_a_dead_one_not_asked_for_ever_faster() {
    let mut bench = Bench::with_token(token(10_000_000), &["pki"]);
    let expiring = |ttl| LeaseTerms::Expiring { ttl: secs(ttl) };
    bench.fetch("pki", &expiring(10_000));
    bench.sleeps(2000.0..7000.0);
    bench.fetch("pki", &expiring(10_000));
    bench.sleeps(5500.0..7000.0);
    for _ in 0..20 {
        bench.fetch("pki", &expiring(0));
        bench.sleep();
    }
    bench.fetch("pki", &expiring(0));
    bench.sleeps(20.0..30.1);
}

#[test]
fn failures_of_one_secret_grow_its_own_wait_only() {
    let mut bench = Bench::with_token(token(1_000_000), &["bad"]);
    for expected in [5.0..7.6, 10.0..15.1, 20.0..30.1, 40.0..60.1, 80.0..120.1] {
        bench.fetch_fails("bad", FailureKind::Denied);
        bench.sleeps(expected);
    }
    bench.planner.want(&BTreeSet::from([lookup("bad"), lookup("good")]));
    bench.fetch("good", &KV);
    bench.fetch_fails("bad", FailureKind::Denied);
    assert_eq!((bench.state("bad"), bench.state("good")), (State::Pending, State::Fresh));
}

#[test]
fn what_fails_takes_half_of_the_places_at_most() {
    let bad = ["bad/1", "bad/2", "bad/3"];
    let mut bench = Bench::with_token(token(1_000_000), &bad);
    bad.iter().for_each(|name| bench.fetch_fails(name, FailureKind::Other));
    bench.now = at(1010);
    bench.begin(&Step::Fetch(lookup("bad/1")));
    bench.begin(&Step::Fetch(lookup("bad/2")));
    assert!(matches!(bench.next(), Step::Wait(_)), "the third waits while two of them hang");
    bench.planner.want(&["bad/1", "bad/2", "bad/3", "good"].map(lookup).into());
    bench.fetch("good", &KV);
}

#[test]
fn a_limit_holds_the_others_back_but_nothing_that_is_about_to_end() {
    let mut bench = Bench::with_token(token(1_000_000), &["a", "b", "db"]);
    bench.begin(&Step::Fetch(lookup("a")));
    bench.begin(&Step::Fetch(lookup("b")));
    bench.fetch("db", &LeaseTerms::Lease { id: "lease/1".to_owned(), ttl: secs(20), renewable: false });
    bench.planner.fetch_failed(&lookup("a"), &limited(50), bench.now);
    bench.planner.fetch_failed(&lookup("b"), &FailureKind::Other.into(), bench.now);
    assert!(bench.planner.session(bench.now).held_until.unwrap() >= at(1050));
    bench.sleep();
    assert_eq!(bench.now, at(1016), "a fifth is left");
    bench.fetch("db", &lease("lease/2", 20_000));
    bench.sleep();
    assert!(bench.now >= at(1050));
}

#[test]
fn an_unreachable_server_holds_everything_back_until_it_answers() {
    let mut bench = Bench::with_token(token(1_000_000), &["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        bench.begin(&Step::Fetch(lookup(name)));
    }
    bench.planner.fetch_failed(&lookup("a"), &FailureKind::Unreachable.into(), bench.now);
    assert!(bench.planner.session(bench.now).held_until.is_some());
    bench.planner.fetched(&lookup("b"), &KV, bench.now);
    assert_eq!(bench.planner.session(bench.now).held_until, None);
}

#[test]
fn resumes_without_login_or_lease_and_asks_again_what_was_in_flight() {
    let mut bench = Bench::with_token(token(3600), &["db", "kv"]);
    bench.fetch("db", &lease("lease/1", 600));
    bench.begin(&Step::Fetch(lookup("kv")));
    let json = serde_json::to_string(&bench.planner).unwrap();
    bench.planner = serde_json::from_str(&json).unwrap();
    bench.now = at(1002);
    assert_eq!(bench.planner.lease_id(&lookup("db")), Some("lease/1"));
    bench.fetch("kv", &KV);
    assert!(matches!(bench.next(), Step::Wait(Some(_))));
}

#[test]
fn forgets_what_is_no_longer_wanted() {
    let mut bench = Bench::with_token(token(3600), &["a", "b"]);
    bench.begin(&Step::Fetch(lookup("a")));
    bench.planner.want(&BTreeSet::from([lookup("b")]));
    bench.planner.fetched(&lookup("a"), &KV, bench.now);
    bench.fetch("b", &KV);
    assert_eq!(bench.planner.report(bench.now).len(), 1);
}

#[test]
fn absurd_numbers_do_no_harm() {
    let policy = Policy {
        static_interval: Duration::MAX,
        renewal_threshold: Some(f64::NAN),
        login_backoff: (Duration::MAX, Duration::ZERO),
        ..Policy::default()
    };
    let mut bench = Bench::new(policy, &["db", "kv", "rot"]);
    bench.begin(&Step::LogIn);
    bench.planner.login_failed(&Failure { kind: FailureKind::Limited, retry_after: Some(Duration::MAX) }, bench.now);
    bench.sleep();
    assert!(bench.now <= at(1000 + 3961));
    bench.begin(&Step::LogIn);
    bench.planner.logged_in(&TokenTerms { ttl: Duration::MAX, ..TokenTerms::default() }, bench.now);
    bench.fetch("db", &LeaseTerms::Lease { id: "x".to_owned(), ttl: Duration::MAX, renewable: false });
    bench.fetch("kv", &LeaseTerms::Static { hint: Some(Duration::MAX) });
    bench.fetch("rot", &LeaseTerms::Rotating { ttl: Duration::MAX });
    assert!(bench.sleep() > 1e6);
}
