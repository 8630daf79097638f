//! A run of faults over the real agent, drawn by a seed: `make chaos`, and a short form of it among the tests.
//!
//! `seed → deck of faults → strike → recover → what must hold → report`; then `steps`: a kill before each system call that
//! changes anything. `docs/testing.md` lists the faults and what must hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

mod absence;
mod beside;
mod clock;
mod dice;
mod fault;
mod front;
mod ledger;
mod notice;
mod pod;
mod process;
mod program;
mod read;
mod run;
mod server;
mod steps;
mod strike;
mod tracer;
mod watch;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::time::Instant;

use fault::Deck;
use program::Program;
use run::Run;
use watch::Wrong;

/// The short form's.
const SEED: u64 = 20_260_501;
const FAULTS: usize = 45;
const LONGEST: u64 = 12;

/// Says to this program that mounts end with it.
const MOUNTS: &str = "CHAOS_MOUNTS";

fn main() -> ExitCode {
    if process::is_asked_for() {
        return process::run();
    }
    // What cargo's own test runner would be asked: names to run.
    let asked = |name: &String| !name.starts_with('-') && !"chaos".contains(name.as_str());
    if std::env::args().skip(1).any(|word| asked(&word) || word == "--list") {
        return ExitCode::SUCCESS;
    }
    if let Some(code) = with_own_mounts() {
        return code;
    }
    sidekey_runtime::provider::install();
    let number =
        |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap());
    let faults = number("FAULTS").map_or(FAULTS, |count| usize::try_from(count).unwrap());
    let seed = number("SEED").unwrap_or(SEED);
    let mounts = std::env::var_os(MOUNTS).is_some();
    let only = std::env::var("ONLY").unwrap_or_default();
    let only: Vec<&str> = only.split(',').filter(|name| !name.is_empty()).collect();
    // Who asks for certain faults looks for something.
    let done = if only.is_empty() {
        notices(mounts).and_then(|()| weather(seed, faults, mounts, &only)).and_then(|()| steps(seed, faults))
    } else {
        weather(seed, faults, mounts, &only)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("chaos: FAILED: {what}\nchaos: again with SEED={seed} FAULTS={faults}");
            ExitCode::FAILURE
        }
    }
}

