//! SIGTERM: what is revoked, what is wiped, how long it may take.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use sidekey_agent::exit::Exit;
use sidekey_fakevault::{Fault, Matcher, Times};
use support::running::Running;
use support::{Bench, exists, is_root};

/// From the signal to the end: a native sidecar is killed soon after the app has gone.
const END: Duration = Duration::from_millis(1_500);

async fn bench(shape: &str, revoke: bool, grace: u32) -> Bench {
    let lifecycle = json!({"lifecycle": {"shape": shape, "revoke": revoke, "revokeGraceSeconds": grace}});
    Bench::new().await.format("db.json", "json", "database/creds/app", json!({})).set(lifecycle)
}

#[tokio::test]
async fn a_native_sidecar_revokes_its_token_and_forgets_it() {
    let bench = bench("native", true, 0).await;
    let agent = bench.start();
    bench.ready().await;
    assert_eq!((bench.fake.tokens().len(), bench.fake.leases().len()), (1, 1));
    assert_eq!(agent.stop().await, Exit::Done);
    assert_eq!((bench.fake.tokens().len(), bench.fake.leases().len()), (0, 0));
    assert_eq!(bench.fake.count("POST", "auth/token/revoke-self"), 1);
    assert!(!exists(&bench.path("state/state")));
}

#[tokio::test]
async fn the_end_is_bounded_when_the_server_does_not_answer() {
    let bench = bench("native", true, 0).await;
    let agent = bench.start();
    bench.ready().await;
    bench.fake.fault(Matcher::any(), Fault::Slow(Duration::from_secs(30)), Times::Always);
    let begun = Instant::now();
    assert_eq!(agent.stop().await, Exit::Done);
    assert!(begun.elapsed() < END, "{:?}", begun.elapsed());
}

fn run(bench: &Bench) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey-agent"));
    command.arg("run").env_clear().envs(bench.config().to_env().unwrap());
    command
}

#[tokio::test]
async fn the_process_is_gone_in_time_too_whatever_does_not_answer() {
    let bench = bench("native", true, 0).await;
    let agent = Running::of(&mut run(&bench));
    bench.ready().await;
    bench.fake.fault(Matcher::any(), Fault::Slow(Duration::from_secs(30)), Times::Always);
    let begun = Instant::now();
    let (code, log) = agent.end().await;
    assert!(code == 0 && begun.elapsed() < END, "{:?} {log}", begun.elapsed());
    assert!(log.contains("no time left to revoke the token"), "{log}");
}

/// The first place that is looked into for a name is a pipe here, which nobody writes to.
#[tokio::test]
async fn a_resolver_that_hangs_does_not_hold_up_the_end() {
    let bench = bench("native", true, 0).await.set(json!({"server": {"address": "https://vault.example:8200"}}));
    let pipe = bench.path("hosts");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let run = run(&bench);
    let mut command = Command::new("unshare");
    let mapped = ["--user", "--map-root-user"].into_iter().filter(|_| !is_root());
    command.args(mapped).args(["--mount", "sh", "-c", "mount --bind \"$1\" /etc/hosts && exec \"$2\" run", "sh"]);
    command.arg(&pipe).arg(run.get_program());
    command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let agent = Running::of(&mut command);
    let threads = || std::fs::read_dir(format!("/proc/{}/task", agent.id())).unwrap().count();
    bench.until("the look-up", |bench| bench.status().is_some() && threads() > 1).await;
    let begun = Instant::now();
    let (code, log) = agent.end().await;
    assert!(code == 0 && begun.elapsed() < END, "{:?} {log}", begun.elapsed());
}

#[tokio::test]
async fn the_token_of_a_login_under_way_is_revoked_too() {
    let bench = bench("native", true, 0).await;
    bench.fake.fault(Matcher::path("auth/kubernetes/login"), Fault::Slow(Duration::from_millis(200)), Times::Once);
    let agent = bench.start();
    bench.until("the login", |bench| bench.logins() == 1).await;
    assert_eq!(agent.stop().await, Exit::Done);
    assert!(bench.fake.tokens().is_empty());
}

#[tokio::test]
async fn a_classic_sidecar_goes_on_renewing_while_the_app_drains_and_revokes_when_asked() {
    for revoke in [false, true] {
        let bench = bench("sidecar", revoke, 40).await;
        let spec = sidekey_fakevault::DatabaseRole { ttl: Duration::from_secs(30), ..Default::default() };
        bench.fake.database("database", "app", spec);
        let agent = bench.start();
        bench.ready().await;
        agent.trigger.start();
        bench.pass(Duration::from_secs(35)).await;
        assert!(bench.fake.count("POST", "sys/leases/renew") >= 1, "the lease was left to die under a draining app");
        assert_eq!(bench.fake.tokens().len(), 1);
        bench.jump(Duration::from_secs(6));
        assert_eq!(agent.exit().await, Exit::Done);
        assert_eq!(bench.fake.tokens().len(), usize::from(!revoke));
    }
}

#[tokio::test]
async fn a_token_that_nothing_was_published_with_is_revoked_in_every_shape() {
    for shape in ["init", "initOnly", "sidecar", "native"] {
        let bench = bench(shape, false, 0).await.format("never", "json", "secret/data/never", json!({}));
        let agent = bench.start();
        bench.until("the lease", |bench| bench.fake.leases().len() == 1).await;
        assert_eq!(agent.stop().await, Exit::Done, "{shape}");
        assert!(bench.fake.tokens().is_empty(), "{shape}");
    }
}
