//! The agent's, the webhook's and the operator's figures on this machine, in one run, beside what they are compared to.
//!
//! `server up → n starts of each agent, in turn → memory when idle → sizes → webhook's own bench → operator → table, alarms, page`
//!
//! Nothing leaves loopback. `e2e/bench.sh` builds what is measured and starts this; `bench agent` stops after the agent, `bench operator` measures that alone.
#![allow(clippy::panic, clippy::print_stdout, reason = "a bench prints")]

mod agent;
mod endurance;
mod figure;
mod kubernetes;
mod operator;
mod process;
mod review;
mod server;
mod webhook;

use std::env;
use std::process::ExitCode;

use figure::{Budget, Figure, Table};

fn main() -> ExitCode {
    let mut table = Table::default();
    let only = env::args().nth(1).or_else(|| env::var("ONLY").ok()).unwrap_or_default();
    let mut well = true;
    if only != "operator" {
        agent::measure(&mut table);
        if only == "agent" {
            print!("{}", table.text());
            return ExitCode::SUCCESS;
        }
        well &= told(&mut table, "webhook", webhook::measure);
    }
    // An API server is no part of every machine: without one the table says so, and the rest counts.
    let measured = told(&mut table, "operator", operator::measure);
    well &= measured || env::var_os("BENCH_API").is_none();
    print!("{}", table.text());
    let update = env::var_os("UPDATE").is_some();
    table.compare("e2e/bench.baseline.json", update);
    if update && only.is_empty() {
        table.write("docs/benchmarks.md");
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures a part; a note in the place of figures that could not be had.
fn told(table: &mut Table, what: &str, measure: impl Fn(&mut Table) -> Result<(), String>) -> bool {
    let done = measure(table);
    if let Err(error) = &done {
        table.note(format!("{what}: NOT MEASURED: {error}"));
    }
    done.is_ok()
}

/// `3.9 MB` and the like are decimal: megabytes, as container tools print them.
fn megabytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
    let bytes = bytes as f64;
    bytes / 1e6
}

/// The size of a file in megabytes.
fn file_size(path: &str) -> Option<f64> {
    std::fs::metadata(path).ok().map(|it| megabytes(it.len()))
}

/// A figure without anything beside it.
fn alone(name: impl Into<String>, unit: &'static str, ours: f64, budget: Budget) -> Figure {
    Figure { name: name.into(), unit, ours, theirs: None, budget }
}
