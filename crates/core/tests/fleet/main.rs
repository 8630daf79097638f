//! Ten thousand agents on a simulated clock: how evenly they ask, whatever happens to all of them at once.
//!
//! `UPDATE_GOLDEN=1 cargo test -p sidekey-core --test fleet` writes docs/fleet.md and docs/fleet.svg.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub, reason = "tests")]

#[path = "../planner/agent.rs"]
#[allow(dead_code, reason = "the planner's own tests use the rest")]
mod agent;
mod load;
mod page;
mod pod;
#[path = "../planner/vault.rs"]
#[allow(dead_code, reason = "the planner's own tests use the rest")]
mod vault;

use crate::load::Load;
use crate::page::{chart, page};
use crate::pod::{Day, Pod};

const AGENTS: u64 = 10_000;

/// Storm at the start, a sealed hour, every pod replaced within half an hour.
const DAY: Day = Day { minutes: 8 * 60, sealed: Some((180, 240)), restarts: Some((360, 390)) };

fn fleet(agents: u64, day: Day, bucket: u64, pod: impl Fn(u64) -> Pod) -> Load {
    let mut load = Load::new(day.minutes * 60, bucket);
    (0..agents).for_each(|number| pod(number).live(number, day, &mut load));
    load
}

#[expect(clippy::disallowed_methods, reason = "only the simulation is pure")]
fn golden(file: &str, text: &str) {
    let path = std::path::Path::new("../../docs").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(path, text).unwrap();
    } else {
        let expected = std::fs::read_to_string(path).unwrap();
        assert!(expected == text, "docs/{file} holds other figures; UPDATE_GOLDEN=1 writes these:\n{text}");
    }
}

#[test]
fn ten_thousand_agents_spread_their_requests_whatever_happens() {
    let load = fleet(AGENTS, DAY, 10, Pod::mixed);
    let [start, sealed, recovery, rolling] = [0..10, 185..240, 240..250, 360..390].map(|part| load.part(part));
    let steady = [60..180, 300..360, 450..480].map(|part| load.part(part));
    let mean = steady[0].mean;
    for part in &steady {
        assert!(part.peak <= 1.5 * part.mean, "after a first period: {part:?}");
        assert!((0.9..1.1).contains(&(part.mean / mean)), "something is left of the storm: {part:?}, {mean}");
    }
    let agents = f64::from(u32::try_from(AGENTS).unwrap());
    assert!(start.peak < agents / 20.0, "a start in one minute: {start:?}");
    assert!(sealed.peak < agents / 10.0, "no agent asks a sealed server more than once in ten seconds: {sealed:?}");
    assert!(recovery.peak < agents / 15.0, "the recovery is spread over a minute: {recovery:?}");
    let storm = load.seconds_above(240..480, 1.5 * mean);
    assert!(storm <= 90, "{storm} s of the recovery are above one and a half times the mean");
    assert!(rolling.peak <= 1.5 * rolling.mean, "rolling restarts: {rolling:?}");
    golden("fleet.md", &page(AGENTS, &load));
    golden("fleet.svg", &chart(&load, DAY));
}

/// The worst case of a maximum: all of the fleet began, and so ends, within the same minute.
#[test]
fn what_ends_together_is_replaced_apart() {
    let day = Day { minutes: 6 * 60, sealed: None, restarts: None };
    for pod in [Pod::leases_of_two_hours(), Pod::tokens_of_two_hours()] {
        let load = fleet(2_000, day, 60, |_| pod.clone());
        for (minutes, most) in [(60..360, 1.6), (120..360, 1.5)] {
            let part = load.part(minutes);
            assert!(part.peak <= most * part.mean, "{pod:?}: {part:?}");
        }
    }
}
