//! Simulated days: the planner against a small Vault with maximums, outages and a clock that leaps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub, reason = "tests")]

mod agent;
mod vault;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use sidekey_core::Lookup;
use sidekey_core::planner::{Failure, FailureKind, Policy, Step, Time};

use crate::agent::{Book, Jump, World, excused, gaps, run};
use crate::vault::{Engine, Fault, Outage, Role, Vault};

const START: u64 = 1_000_000_000;
const DAY: u64 = 24 * 3600;

fn after(seconds: u64) -> Time {
    Time::from_millis(START + seconds * 1000)
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn roles() -> impl Strategy<Value = Role> {
    let base =
        |ttl, max_ttl, periodic, batch| Role { ttl: secs(ttl), max_ttl: secs(max_ttl), periodic, batch, uses: None };
    prop_oneof![
        (60..7200_u64).prop_map(move |ttl| base(ttl, 0, true, false)),
        (60..7200_u64, 1..24_u64).prop_map(move |(ttl, times)| base(ttl, ttl * times, false, false)),
        (60..7200_u64).prop_map(move |ttl| base(ttl, ttl, false, false)),
        (60..7200_u64).prop_map(move |ttl| base(ttl, ttl, false, true)),
        Just(base(0, 0, false, false)),
    ]
}

fn engines() -> impl Strategy<Value = Engine> {
    prop_oneof![
        (0..4000_u64).prop_map(|hint| Engine::Kv { hint: if hint < 2000 { 0 } else { hint } }),
        (60..7200_u64, 1..5_u64, any::<bool>()).prop_map(|(ttl, times, renewable)| Engine::Database {
            ttl: secs(ttl),
            max_ttl: secs(ttl * times + (times - 1) * 7),
            renewable,
        }),
        (60..90_000_u64).prop_map(|period| Engine::StaticRole { period: secs(period) }),
        (300..90_000_u64).prop_map(|ttl| Engine::Pki { ttl: secs(ttl) }),
    ]
}

fn failures() -> impl Strategy<Value = Failure> {
    prop_oneof![
        Just(FailureKind::Unreachable.into()),
        Just(FailureKind::Stale.into()),
        Just(FailureKind::Other.into()),
        (0..60_u64).prop_map(|wait| Failure { kind: FailureKind::Limited, retry_after: Some(secs(wait)) }),
    ]
}

fn outages() -> impl Strategy<Value = Vec<Outage>> {
    let one = (100..DAY, 1..10_000_u64, failures()).prop_map(|(from, lasts, failure)| Outage {
        from: after(from),
        to: after(from + lasts),
        failure,
    });
    prop::collection::vec(one, 0..3)
}

fn worlds(days: u64) -> impl Strategy<Value = World> {
    let slow = (3..50_u64, 20..2000_u64).prop_map(|(nth, millis)| (nth, Duration::from_millis(millis)));
    (roles(), prop::collection::vec(engines(), 1..5), outages(), any::<u64>(), slow).prop_map(
        move |(role, engines, outages, seed, slow)| {
            let named = engines.into_iter().enumerate().map(|(i, engine)| (Lookup::read(&format!("s/{i}")), engine));
            World {
                policy: Policy::default(),
                vault: Vault::new(role, named.collect::<BTreeMap<_, _>>(), outages),
                seed,
                slow,
                suspends: Vec::new(),
                jumps: Vec::new(),
                kills: Vec::new(),
                begin: after(0),
                end: after(days * DAY),
            }
        },
    )
}

/// After an outage the longest back-off runs out: 60 s, or the login's 300 s where a person had to mend something.
const GRACE: Duration = secs(310);

/// Two steps of one kind for one thing lie a second apart (unless the clock went back between them), and nothing is asked for more often than its life, or the
/// slowest back-off, explains.
fn assert_no_hot_loop(book: &Book, vault: &Vault, clock_went_back: usize) {
    let lives = vault.engines.values().map(|engine| match engine {
        Engine::Database { ttl, .. } | Engine::Pki { ttl } => *ttl,
        Engine::StaticRole { period } => *period / 8,
        Engine::Kv { .. } => secs(300),
    });
    let role = if vault.role.ttl.is_zero() { secs(3600) } else { vault.role.ttl };
    let shortest = lives.chain([role]).min().unwrap_or_default().as_secs().max(2);
    let bound = usize::try_from(3 * 3600 / shortest + 150).unwrap();
    for (step, times) in &book.by_step() {
        let close = times.windows(2).filter(|pair| pair[1].since(pair[0]) < secs(1)).count();
        assert!(close <= clock_went_back, "{step}: {close} times twice within a second");
        let most = busiest_hour(times);
        assert!(most <= bound, "{step}: {most} within an hour, more than {bound}");
    }
}

fn busiest_hour(times: &[Time]) -> usize {
    let within = |index: usize| times[index..].iter().take_while(|at| at.since(times[index]) < secs(3600)).count();
    (0..times.len()).map(within).max().unwrap_or_default()
}

fn moments(days: u64) -> impl Strategy<Value = Vec<Time>> {
    prop::collection::vec((10..days * DAY * 1000).prop_map(|millis| Time::from_millis(START + millis)), 0..12)
}

fn is_login(step: &Step) -> bool {
    *step == Step::LogIn
}

fn all_failures() -> impl Strategy<Value = Failure> {
    let kinds = [
        FailureKind::Unreachable,
        FailureKind::Denied,
        FailureKind::TokenDead,
        FailureKind::Limited,
        FailureKind::Stale,
        FailureKind::Missing,
        FailureKind::Other,
    ];
    let asked = prop_oneof![3 => Just(None), 1 => (0..7200_u64).prop_map(|wait| Some(secs(wait)))];
    (prop::sample::select(kinds.to_vec()), asked).prop_map(|(kind, retry_after)| Failure { kind, retry_after })
}

/// Simulated days are long: an eighth of the usual cases (`PROPTEST_CASES` of the environment still sets them).
fn days_config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 8, max_shrink_iters: 200, failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(days_config())]

    #[test]
    fn never_holds_anything_past_its_end_while_the_server_answers(world in worlds(2)) {
        let (outages, end) = (world.vault.outages.clone(), world.end);
        let (book, vault, _) = run(world);
        for gap in gaps(&book, &vault, end) {
            prop_assert!(excused(&gap, &outages, GRACE), "{gap:?}");
        }
        prop_assert_eq!(&book.cut_off, &Vec::<String>::new(), "revoked a token with living leases");
        assert_no_hot_loop(&book, &vault, 0);
    }

    #[test]
    fn survives_suspends_and_kills_without_a_gap_of_its_own(
        world in worlds(2),
        kills in moments(2),
        sleeps in prop::collection::vec((100..2 * DAY, 1..40_000_u64), 0..3),
    ) {
        let sleeps: Vec<(Time, Time)> = sleeps.into_iter().map(|(from, lasts)| (after(from), after(from + lasts))).collect();
        let mut excuses = world.vault.outages.clone();
        excuses.extend(sleeps.iter().map(|(from, to)| Outage { from: *from, to: *to, failure: FailureKind::Other.into() }));
        let end = world.end;
        let (book, vault, _) = run(World { kills, suspends: sleeps, ..world });
        for gap in gaps(&book, &vault, end) {
            prop_assert!(excused(&gap, &excuses, GRACE), "{gap:?}");
        }
        prop_assert_eq!(&book.cut_off, &Vec::<String>::new(), "revoked a token with living leases");
    }

    #[test]
    fn survives_a_clock_that_goes_back(
        world in worlds(1),
        jumps in prop::collection::vec((100..DAY, 2 * DAY..3 * DAY), 1..4),
    ) {
        let mut world = world;
        world.vault.outages.clear();
        world.jumps = jumps.into_iter().map(|(at, back)| Jump { at: after(at), back: secs(back) }).collect();
        let (end, jumps) = (world.end, world.jumps.len());
        let (book, vault, _) = run(world);
        let gaps = gaps(&book, &vault, end);
        prop_assert!(gaps.is_empty(), "{gaps:?}");
        assert_no_hot_loop(&book, &vault, jumps);
        for (lookup, engine) in vault.engines.iter().filter(|(_, engine)| matches!(engine, Engine::Kv { .. })) {
            let times: Vec<Time> = book.fetched.iter().filter(|(_, of)| of == lookup).map(|(at, _)| *at).collect();
            for pair in times.windows(2) {
                prop_assert!(pair[1].since(pair[0]) <= secs(605), "{engine:?} was not read for long at {}", pair[0]);
            }
        }
    }

    #[test]
    fn one_bad_path_costs_no_other_secret_its_life(world in worlds(1), failure in all_failures()) {
        let mut world = world;
        world.vault.outages.clear();
        let bad = Lookup::read("bad");
        let token_dead = failure.kind == FailureKind::TokenDead;
        world.vault.engines.insert(bad.clone(), Engine::Kv { hint: 0 });
        world.vault.faults = vec![Fault::Fetch(bad.clone(), failure)];
        let end = world.end;
        let (book, vault, _) = run(world);
        // A token said to be dead takes its leases along; the successor comes at the pace of logins.
        let gaps = gaps(&book, &vault, end);
        prop_assert!(token_dead || gaps.iter().all(|gap| gap.lookup == bad), "{gaps:?}");
        let most = busiest_hour(&book.by_step()[&format!("{:?}", Step::Fetch(bad))]);
        prop_assert!(most <= 120, "{most} requests of the bad path within an hour");
    }

    #[test]
    fn bounds_its_requests_under_every_permanent_fault(world in worlds(1), failure in all_failures(), which in 0..4) {
        let mut world = world;
        world.vault.outages.clear();
        world.vault.faults = vec![match which {
            0 => Fault::LogIn(failure),
            1 => Fault::RenewToken(failure),
            2 => Fault::RenewLease(failure),
            _ => Fault::RenewTo(failure.retry_after.unwrap_or_default().as_secs() / 1000),
        }];
        let (book, vault, _) = run(world);
        assert_no_hot_loop(&book, &vault, 0);
    }

    #[test]
    fn policies_that_deny_renewals_cost_no_gap(world in worlds(1)) {
        let mut world = world;
        world.vault.outages.clear();
        let denied = FailureKind::Denied.into();
        world.vault.faults = vec![Fault::RenewToken(denied), Fault::RenewLease(denied)];
        let end = world.end;
        let (book, vault, _) = run(world);
        let gaps = gaps(&book, &vault, end);
        prop_assert!(gaps.is_empty(), "{gaps:?}");
        assert_no_hot_loop(&book, &vault, 0);
    }

    #[test]
    fn honours_retry_after(world in worlds(1), fault in 0..4, wait in 1..3000_u64) {
        let mut world = world;
        let failure = Failure { kind: FailureKind::Limited, retry_after: Some(secs(wait)) };
        let first = world.vault.engines.keys().next().unwrap().clone();
        world.vault.faults = match fault {
            0 => vec![Fault::LogIn(failure)],
            1 => vec![Fault::RenewToken(failure)],
            2 => vec![Fault::RenewLease(failure)],
            _ => vec![Fault::Fetch(first, failure)],
        };
        let (book, ..) = run(world);
        for (at, step, failure) in &book.failed {
            let asked = failure.retry_after.unwrap_or_default();
            let again = book.started.iter().find(|(start, again)| start >= at && again == step);
            prop_assert!(again.is_none_or(|(start, _)| start.since(*at) >= asked), "{step:?} at {at}, again {again:?}");
        }
    }

    #[test]
    fn a_restart_with_nothing_in_flight_changes_nothing(world in worlds(1), kills in moments(1)) {
        let (whole, _, planner) = run(world.clone());
        let quiet: Vec<Time> = kills.into_iter().filter(|kill| quiet(&whole, *kill)).collect();
        let (restarted, _, resumed) = run(World { kills: quiet, ..world });
        prop_assert_eq!(whole.started, restarted.started);
        prop_assert_eq!(planner, resumed);
    }
}