/// Runs this program in a mount namespace of its own, where small volumes can be mounted and end with it.
fn with_own_mounts() -> Option<ExitCode> {
    if std::env::var_os(MOUNTS).is_some() {
        return None;
    }
    for words in [&["--mount", "--propagation", "private"][..], &["--map-root-user", "--mount"]] {
        let can = Command::new("unshare").args(words).args(["mount", "-t", "tmpfs", "probe", "/mnt"]).output();
        if can.is_ok_and(|done| done.status.success()) {
            let me = std::env::current_exe().unwrap();
            let status = Command::new("unshare").args(words).arg(me).env(MOUNTS, "own").status().unwrap();
            return Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    None
}

/// The harness first: each thing that must hold is broken on purpose, and has to be noticed.
fn notices(mounts: bool) -> Result<(), Wrong> {
    let begun = Instant::now();
    let noticed = notice::all(mounts)?;
    println!("chaos: noticed {noticed} things broken on purpose, in {} s", begun.elapsed().as_secs());
    Ok(())
}

fn weather(seed: u64, faults: usize, mounts: bool, only: &[&str]) -> Result<(), Wrong> {
    let begun = Instant::now();
    println!("chaos: seed {seed}, {faults} faults");
    let mut run = Run::new(seed, mounts);
    if faults <= FAULTS {
        run.longest = LONGEST;
    }
    run.program = Some(Program::start(&run.pod));
    run.start_agent();
    let mut deck = Deck::new(run.pod.mounted, only);
    let told = drive(&mut run, &mut deck, faults);
    let wrong = told.err().map(|what| {
        let said = run.said.lock().unwrap();
        let said = said.around(said.lines);
        format!("{said}{}in {}: {what}; {:?}", run.plan(), run.scene, run.status().map(|status| status.line()))
    });
    report(&run, &deck, begun);
    wrong.map_or(Ok(()), Err)
}

/// All steps in a long run, some of them in a short one.
fn steps(seed: u64, faults: usize) -> Result<(), Wrong> {
    let stride = if faults > FAULTS { 1 } else { 48 };
    let (tally, took) = steps::timed(stride, usize::try_from(seed % 1_000).unwrap())?;
    println!(
        "chaos: killed before {} calls of a start and {} of a change, each followed by a second agent, in {} s; {} leases lost",
        tally.starts,
        tally.changes,
        took.as_secs(),
        tally.lost
    );
    Ok(())
}

fn drive(run: &mut Run, deck: &mut Deck, faults: usize) -> Result<(), Wrong> {
    "the start".clone_into(&mut run.scene);
    run.recover(60)?;
    let mut met = 0;
    while met < faults {
        let kind = deck.draw(&mut run.dice);
        run.scene = kind.name();
        run.late = met * 2 > faults;
        let began = Instant::now();
        let counts = if run.strike(kind)? { &mut run.met } else { &mut run.unmet };
        *counts.entry(kind.name()).or_default() += 1;
        met = run.met.values().sum();
        *run.took.entry(kind.name()).or_default() += began.elapsed();
    }
    run.finish()
}

fn report(run: &Run, deck: &Deck, begun: Instant) {
    let list = |counts: &BTreeMap<String, usize>| {
        let named: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        named.join(", ")
    };
    println!("chaos: {} faults met: {}", run.met.values().sum::<usize>(), list(&run.met));
    println!("chaos: that nothing met, and so not counted: {}", list(&run.unmet));
    if !deck.missing().is_empty() {
        println!("chaos: NOT RUN, not asked for or no file system can be mounted here: {}", deck.missing().join(", "));
    }
    let mut took: Vec<_> = run.took.iter().collect();
    took.sort_by_key(|(_, time)| std::cmp::Reverse(**time));
    let took: Vec<String> = took.iter().take(8).map(|(name, time)| format!("{name} {} s", time.as_secs())).collect();
    println!("chaos: what took longest: {}", took.join(", "));
    let (tally, ledger, simulated) = (&run.watch.tally, &run.watch.ledger, run.now().as_secs());
    println!(
        "chaos: {simulated} s of the pod's life in {} s, {} of them with answers held up on purpose or not waited for",
        begun.elapsed().as_secs(),
        tally.unsettled
    );
    let (reads, lines) = (run.reader.reads(), run.said.lock().unwrap().lines);
    let checks = [
        format!("sets read whole and of one version: {reads} by the reader, {} looks besides", tally.looks),
        format!("credentials tried at the server: {}", tally.credentials),
        format!("values found fresh: {}", tally.values),
        format!("recoveries in time: {}, each with an answer through the agent's own port", tally.recoveries),
        format!("changes of a set: {}, and times that the app was told: {}", run.watch.changes, run.beside.calls()),
        format!("certificates in files: {}", run.watch.certificates),
        format!(
            "leases accounted for: {}, of which {} were lost to {} kills and {} to faults",
            ledger.count(),
            ledger.lost_to_kill,
            run.kills,
            ledger.lost_to_fault
        ),
        format!("restarts with nothing due that cost nothing: {}", run.resumed),
        format!(
            "minutes counted: {}, with {} requests in the busiest of {} allowed ({} in all, {} logins)",
            tally.looks,
            tally.most_a_minute,
            watch::MOST_A_MINUTE,
            tally.requests,
            run.watch.logins
        ),
        format!("lines at trace without a secret or a panic: {lines}, and {} times status and termination", tally.told),
        format!(
            "memory weighed: {} times, {} KiB at most in the first half, {} KiB in the second",
            tally.weighed,
            tally.memory_early / 1024,
            tally.memory_late / 1024
        ),
    ];
    checks.iter().for_each(|check| println!("chaos:   {check}"));
}
