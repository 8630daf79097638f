//! `writeToFile`: files that a template writes beside its own change with it, or not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::json;
use support::{Bench, exists};

/// A user in the template's own file, the password beside it.
fn template(bench: &Bench, tail: &str) -> String {
    let path = bench.path("secrets");
    format!(
        r#"{{{{ with secret "secret/data/web" }}}}{{{{ .Data.data.user }}}}{{{{ .Data.data.password | writeToFile "{}/deep/password" "" "" "0440" "newline" }}}}{tail}{{{{ end }}}}"#,
        path.display()
    )
}

fn mode(bench: &Bench, file: &str) -> u32 {
    std::fs::metadata(bench.path("secrets").join(file)).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn writes_a_file_beside_the_template_and_changes_both_with_one_rename() {
    let bench = Bench::new().await;
    let text = template(&bench, "");
    let bench = bench.go("user", &text, json!({}));
    let agent = bench.start();
    bench.ready().await;
    assert_eq!(bench.read("user").unwrap(), "app");
    assert_eq!(bench.read("deep/password").unwrap(), "one\n");
    assert_eq!(mode(&bench, "deep/password"), 0o440);
    let set = std::fs::read_link(bench.path("secrets").join("..data-user")).unwrap();
    assert!(exists(&bench.path("secrets").join(set).join("deep/password")), "both files are in one set");

    bench.fake.put("secret/web", json!({"user": "app", "password": "two"}));
    bench.pass(Duration::from_secs(62)).await;
    bench.until("the change", |bench| bench.read("deep/password").unwrap() == "two\n").await;
    let writes = bench.status().unwrap().counters.writes;
    bench.idle(Duration::from_secs(300)).await;
    assert_eq!(bench.status().unwrap().counters.writes, writes, "unchanged bytes write nothing");
    agent.stop().await;
}

#[tokio::test]
async fn writes_regular_files_in_the_drop_in_dialect_and_keeps_them_over_a_restart() {
    let bench = Bench::new().await.set(json!({"dialect": "vault"}));
    let text = template(&bench, "");
    let bench = bench.go("user", &text, json!({}));
    let agent = bench.start();
    bench.ready().await;
    assert_eq!(bench.read("deep/password").unwrap(), "one\n");
    assert!(!bench.path("secrets/user").is_symlink() && !exists(&bench.path("secrets/..data-user")));
    agent.kill().await;
    std::fs::remove_file(bench.path("secrets/deep/password")).unwrap();
    std::fs::write(bench.path("secrets/deep/..sidekey-0123456789abcdef"), "half of it").unwrap();
    let agent = bench.start();
    bench.until("the file again", |bench| bench.read("deep/password").is_some()).await;
    assert!(!exists(&bench.path("secrets/deep/..sidekey-0123456789abcdef")), "what the killed agent had begun");
    assert_eq!(bench.logins(), 1);
    agent.stop().await;
}

#[tokio::test]
async fn removes_what_the_template_does_not_write_any_more() {
    for dialect in ["native", "vault"] {
        let bench = Bench::new().await.set(json!({"dialect": dialect}));
        let path = bench.path("secrets/extra");
        let text = format!(
            r#"{{{{ with secret "secret/data/web" }}}}{{{{ if ne .Data.data.password "two" }}}}{{{{ writeToFile "{}" "" "" "0400" "x" }}}}{{{{ end }}}}{{{{ .Data.data.password }}}}{{{{ end }}}}"#,
            path.display()
        );
        let bench = bench.go("user", &text, json!({}));
        let agent = bench.start();
        bench.ready().await;
        assert_eq!(bench.read("extra").unwrap(), "x");
        bench.fake.put("secret/web", json!({"user": "app", "password": "two"}));
        bench.pass(Duration::from_secs(62)).await;
        bench.until("the change", |bench| bench.read("user").unwrap() == "two").await;
        bench.until("the removal", |bench| !exists(&bench.path("secrets/extra"))).await;
        bench.pass(Duration::from_secs(10)).await;
        let left = std::fs::read_dir(bench.path("secrets")).unwrap().count();
        assert_eq!(left, 1, "{dialect}: only the template's own file is left");
        agent.stop().await;
    }
}

#[tokio::test]
async fn refuses_by_name_what_it_cannot_honour_and_stops_no_other_group() {
    let bench = Bench::new().await;
    let own = bench.path("secrets/other");
    let bench = bench
        .go("outside", r#"{{ writeToFile "/etc/passwd" "" "" "0644" "x" }}"#, json!({"optional": true}))
        .go(
            "taken",
            &format!(r#"{{{{ writeToFile "{}" "" "" "0644" "x" }}}}"#, own.display()),
            json!({"optional": true}),
        )
        .go(
            "nobody",
            &format!(r#"{{{{ writeToFile "{}.x" "no-such-user" "" "0644" "x" }}}}"#, own.display()),
            json!({"optional": true}),
        )
        .go("other", "fine", json!({}));
    let agent = bench.start();
    bench.until("the other group", |bench| bench.read("other").is_some()).await;
    bench.until("the causes", |bench| bench.status().is_some_and(|status| status.files.len() == 4)).await;
    let shown = serde_json::to_string(&bench.status().unwrap().files).unwrap();
    assert!(shown.contains("the path is in no volume that the agent writes to"), "{shown}");
    assert!(shown.contains("another output writes this file"), "{shown}");
    assert!(shown.contains("no-such-user") && shown.contains("Write its number, or mount a file"), "{shown}");
    assert_eq!(bench.read("other").unwrap(), "fine");
    assert!(bench.read("outside").is_none() && bench.read("taken").is_none());
    agent.stop().await;
}

/// The name of this process's own user, to whom anyone may give a file of his own.
#[tokio::test]
async fn looks_up_whose_a_file_shall_be() {
    use std::os::unix::fs::MetadataExt;

    let own = std::fs::metadata("/proc/self").unwrap();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = |line: &&str| line.split(':').nth(2) == Some(&*own.uid().to_string());
    let Some(name) = accounts.lines().find(line).and_then(|line| line.split(':').next()) else {
        eprintln!("NOT RUN: user {} has no name in /etc/passwd", own.uid());
        return;
    };
    let bench = Bench::new().await;
    let path = bench.path("secrets/beside");
    let text = format!(r#"{{{{ writeToFile "{}" "{name}" "" "0400" "x" }}}}own"#, path.display());
    let bench = bench.go("user", &text, json!({}));
    let agent = bench.start();
    bench.ready().await;
    assert_eq!(bench.read("beside").unwrap(), "x");
    assert_eq!(std::fs::metadata(path).unwrap().uid(), own.uid());
    agent.stop().await;
}
