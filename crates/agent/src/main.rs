//! `sidekey-agent`.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let exit = sidekey_agent::command::run(std::env::args().skip(1), &mut std::io::stdout().lock())?;
    Ok(exit.into())
}
