//! `sample pod -> webhook (TLS) -> patch -> kubelet's part -> agent -> files`: the main job on one machine, each step shown.
//!
//! What runs here is what runs in a cluster: the webhook's server answers a real `AdmissionReview`, and the real
//! `sidekey-agent` program is started with exactly the environment of the patched container, after the kubelet's expansion
//! of `$(NAME)`. Vault is `sidekey-fakevault`, over TLS on loopback; its values are made up.
//!
//! # How the agent gets its paths without root
//!
//! The patch speaks of `/secrets`, `/sidekey/state` and `/var/run/secrets/…`, which only a container has. So the agent gets
//! a root directory of its own, like a container's: a temporary directory that holds the program, the libraries it was linked
//! with, and a directory per volume mount. It is entered with what the machine allows, tried in this order:
//!
//! 1. a user namespace (`unshare --user --root`): no privileges at all, with the very uid that the patch asks for; what a
//!    plain Debian account has;
//! 2. `chroot`, for root in a container whose seccomp profile forbids namespaces;
//! 3. neither: the paths in the environment get the temporary directory as a prefix, and the demo says that it did so.
//!
//! Nothing in the agent knows of any of this.

mod admission;
mod args;
mod credential;
mod describe;
mod failure;
mod kubelet;
mod process;
mod rootfs;
mod rotation;
mod running;
mod sample;
mod screen;
mod story;
mod world;

use std::process::ExitCode;

use anyhow::Context as _;

use crate::args::{Args, Parsed};

fn main() -> anyhow::Result<ExitCode> {
    let args = match args::parse(std::env::args().skip(1)) {
        Parsed::Run(args) => args,
        Parsed::Print(text, code) => {
            use std::io::Write as _;
            std::io::stdout().write_all(text.as_bytes())?;
            return Ok(ExitCode::from(code));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(run(args))
}

async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let agent = args.agent()?;
    let mut screen = screen::Screen::stdout(args.json);
    let held = story::tell(&agent, &mut screen).await?;
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
