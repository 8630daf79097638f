//! `sidekey render` as a person runs it, with a file's data and with a server's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use sidekey_fakevault::{FakeVault, Options, RoleSpec};

const DATA: &str = "
secret/web: {user: app, password: hunter2, port: 5432}
database/creds/web:
  lease_id: database/creds/web/1
  lease_duration: 60
  data: {username: v-user, password: hunter2}
secret/metadata: [api, web]
";

fn sidekey(arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey"));
    command.arg("render").args(arguments).env_clear().envs(env.iter().copied());
    command.stdin(std::process::Stdio::null()).output().unwrap()
}

fn out(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", err(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn written(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn renders_with_a_files_data_and_shows_no_value_unless_asked() {
    let dir = tempfile::tempdir().unwrap();
    let data = written(dir.path(), "data.yaml", DATA);
    let data = data.to_str().unwrap();
    let cases = [
        (
            "a.hbs",
            r#"{{#with (secret "secret/web")}}{{user}}:{{password}}:{{port}}{{/with}}"#,
            "REDACTED:REDACTED:0",
            "app:hunter2:5432",
        ),
        ("a.ctmpl", r#"{{ with secret "secret/data/web" }}{{ .Data.data.password }}{{ end }}"#, "REDACTED", "hunter2"),
        (
            "b.tmpl",
            r#"{{ with secret "database/creds/web" }}{{ .LeaseID }} {{ .Data.username | toUpper }}{{ end }}"#,
            "REDACTED REDACTED",
            "database/creds/web/1 V-USER",
        ),
        (
            "c.tmpl",
            r#"{{ range secrets "secret/metadata" }}[{{ . }}]{{ end }}{{ env "POD" }}{{ env "VAULT_TOKEN" }}"#,
            "[api][web]web-0",
            "[api][web]web-0",
        ),
    ];
    for (name, text, hidden, shown) in cases {
        let path = written(dir.path(), name, text);
        let path = path.to_str().unwrap();
        let env = [("VAULT_TOKEN", "hvs.mine")];
        let output = sidekey(&[path, "--data", data, "--env", "POD=web-0"], &env);
        assert_eq!(out(&output).trim_end(), hidden, "{name}");
        assert!(!err(&output).contains("hunter2"), "{}", err(&output));
        let output = sidekey(&[path, "--data", data, "--env", "POD=web-0", "--show-secrets"], &env);
        assert_eq!(out(&output).trim_end(), shown, "{name}");
    }
    let output = sidekey(&["--secret", "secret/web", "--format", "env", "--data", data], &[]);
    assert_eq!(out(&output), "password=\"REDACTED\"\nport=\"0\"\nuser=\"REDACTED\"\n");
}

#[test]
fn shows_nothing_where_the_text_depends_on_the_values() {
    let dir = tempfile::tempdir().unwrap();
    let data = written(dir.path(), "data.json", r#"{"kv/a": {"next": "kv/b"}, "kv/b": {"password": "hunter2"}}"#);
    let text = r#"{{ with secret "kv/a" }}{{ with secret .Data.next }}{{ .Data.password }}{{ end }}{{ end }}"#;
    let path = written(dir.path(), "t.tmpl", text);
    let arguments = [path.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let output = sidekey(&arguments, &[]);
    assert_eq!(out(&output), "");
    assert!(err(&output).contains("not shown, as it depends on the values"), "{}", err(&output));
    assert_eq!(out(&sidekey(&[&arguments[..], &["--show-secrets"]].concat(), &[])), "hunter2\n");
}

#[test]
fn says_what_is_wrong_and_where() {
    let dir = tempfile::tempdir().unwrap();
    let data = written(dir.path(), "data.yaml", DATA);
    let data = data.to_str().unwrap();
    let good = written(dir.path(), "good.tmpl", r#"{{ with secret "kv/none" }}{{ .Data.x }}{{ end }}"#);
    let bad = written(dir.path(), "bad.tmpl", "line one\n{{ nosuch }}");
    let words = written(dir.path(), "words.yaml", "just words");
    let cases: [(&[&str], i32, &str); 6] = [
        (&[good.to_str().unwrap(), "--data", data], 1, "SK4003 looking for kv/none"),
        (&[bad.to_str().unwrap(), "--data", data], 1, "SK2002"),
        (&[good.to_str().unwrap(), "--data", words.to_str().unwrap()], 2, "SK1012 reading"),
        (&["/nowhere.tmpl", "--data", data], 2, "SK2004 reading /nowhere.tmpl"),
        (&[good.to_str().unwrap()], 2, "VAULT_ADDR is not set"),
        (&["--secret", "kv/x", "--format", "xml", "--data", data], 2, "no format `xml`"),
    ];
    for (arguments, code, wanted) in cases {
        let output = sidekey(arguments, &[]);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(wanted), "{arguments:?}: {}", err(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn renders_every_file_that_a_pod_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let data = written(dir.path(), "data.yaml", DATA);
    let output = sidekey(&["-f", "tests/data/deployment.yaml", "--data", data.to_str().unwrap()], &[]);
    let text = out(&output);
    assert!(text.contains("==> Deployment shop/web /secrets/app.env <==\npassword=\"REDACTED\"\n"), "{text}");
    assert!(text.contains("/secrets/db.json <==\n{\n  \"password\": \"REDACTED\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_vault_and_gives_back_what_it_was_given() {
    sidekey_runtime::provider::install();
    let fake = FakeVault::start(Options::default()).await.unwrap();
    fake.put("secret/web", json!({"password": "hunter2"}));
    fake.database("database", "web", sidekey_fakevault::DatabaseRole::default());
    let rules: [(&str, &[&str]); 3] =
        [("secret/data/web", &["read"]), ("database/creds/web", &["read"]), ("sys/leases/revoke", &["update"])];
    fake.policy("dry", &rules);
    let token = fake.token(&RoleSpec { policies: vec!["dry".to_owned()], ..RoleSpec::default() });
    let dir = tempfile::tempdir().unwrap();
    let ca = written(dir.path(), "ca.pem", fake.ca_pem());
    let address = fake.address();
    let env = [("VAULT_ADDR", address.as_str()), ("VAULT_TOKEN", &token), ("VAULT_CACERT", ca.to_str().unwrap())];
    let text = r#"{{ with secret "secret/web" }}{{ .Data.data.password }}{{ end }} {{ with secret "database/creds/web" }}{{ .Data.username }}{{ end }}"#;
    let path = written(dir.path(), "t.tmpl", text);
    let output = tokio::task::block_in_place(|| sidekey(&[path.to_str().unwrap()], &env));
    assert_eq!(out(&output), "REDACTED REDACTED\n");
    assert!(err(&output).contains("secret database/creds/web: its lease is revoked"), "{}", err(&output));
    assert!(fake.leases().is_empty(), "{:?}", fake.leases());
    let denied = written(dir.path(), "d.tmpl", r#"{{ with secret "secret/other" }}{{ .Data }}{{ end }}"#);
    let output = tokio::task::block_in_place(|| sidekey(&[denied.to_str().unwrap()], &env));
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("SK4001") && err(&output).contains("secret/data/other"), "{}", err(&output));
}