/// Nothing was started in the seconds before.
fn quiet(book: &Book, at: Time) -> bool {
    book.started.iter().all(|(start, _)| *start > at || at.since(*start) > secs(3))
}

/// A world without accidents.
fn world(role: Role, engines: &[Engine], seed: u64, days: u64) -> World {
    let named = engines.iter().enumerate().map(|(i, engine)| (Lookup::read(&format!("s/{i}")), *engine)).collect();
    World {
        policy: Policy::default(),
        vault: Vault::new(role, named, Vec::new()),
        seed,
        slow: (7, Duration::from_millis(300)),
        suspends: Vec::new(),
        jumps: Vec::new(),
        kills: Vec::new(),
        begin: after(0),
        end: after(days * DAY),
    }
}

fn periodic(ttl: u64) -> Role {
    Role { ttl: secs(ttl), max_ttl: secs(0), periodic: true, batch: false, uses: None }
}

fn database(ttl: u64, max_ttl: u64) -> Engine {
    Engine::Database { ttl: secs(ttl), max_ttl: secs(max_ttl), renewable: true }
}

#[test]
fn keeps_a_periodic_token_for_ever() {
    let (book, ..) = run(world(periodic(120), &[database(60, 60), database(60, 180), Engine::Kv { hint: 0 }], 1, 10));
    assert_eq!(book.count(is_login), 1);
    assert_eq!(book.count(|step| matches!(step, Step::RevokeToken(_))), 0);
}

