//! The agent's and the webhook's figures on this machine, in one run, beside what they are compared to.
//!
//! `server up → n starts of each agent, in turn → memory when idle → sizes → webhook's own bench → table, alarms, page`
//!
//! Nothing leaves loopback. `e2e/bench.sh` builds what is measured and starts this; `bench agent` stops after the agent.
#![allow(clippy::panic, clippy::print_stdout, reason = "a bench prints")]

mod agent;
mod figure;
mod process;
mod review;
mod server;
mod webhook;

use std::env;
use std::process::ExitCode;

use figure::{Budget, Figure, Table};

fn main() -> ExitCode {
    let mut table = Table::default();
    agent::measure(&mut table);
    if env::args().nth(1).as_deref() == Some("agent") {
        print!("{}", table.text());
        return ExitCode::SUCCESS;
    }
    let webhook = webhook::measure(&mut table);
    if let Err(error) = &webhook {
        table.note(format!("webhook: NOT MEASURED: {error}"));
    }
    print!("{}", table.text());
    let update = env::var_os("UPDATE").is_some();
    table.compare("e2e/bench.baseline.json", update);
    if update {
        table.write("docs/benchmarks.md");
    }
    if webhook.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
