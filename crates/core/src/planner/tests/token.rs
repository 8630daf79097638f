//! Logins, and the tokens they give.

use super::*;

#[test]
fn failed_logins_wait_as_configured() {
    let policy = Policy { login_backoff: (secs(2), secs(20)), ..Policy::default() };
    let mut bench = Bench::new(policy, &["a"]);
    for expected in [2.0..3.1, 4.0..6.1, 8.0..12.1, 13.0..20.1, 13.0..20.1] {
        bench.begin(&Step::LogIn);
        bench.planner.login_failed(&FailureKind::Denied.into(), bench.now);
        bench.sleeps(expected);
    }
    bench.begin(&Step::LogIn);
    bench.planner.login_failed(&limited(100), bench.now);
    bench.sleeps(100.0..110.1);
}

#[test]
fn a_dead_token_means_one_login_and_its_leases_anew_but_no_other_secret() {
    let mut bench = Bench::with_token(token(1_000_000), &["db", "kv"]);
    bench.fetch("db", &lease("lease/1", 600));
    bench.fetch("kv", &KV);
    bench.now = at(1100);
    let first = bench.planner.token().unwrap();
    bench.planner.token_dead(first, bench.now);
    assert_eq!((bench.state("db"), bench.state("kv")), (State::Ended, State::Fresh));
    assert_eq!(bench.planner.token(), None);
    bench.begin(&Step::LogIn);
    assert_eq!(bench.next(), Step::Wait(None));
    let second = bench.planner.logged_in(&token(1_000_000), bench.now);
    // Old news.
    bench.planner.token_dead(first, bench.now);
    assert_eq!(bench.planner.token(), Some(second));
    bench.fetch("db", &lease("lease/2", 600));
    assert!(matches!(bench.next(), Step::Wait(Some(_))));
    assert_eq!(bench.planner.tokens(bench.now), BTreeSet::from([second]));
}

#[test]
fn tokens_that_die_young_make_logins_wait() {
    let mut bench = Bench::with_token(token(3600), &["kv"]);
    let mut waits = Vec::new();
    for _ in 0..12 {
        bench.fetch_fails("kv", FailureKind::TokenDead);
        waits.push(bench.sleep());
        bench.begin(&Step::LogIn);
        bench.planner.logged_in(&token(3600), bench.now);
        while let Step::Wait(_) = bench.next() {
            bench.sleep();
        }
    }
    assert!(waits[0] < 2.0 && waits[11] >= 200.0, "{waits:?}");
}

#[test]
fn a_token_that_cannot_be_renewed_is_superseded_in_time_and_its_leases_come_anew() {
    let mut bench = Bench::with_token(TokenTerms { batch: true, ..token(600) }, &["db", "kv"]);
    bench.fetch("db", &lease("lease/1", 100_000));
    bench.fetch("kv", &KV);
    let first = bench.planner.token().unwrap();
    assert_eq!(bench.planner.report(bench.now)[0].end, Some(at(1600)), "a lease ends with its token");
    while bench.next() != Step::LogIn {
        match bench.next() {
            Step::Fetch(_) => bench.fetch("kv", &KV),
            _ => assert!(bench.sleep() > 0.0),
        }
    }
    assert!(bench.now <= at(1420), "late: {}", bench.now);
    bench.begin(&Step::LogIn);
    let second = bench.planner.logged_in(&token(600), bench.now);
    while let Step::Wait(_) = bench.next() {
        bench.sleep();
    }
    assert!(bench.now <= at(1500), "late: {}", bench.now);
    bench.fetch("db", &lease("lease/2", 100_000));
    assert_eq!(bench.planner.tokens(bench.now), BTreeSet::from([second]), "a batch token cannot be revoked: {first:?}");
}

#[test]
fn no_lease_is_asked_for_under_a_token_that_ends_sooner() {
    let mut bench = Bench::with_token(token(120), &["db"]);
    let fixed = LeaseTerms::Lease { id: "l".to_owned(), ttl: secs(60), renewable: false };
    let (mut token_end, mut requests) = (bench.now + secs(120), 0);
    while bench.now < at(2000) {
        let step = bench.next();
        if let Step::Wait(until) = step {
            bench.now = until.unwrap_or(at(2000));
            continue;
        }
        requests += 1;
        bench.planner.started(&step, bench.now);
        match step {
            Step::LogIn => {
                bench.planner.logged_in(&token(120), bench.now);
                token_end = bench.now + secs(120);
            }
            Step::RenewToken => bench.planner.token_renew_failed(&FailureKind::Denied.into(), bench.now),
            Step::Fetch(_) => {
                assert!(bench.now + secs(60) <= token_end, "at {}", bench.now);
                bench.planner.fetched(&lookup("db"), &fixed, bench.now);
            }
            Step::RevokeToken(id) => bench.planner.token_revoked(id, bench.now),
            Step::RenewLease(_) | Step::Wait(_) => panic!("{step:?}"),
        }
    }
    assert!((40..100).contains(&requests), "{requests}");
}

#[test]
fn an_answer_that_came_with_the_token_before_is_asked_for_again() {
    let mut bench = Bench::with_token(token(3600), &["db"]);
    bench.begin(&Step::Fetch(lookup("db")));
    bench.planner.token_dead(bench.planner.token().unwrap(), bench.now);
    while let Step::Wait(_) = bench.next() {
        bench.sleep();
    }
    bench.begin(&Step::LogIn);
    bench.planner.logged_in(&token(3600), bench.now);
    bench.planner.fetched(&lookup("db"), &lease("lease/1", 600), bench.now);
    bench.fetch("db", &lease("lease/2", 600));
    assert!(matches!(bench.next(), Step::Wait(Some(_))));
}