#[test]
fn replaces_what_cannot_be_extended_with_a_third_of_its_life_left() {
    for (ttl, max_ttl) in [(60, 60), (60, 180), (3600, 3600), (3600, 24 * 3600)] {
        let (book, vault, _) = run(world(periodic(120), &[database(ttl, max_ttl)], 7, 3));
        for (index, pair) in book.published.windows(2).enumerate() {
            let left = vault.leases[&pair[0].2].end.since(pair[1].0).as_secs_f64() / secs(ttl).as_secs_f64();
            // The very first may go early, so that agents that start together part.
            let most = if index == 0 { 0.82 } else { 0.47 };
            assert!((0.28..most).contains(&left), "{left} of {ttl} s was left");
        }
        // And no lease is given up before its maximum lets it.
        let rotations = u64::try_from(book.published.len()).unwrap();
        let fewest = 3 * DAY / max_ttl;
        let most = 3 * DAY / (max_ttl - ttl * 46 / 100) + 2;
        assert!((fewest..=most).contains(&rotations), "{rotations} rotations of {ttl}/{max_ttl}");
    }
}

#[test]
fn foresees_the_end_of_the_token_and_of_its_leases() {
    let role = Role { max_ttl: secs(3 * 3600), periodic: false, ..periodic(3600) };
    let (book, vault, _) = run(world(role, &[database(7200, 100_000), Engine::Kv { hint: 0 }], 3, 3));
    assert!(book.count(is_login) > 3 * 24 / 3, "a login before each maximum");
    for (at, step) in book.started.iter().filter(|(_, step)| is_login(step)).skip(1) {
        let token = vault.tokens.values().rev().find(|token| token.since < *at).unwrap();
        let left = token.end.since(*at);
        assert!((1000..2900).contains(&left.as_secs()), "{step:?} with {left:?} left");
    }
    for pair in book.published.windows(2) {
        let left = vault.dies(&pair[0].2).since(pair[1].0);
        assert!(left > secs(700), "issued again with {left:?} left");
    }
}

