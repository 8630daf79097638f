//! From nothing to the first set: how many requests, in which order files appear, what stands in the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::json;
use sidekey_agent::exit::Exit;
use sidekey_fakevault::{Certificate, Fault, Matcher, Options, RoleSpec, Times};
use support::{Bench, MOUNT, exists, role};

#[tokio::test]
async fn writes_all_files_with_one_login_and_one_request_for_each_secret() {
    let bench = Bench::new()
        .await
        .format("web.json", "json", "secret/data/web", json!({}))
        .format("again.env", "env", "secret/data/web", json!({"mode": 0o400}))
        .format("db.json", "json", "database/creds/app", json!({}))
        .go("db.txt", r#"{{ with secret "database/creds/app" }}{{ .Data.username }}{{ end }}"#, json!({}));
    let agent = bench.start();
    bench.ready().await;
    assert_eq!(bench.line(), "ready: 4 files written");
    let asked: Vec<_> = bench.fake.requests().iter().map(|r| r.path.clone()).collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(asked[0], "auth/kubernetes/login");
    let web: serde_json::Value = serde_json::from_str(&bench.read("web.json").unwrap()).unwrap();
    assert_eq!(web, json!({"password": "one", "user": "app"}));
    assert!(bench.read("db.json").unwrap().contains(&bench.read("db.txt").unwrap()), "two leases in one pod");
    let mode = |file: &str| bench.path("secrets").join(file).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("web.json"), mode("again.env")), (0o444, 0o400));
    assert_eq!(agent.stop().await, Exit::Done);
}