#[test]
fn a_superseded_token_is_revoked_after_the_overlap_or_kept_for_the_end_or_forgotten_as_configured() {
    for old_token in [OldToken::Revoke, OldToken::Keep, OldToken::Forget] {
        let mut bench = Bench::new(Policy { old_token, ..Policy::default() }, &[]);
        bench.begin(&Step::LogIn);
        let first = bench.planner.logged_in(&token(600), bench.now);
        bench.sleep();
        bench.begin(&Step::RenewToken);
        bench.planner.token_renewed(secs(300), bench.now);
        bench.sleep();
        bench.begin(&Step::LogIn);
        let second = bench.planner.logged_in(&token(6000), bench.now);
        let (both, one) = (BTreeSet::from([first, second]), BTreeSet::from([second]));
        if old_token == OldToken::Revoke {
            assert_eq!(bench.planner.tokens(bench.now), both);
            bench.sleeps(30.0..30.1);
            bench.begin(&Step::RevokeToken(first));
            bench.planner.token_revoked(first, bench.now);
        }
        assert_eq!(bench.planner.tokens(bench.now), if old_token == OldToken::Keep { both } else { one.clone() });
        bench.sleep();
        assert_eq!(bench.next(), Step::RenewToken, "{old_token:?}");
        assert_eq!(bench.planner.tokens(bench.now), one, "{old_token:?}: no longer than it lives");
    }
}

#[test]
fn a_revocation_that_fails_for_ever_is_given_up() {
    for (kind, most) in
        [(FailureKind::Unreachable, 5), (FailureKind::Other, 5), (FailureKind::Denied, 1), (FailureKind::Missing, 1)]
    {
        let mut bench = Bench::with_token(token(0), &[]);
        let first = bench.planner.token().unwrap();
        bench.planner.logged_in(&token(0), bench.now);
        let mut tries = Vec::new();
        while let Step::Wait(Some(_)) = bench.next() {
            bench.sleep();
            if let step @ Step::RevokeToken(_) = bench.next() {
                tries.push(bench.now);
                bench.begin(&step);
                bench.planner.token_revoke_failed(first, &kind.into(), bench.now);
            }
        }
        assert_eq!((tries.len(), bench.next()), (most, Step::Wait(None)), "{kind:?}");
        let is_left = bench.planner.tokens(bench.now).contains(&first);
        assert_eq!(is_left, most > 1, "{kind:?}: tried once more at the end, if that may help");
        let apart = |pair: &[Time]| pair[1].since(pair[0]);
        assert!(kind != FailureKind::Other || tries.windows(2).all(|pair| apart(pair) == secs(60)), "{tries:?}");
    }
}

#[test]
fn a_revocation_that_is_postponed_costs_no_try_and_comes_again_ever_later_till_the_token_expires() {
    let mut bench = Bench::with_token(token(3600), &[]);
    let first = bench.planner.token().unwrap();
    bench.planner.logged_in(&token(0), bench.now);
    let mut waits = Vec::new();
    while let Step::Wait(Some(_)) = bench.next() {
        waits.push(bench.sleep());
        bench.begin(&Step::RevokeToken(first));
        bench.planner.token_revoke_postponed(first, bench.now);
    }
    assert!(bench.now < at(4600) && bench.now > at(4500), "the token's end is its end: {}", bench.now);
    assert!((100..250).contains(&waits.len()) && waits[1..].iter().all(|wait| *wait >= 1.0), "{waits:?}");
    assert_eq!(bench.next(), Step::Wait(None));
}

#[test]
fn a_login_that_fails_falls_back_to_renewing_the_token_at_hand() {
    let mut bench = Bench::with_token(token(1000), &[]);
    bench.now = at(1810);
    bench.begin(&Step::RenewToken);
    bench.planner.token_renew_failed(&FailureKind::Other.into(), bench.now);
    bench.begin(&Step::LogIn);
    bench.planner.login_failed(&FailureKind::Denied.into(), bench.now);
    bench.sleep();
    bench.begin(&Step::RenewToken);
    bench.planner.token_renewed(secs(1000), bench.now);
    bench.sleeps(550.0..700.0);
}

#[test]
fn an_old_token_is_exchanged_when_a_policy_denies_and_no_lease_suffers() {
    for leased in [false, true] {
        let mut bench = Bench::with_token(token(1_000_000), &["db", "kv"]);
        bench.fetch("db", &if leased { lease("lease/1", 1_000_000) } else { LeaseTerms::Static { hint: None } });
        bench.fetch_fails("kv", FailureKind::Denied);
        bench.now = at(1200);
        while bench.next() != Step::LogIn && bench.now < at(3000) {
            match bench.next() {
                Step::Fetch(of) if of == lookup("kv") => bench.fetch_fails("kv", FailureKind::Denied),
                Step::Fetch(_) => bench.fetch("db", &KV),
                _ => assert!(bench.sleep() > 0.0),
            }
        }
        assert_eq!(bench.now < at(1500), !leased, "{}", bench.now);
    }
}

#[test]
fn a_token_without_an_end_is_left_alone() {
    let bench = Bench::with_token(token(0), &[]);
    assert_eq!(bench.next(), Step::Wait(None));
    assert_eq!(bench.planner.session(bench.now).end, None);
}