#[test]
fn leaves_a_token_of_few_uses_before_it_is_used_up() {
    let role = Role { uses: Some(5), ..periodic(3600) };
    let (book, vault, _) = run(world(role, &[database(1800, 1800), Engine::Kv { hint: 0 }], 3, 1));
    assert!(vault.tokens.values().all(|token| token.uses != Some(0)), "a token was used up");
    assert_eq!(gaps(&book, &vault, after(DAY)).len(), 0);
    assert!(book.count(is_login) < 500);
}

#[test]
fn revokes_a_superseded_token_once_its_leases_are_over() {
    let role = Role { max_ttl: secs(7200), periodic: false, ..periodic(3600) };
    let (book, vault, planner) = run(world(role, &[database(60, 60), Engine::Kv { hint: 0 }], 5, 2));
    let (logins, revocations) = (book.count(is_login), book.count(|step| matches!(step, Step::RevokeToken(_))));
    assert!(logins > 20 && revocations + 2 >= logins, "{logins} logins, {revocations} revocations");
    assert_eq!(book.cut_off, Vec::<String>::new());
    let needed = planner.tokens(after(2 * DAY));
    let forgotten =
        vault.tokens.iter().filter(|(id, token)| token.end > after(2 * DAY) && !needed.contains(id)).count();
    assert_eq!(forgotten, 0, "tokens left alive");
}

#[test]
fn a_thousand_agents_do_not_act_in_step() {
    let starts: Vec<Vec<Time>> = (0..1000_u64)
        .map(|seed| {
            let mut world = world(periodic(3600), &[Engine::Kv { hint: 0 }, database(600, 600)], seed * 7919, 1);
            world.end = after(4 * 3600);
            run(world).0.started.into_iter().map(|(at, _)| at).collect()
        })
        .collect();
    // In the fourth hour: peak over mean of requests per half minute.
    let mut buckets = vec![0_u32; 4 * 120];
    for at in starts.iter().flatten() {
        let bucket = usize::try_from(at.since(after(0)).as_secs() / 30).unwrap();
        if let Some(count) = buckets.get_mut(bucket) {
            *count += 1;
        }
    }
    let settled = &buckets[3 * 120..];
    let mean = f64::from(settled.iter().sum::<u32>()) / 120.0;
    let peak = f64::from(*settled.iter().max().unwrap());
    assert!(peak / mean < 1.5, "peak {peak}, mean {mean}");
}