#[tokio::test]
async fn a_file_of_vault_agents_without_a_mode_keeps_the_one_it_has() {
    let bench = Bench::new()
        .await
        .set(json!({"dialect": "vault"}))
        .format("old", "json", "secret/data/web", json!({}))
        .format("wide", "json", "secret/data/web", json!({}))
        .format("new", "json", "secret/data/web", json!({}))
        .format("asked", "json", "secret/data/web", json!({"mode": 0o660}));
    let path = |file: &str| bench.path("secrets").join(file);
    let mode = |file: &str| path(file).metadata().unwrap().permissions().mode() & 0o7777;
    for (file, mode) in [("old", 0o600), ("wide", 0o666), ("asked", 0o600)] {
        std::fs::write(path(file), "before").unwrap();
        std::fs::set_permissions(path(file), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let agent = bench.start();
    bench.ready().await;
    let modes = || ["old", "wide", "new", "asked"].map(mode);
    assert_eq!(modes(), [0o600, 0o644, 0o644, 0o660]);
    std::fs::set_permissions(path("new"), std::fs::Permissions::from_mode(0o640)).unwrap();
    bench.fake.put("secret/web", json!({"password": "two"}));
    bench.pass(Duration::from_secs(65)).await;
    bench.until("the change", |bench| bench.read("new").is_some_and(|text| text.contains("two"))).await;
    assert_eq!(modes(), [0o600, 0o644, 0o640, 0o660], "a change keeps it as well");
    agent.stop().await;
}

#[tokio::test]
async fn looks_a_mount_up_once_when_the_path_leaves_it_open() {
    let bench =
        Bench::new().await.format("a", "json", "secret/web", json!({})).format("b", "json", "secret/b", json!({}));
    bench.fake.put("secret/b", json!({"x": "y"}));
    bench.fake.policy("web", &[("secret/data/*", &["read"])]);
    let agent = bench.start();
    bench.ready().await;
    let lookups = bench.fake.requests().iter().filter(|r| r.path.starts_with("sys/internal/ui/mounts")).count();
    assert!((1..=2).contains(&lookups), "{lookups} mount look-ups");
    agent.stop().await;
}

#[tokio::test]
async fn publishes_nothing_before_everything_is_there_but_does_not_wait_for_the_optional() {
    let bench = Bench::new()
        .await
        .format("a.json", "json", "secret/data/web", json!({}))
        .format("b.json", "json", "secret/data/late", json!({}))
        .format("c.json", "json", "secret/data/never", json!({"optional": true}));
    let agent = bench.start();
    bench.until("the missing secret is explained", |bench| bench.line().starts_with("SK4003")).await;
    assert!(!exists(&bench.path("secrets/a.json")), "published before the set was whole");
    let told = std::fs::read_to_string(bench.path("termination")).unwrap();
    assert!(told.starts_with("SK4003"), "{told:?}");

    bench.fake.put("secret/late", json!({"x": "1"}));
    bench.idle(Duration::from_secs(30)).await;
    bench.ready().await;
    assert!(bench.read("a.json").is_some() && bench.read("b.json").is_some());
    assert!(!exists(&bench.path("secrets/c.json")));
    assert_eq!(std::fs::read_to_string(bench.path("termination")).unwrap().trim(), "");

    bench.fake.put("secret/never", json!({"x": "2"}));
    bench.idle(Duration::from_secs(150)).await;
    bench.until("the optional file", |bench| bench.read("c.json").is_some()).await;
    agent.stop().await;
}

#[tokio::test]
async fn explains_what_is_wrong_with_the_login_and_goes_on_when_it_is_mended() {
    let bench = Bench::new().await.format("a", "json", "secret/data/web", json!({}));
    bench.fake.disable_auth(MOUNT);
    let agent = bench.start();
    let said = |code: &'static str| move |bench: &Bench| bench.line().starts_with(code);
    let soon = Duration::from_secs(25);
    bench.until("no mount", said("SK3101")).await;
    bench.fake.enable_kubernetes(MOUNT);
    bench.idle(soon).await;
    bench.until("no role", said("SK3104")).await;
    assert!(bench.line().contains("web"), "{}", bench.line());
    bench.fake.role(MOUNT, "web", RoleSpec { namespaces: vec!["other".to_owned()], ..role() });
    bench.idle(soon).await;
    bench.until("another namespace", said("SK3106")).await;
    bench.fake.role(MOUNT, "web", RoleSpec { audience: Some("other".to_owned()), ..role() });
    bench.idle(Duration::from_secs(60)).await;
    bench.until("another audience", said("SK3108")).await;
    bench.fake.role(MOUNT, "web", role());
    bench.idle(Duration::from_secs(90)).await;
    bench.ready().await;
    agent.stop().await;
}

#[tokio::test]
async fn says_which_part_of_the_way_to_vault_fails() {
    let unreachable = [
        (json!({"server": {"address": "https://vault.invalid:8200"}}), "SK3001"),
        (json!({"server": {"address": "https://127.0.0.1:1"}}), "SK3002"),
        (json!({"server": {"caPem": null}}), "SK3003"),
        (json!({"auth": {"tokenFile": "/nowhere/token"}}), "SK3109"),
        (json!({"server": {"caPem": null, "caFile": "/nowhere/ca.pem"}}), "SK5005"),
    ];
    for (changes, code) in unreachable {
        let bench = Bench::new().await.format("a", "json", "secret/data/web", json!({})).set(changes);
        let agent = bench.start();
        bench.until(code, |bench| bench.line().starts_with(code)).await;
        agent.stop().await;
    }
    for certificate in [Certificate::Expired, Certificate::ExpiredAuthority] {
        let bench = Bench::with(Options { certificate, ..Options::default() }).await;
        let bench = bench.format("a", "json", "secret/data/web", json!({}));
        let agent = bench.start();
        bench.until("SK3003", |bench| bench.line().starts_with("SK3003")).await;
        assert!(bench.line().contains("expired"), "{certificate:?}: {}", bench.line());
        agent.stop().await;
    }
}

#[tokio::test]
async fn ends_with_the_first_failed_login_only_where_that_is_asked_for() {
    let fatal = json!({"lifecycle": {"exitOnLoginFailure": true}, "auth": {"role": "nobody"}});
    let bench = Bench::new().await.format("a", "json", "secret/data/web", json!({})).set(fatal);
    assert_eq!(bench.start().exit().await, Exit::Login);
    let told = std::fs::read_to_string(bench.path("termination")).unwrap();
    assert!(told.starts_with("SK3104 "), "{told}");
    let bench = bench.set(json!({"auth": {"role": "web"}}));
    let agent = bench.start();
    bench.ready().await;
    agent.stop().await;
}

#[tokio::test]
async fn gives_up_at_the_start_deadline_and_says_why() {
    let deadline = json!({"lifecycle": {"startDeadlineSeconds": 30}, "auth": {"role": "nobody"}});
    let bench = Bench::new().await.format("a", "json", "secret/data/web", json!({})).set(deadline);
    let agent = bench.start();
    bench.until("the role's cause", |bench| bench.line().starts_with("SK3104")).await;
    bench.jump(Duration::from_secs(31));
    assert_eq!(agent.exit().await, Exit::Deadline);
    let told = std::fs::read_to_string(bench.path("termination")).unwrap();
    assert!(told.starts_with("SK5004") && told.contains("SK3104"), "{told}");
}

#[tokio::test]
async fn hands_everything_over_from_the_init_container_to_the_sidecar() {
    let init = json!({"lifecycle": {"shape": "init", "revoke": false}});
    let bench = Bench::new()
        .await
        .format("db.json", "json", "database/creds/app", json!({}))
        .go("token-of", r#"{{ with secret "secret/data/web" }}{{ .Data.data.user }}{{ end }}"#, json!({}))
        .set(init);
    assert_eq!(bench.start().exit().await, Exit::Done);
    let (before, asked) = (bench.read("db.json"), bench.fake.requests().len());
    let bench = bench.set(json!({"lifecycle": {"shape": "sidecar", "revokeGraceSeconds": 0}}));
    let agent = bench.start();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(bench.line().starts_with("ready"));
    assert_eq!(bench.fake.requests().len(), asked, "the sidecar asked again");
    assert_eq!(bench.read("db.json"), before);
    assert_eq!(agent.stop().await, Exit::Done);
    assert_eq!(bench.fake.tokens().len(), 1, "nobody asked for a revocation");
}

#[tokio::test]
async fn a_lone_init_container_leaves_its_leases_alive_and_no_state() {
    let bench = Bench::new().await.format("db.json", "json", "database/creds/app", json!({}));
    let bench = bench.set(json!({"lifecycle": {"shape": "initOnly", "revoke": false}}));
    assert_eq!(bench.start().exit().await, Exit::Done);
    assert_eq!(bench.fake.leases().len(), 1);
    assert!(!exists(&bench.path("state/state")));
}

#[tokio::test]
async fn keeps_the_token_file_current() {
    let bench = Bench::new().await.format("a", "json", "secret/data/web", json!({}));
    let sink = bench.path("state/shared/token");
    let bench = bench.set(json!({"tokenSinks": [{"path": sink, "mode": 0o640}]}));
    let agent = bench.start();
    bench.ready().await;
    bench.until("the token file", |_| exists(&sink)).await;
    assert_eq!(sink.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    let first = std::fs::read_to_string(&sink).unwrap();
    bench.fake.revoke_all_tokens();
    bench.idle(Duration::from_secs(70)).await;
    bench.until("a second token", |_| std::fs::read_to_string(&sink).unwrap() != first).await;
    agent.stop().await;
    assert!(!exists(&sink), "a dead token was left behind");
}

#[tokio::test]
async fn a_bad_template_holds_up_readiness_and_is_named_with_its_place() {
    let bench = Bench::new().await.go("bad", r#"{{ with secret "secret/data/web" }}{{ .Data"#, json!({}));
    let agent = bench.start();
    bench.until("the template's cause", |bench| bench.line().starts_with("SK2001")).await;
    assert!(bench.line().contains("line 1"), "{}", bench.line());
    agent.stop().await;
}

#[tokio::test]
async fn a_template_file_is_followed_and_a_bad_one_keeps_the_old() {
    let bench = Bench::new().await;
    let template = bench.path("state/template.ctmpl");
    std::fs::write(&template, r#"one {{ with secret "secret/data/web" }}{{ .Data.data.user }}{{ end }}"#).unwrap();
    let bench = bench.go("a", "", json!({"source": {"file": template}}));
    let agent = bench.start();
    bench.ready().await;
    assert_eq!(bench.read("a").unwrap(), "one app");
    std::fs::write(&template, "{{ nonsense }}").unwrap();
    bench.until("the bad file is said", |bench| bench.line().contains("SK2002")).await;
    assert_eq!(bench.read("a").unwrap(), "one app");
    std::fs::write(&template, r#"two {{ with secret "secret/data/web" }}{{ .Data.data.user }}{{ end }}"#).unwrap();
    bench.until("the new template", |bench| bench.read("a").unwrap() == "two app").await;
    agent.stop().await;
}

#[tokio::test]
async fn a_file_that_a_template_reads_is_followed_and_one_that_is_gone_keeps_the_old() {
    let bench = Bench::new().await;
    let (read, own) = (bench.path("read.txt"), bench.path("state/state"));
    std::fs::write(&read, "one").unwrap();
    let text = |path: &std::path::Path| {
        format!(
            "{{{{ file {path:?} }}}} {{{{ with secret \"secret/data/web\" }}}}{{{{ .Data.data.user }}}}{{{{ end }}}}"
        )
    };
    let bench = bench.go("a", &text(&read), json!({})).go("b", &text(&own), json!({"optional": true}));
    let agent = bench.start();
    bench.ready().await;
    assert_eq!((bench.read("a").unwrap().as_str(), bench.read("b")), ("one app", None));
    assert!(bench.line().contains("of the agent's own"), "{}", bench.line());
    std::fs::write(&read, "two").unwrap();
    bench.until("the new text", |bench| bench.read("a").unwrap() == "two app").await;
    std::fs::remove_file(&read).unwrap();
    bench.until("the loss is said", |bench| bench.line().contains("No such file")).await;
    assert_eq!(bench.read("a").unwrap(), "two app");
    agent.stop().await;
}

#[tokio::test]
async fn a_target_that_cannot_be_written_stops_its_own_group_only() {
    let bench = Bench::new()
        .await
        .set(json!({"refresh": {"staticIntervalMs": 3_600_000}}))
        .format("good", "json", "secret/data/web", json!({}))
        .format("bad", "json", "secret/data/web", json!({}));
    std::fs::create_dir_all(bench.path("secrets/bad/occupied")).unwrap();
    let agent = bench.start();
    bench.until("the write's cause", |bench| bench.line().starts_with("SK5002")).await;
    assert!(bench.read("good").is_some());
    std::fs::remove_dir_all(bench.path("secrets/bad")).unwrap();
    bench.idle(Duration::from_secs(20)).await;
    bench.ready().await;
    assert_eq!(bench.fake.requests().len(), 2, "a failed write asked Vault again: {:?}", bench.fake.requests());
    agent.stop().await;
}

#[tokio::test]
async fn a_slow_secret_holds_up_no_other() {
    let bench = Bench::new().await.format("slow", "json", "secret/data/slow", json!({"optional": true})).format(
        "quick",
        "json",
        "secret/data/web",
        json!({}),
    );
    bench.fake.put("secret/slow", json!({"x": "y"}));
    bench.fake.fault(Matcher::path("secret/data/slow"), Fault::Slow(Duration::from_secs(2)), Times::Always);
    let agent = bench.start();
    bench.ready().await;
    assert!(bench.read("slow").is_none());
    agent.stop().await;
}

#[tokio::test]
async fn two_linked_groups_share_a_directory() {
    let linked = |group: &str| json!({"group": group, "layout": "linked"});
    let bench = Bench::new().await.format("a", "json", "secret/data/web", linked("one")).format(
        "deep/b",
        "json",
        "database/creds/app",
        linked("two"),
    );
    let agent = bench.start();
    bench.ready().await;
    let target = |path: &str| std::fs::read_link(bench.path("secrets").join(path)).unwrap();
    assert_eq!(target("a").to_str(), Some("..data-one/a"));
    assert_eq!(target("deep/b").to_str(), Some("../..data-two/deep/b"));
    assert!(bench.read("a").is_some() && bench.read("deep/b").is_some());
    agent.stop().await;
}
