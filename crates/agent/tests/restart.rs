//! A killed agent goes on where it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::json;
use sidekey_agent::exit::Exit;
use sidekey_fakevault::{DatabaseRole, Fault, Matcher, Times};
use support::{Bench, LONG, exists};

async fn bench() -> Bench {
    Bench::new()
        .await
        .format("web.json", "json", "secret/data/web", json!({}))
        .format("db.json", "json", "database/creds/app", json!({"group": "db", "layout": "linked"}))
        .go("when", r#"{{ timestamp }} {{ with secret "secret/data/web" }}{{ .Data.data.user }}{{ end }}"#, json!({}))
}

#[tokio::test]
async fn resumes_with_no_login_and_no_new_lease_and_brings_lost_files_back() {
    let bench = bench().await;
    let agent = bench.start();
    bench.ready().await;
    agent.kill().await;
    let (files, asked) = ((bench.read("db.json"), bench.read("when")), bench.fake.requests().len());
    assert!(bench.line().starts_with("ready"), "a killed agent takes the app out of service");
    for file in ["web.json", "db.json", "when"] {
        std::fs::remove_file(bench.path("secrets").join(file)).unwrap();
    }
    bench.jump(Duration::from_secs(5));
    let agent = bench.start();
    bench
        .until("the files", |bench| ["web.json", "db.json", "when"].iter().all(|file| bench.read(file).is_some()))
        .await;
    assert_eq!((bench.read("db.json"), bench.read("when")), files, "rendered anew with other data or another time");
    assert_eq!(bench.fake.requests().len(), asked, "a restart asked the server");
    bench.idle(Duration::from_secs(600)).await;
    assert_eq!((bench.logins(), bench.fake.leases().len()), (1, 1));
    agent.stop().await;
    assert!(bench.fake.tokens().is_empty());
}

#[tokio::test]
async fn resumes_while_the_server_is_down() {
    let bench = bench().await;
    let agent = bench.start();
    bench.ready().await;
    agent.kill().await;
    bench.fake.seal(true);
    std::fs::remove_file(bench.path("secrets/web.json")).unwrap();
    let agent = bench.start();
    bench.until("the file", |bench| bench.read("web.json").is_some()).await;
    assert!(bench.line().starts_with("ready"));
    agent.stop().await;
}

#[tokio::test]
async fn a_kill_at_any_moment_of_the_start_leaves_one_login_and_no_torn_file() {
    for wait in [0, 2, 4, 6, 8, 12, 16, 24] {
        let bench = bench().await;
        let agent = bench.start();
        tokio::time::sleep(Duration::from_millis(wait)).await;
        agent.kill().await;
        let agent = bench.start();
        bench.ready().await;
        let web: serde_json::Value = serde_json::from_str(&bench.read("web.json").unwrap()).unwrap();
        assert_eq!(web, json!({"password": "one", "user": "app"}));
        // An answer that was under way is lost with its request; nothing else is.
        assert!(bench.logins() <= 2 && bench.fake.leases().len() <= 2, "killed after {wait} ms");
        agent.stop().await;
    }
}

/// Slow answers come together: the kill is after the server gave so many leases, and before the agent has kept all of them.
#[tokio::test]
async fn a_kill_loses_one_lease_for_each_request_under_way_and_at_most_four() {
    const CREDS: &str = "database/creds/";
    let mut most = 0;
    for given in 1..=6 {
        let mut bench = Bench::new().await;
        let names = ["a", "b", "c", "d", "e", "f"];
        for name in names {
            bench.fake.database("database", name, DatabaseRole::default());
            bench = bench.format(&format!("{name}.json"), "json", &format!("{CREDS}{name}"), json!({}));
        }
        bench.fake.fault(Matcher::path(CREDS), Fault::Slow(Duration::from_millis(40)), Times::Always);
        let agent = bench.start();
        let begun = std::time::Instant::now();
        while bench.fake.leases().len() < given {
            assert!(begun.elapsed() < LONG, "never came: {given} leases");
            tokio::task::yield_now().await;
        }
        agent.kill().await;
        let asked = bench.fake.requests().iter().filter(|request| request.path.starts_with(CREDS)).count();
        let state = std::fs::read_to_string(bench.path("state/state")).unwrap_or_default();
        let under_way = asked - state.matches(&format!(r#""leaseId":"{CREDS}"#)).count();
        bench.fake.clear_faults();
        let agent = bench.start();
        bench.ready().await;
        let lost = bench.fake.leases().len() - names.len();
        assert!(lost <= under_way && under_way <= 4, "{given} given: {lost} lost of {under_way} under way");
        most = most.max(lost);
        agent.stop().await;
    }
    assert!(most > 1, "no kill met more than one request");
}

#[tokio::test]
async fn discards_the_state_of_another_boot() {
    let bench = bench().await;
    let agent = bench.start();
    bench.ready().await;
    agent.kill().await;
    let state = bench.path("state/state");
    let text = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, text.replace("this boot", "another")).unwrap();
    let agent = bench.start();
    bench.until("a second login", |bench| bench.logins() == 2).await;
    bench.ready().await;
    agent.stop().await;
}

#[tokio::test]
async fn never_uses_a_token_that_was_being_revoked() {
    let bench = bench().await;
    let agent = bench.start();
    bench.ready().await;
    bench.fake.fault(Matcher::path("auth/token/revoke-self"), Fault::Slow(Duration::from_secs(30)), Times::Always);
    agent.trigger.start();
    tokio::time::sleep(Duration::from_millis(200)).await;
    agent.kill().await;
    assert!(exists(&bench.path("state/state")));
    bench.fake.clear_faults();
    let agent = bench.start();
    bench.until("a login of its own", |bench| bench.logins() == 2).await;
    assert_eq!(agent.stop().await, Exit::Done);
}

/// The state is written whole: with many secrets, each look at each of them would cost all of it.
#[tokio::test]
async fn many_looks_that_find_nothing_new_are_kept_together_and_a_change_at_once() {
    let mut bench = bench().await;
    for number in 0..20 {
        bench.fake.put(&format!("secret/s{number}"), json!({"v": number}));
        bench = bench.format(&format!("s{number}.json"), "json", &format!("secret/data/s{number}"), json!({}));
    }
    let agent = bench.start();
    bench.ready().await;
    let mut written = std::collections::BTreeSet::new();
    let mut look = |bench: &Bench| {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(bench.path("state/state")).unwrap();
        written.insert((file.ino(), file.mtime(), file.mtime_nsec()));
    };
    let asked = |bench: &Bench| bench.fake.requests().iter().filter(|r| r.path.starts_with("secret/data/")).count();
    let before = asked(&bench);
    bench.pass_and(Duration::from_secs(130), &mut look).await;
    let looks = asked(&bench) - before;
    assert!(looks >= 40, "{looks} looks");
    assert!(written.len() <= looks / 2, "{looks} looks were kept in {} files", written.len());

    bench.fake.put("secret/s7", json!({"v": "changed"}));
    bench.pass(Duration::from_secs(70)).await;
    assert!(bench.read("s7.json").unwrap().contains("changed"));
    let state = std::fs::read_to_string(bench.path("state/state")).unwrap();
    assert!(state.contains("changed"), "a file was written of what was not kept");
    agent.kill().await;
}
