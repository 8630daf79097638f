use serde_json::json;
use sidekey_core::contract::{Action, AuthMethod, Bearer, Layout, Signal, Source};

use super::*;

fn read(text: &str) -> Result<Loaded, Cause> {
    translate(&[("agent.hcl".to_owned(), text.to_owned())], None, &Env::new())
}

const FULL: &str = r#"
pid_file = "/home/vault/.pid"
exit_after_auth = true
log_level = "Warning"
vault {
  address = "https://vault.example:8200"
  ca_cert = "/vault/tls/ca.crt"
  retry { num_retries = 5 }
}
auto_auth {
  method "kubernetes" {
    mount_path = "auth/k8s/"
    namespace  = "team"
    min_backoff = 2
    max_backoff = "1m"
    config = { role = "web" }
  }
  sink "file" {
    config = { path = "/home/vault/.vault-token", mode = 0600 }
  }
  sink {
    type = "file"
    wrap_ttl = "5m"
    dh_type = "curve25519"
    dh_path = "/keys/dh.json"
    derive_key = true
    aad = "less"
    aad_env_var = "POD_UID"
    config { path = "/home/vault/sealed" }
  }
}
template_config { static_secret_render_interval = "1m" }
template {
  destination = "/vault/secrets/web.env"
  perms       = "0600"
  error_on_missing_key = true
  function_denylist    = ["plugin", "sprig_*"]
  command     = "kill -HUP 1"
  contents    = <<-EOT
    {{ with secret "secret/data/web" }}{{ .Data.data.password }}{{ end }}
    EOT
}
template {
  destination = "/vault/secrets/db"
  source      = "/vault/templates/db.ctmpl"
  exec { command = ["/bin/reload", "now"] }
}
"#;

#[test]
fn translates_what_vault_agent_reads() {
    let Loaded { config, once, notes, program, .. } = read(FULL).unwrap();
    assert_eq!(program, None);
    assert!(once);
    assert_eq!(config.server.namespace.as_deref(), Some("team"));
    assert_eq!((config.auth.mount.as_str(), config.auth.role.as_str()), ("auth/k8s", "web"));
    assert_eq!((config.auth.min_backoff_ms, config.auth.max_backoff_ms), (2_000, 60_000));
    assert_eq!(config.auth.token_file, "/var/run/secrets/kubernetes.io/serviceaccount/token");
    assert_eq!((config.log.level.as_str(), config.refresh.static_interval_ms), ("warn", 60_000));
    let [plain, sealed] = config.token_sinks.as_slice() else { panic!("{:?}", config.token_sinks) };
    assert_eq!((plain.mode, sealed.mode, sealed.wrap_ttl_seconds), (0o600, 0o640, Some(300)));
    assert!(sealed.seal.as_ref().is_some_and(|seal| seal.derive_key && seal.key_file == "/keys/dh.json"));
    assert_eq!(sealed.seal.as_ref().and_then(|seal| seal.aad_variable.as_deref()), Some("POD_UID"));
    let [web, db] = config.outputs.as_slice() else { panic!("{:?}", config.outputs) };
    assert_eq!((web.dir.as_str(), web.file.to_string().as_str(), web.mode), ("/vault/secrets", "web.env", Some(0o600)));
    let Source::Template(template) = &web.source else { panic!() };
    assert!(template.error_on_missing_key && template.text.starts_with("{{ with") && template.text.ends_with("}}\n"));
    assert_eq!(template.denied, ["plugin", "sprig_*"]);
    assert!(
        matches!(&db.source, Source::Template(template) if template.file.as_deref() == Some("/vault/templates/db.ctmpl"))
    );
    let argv: Vec<_> = config.notify.iter().map(|notify| notify.action.clone()).collect();
    let command = |words: &[&str]| Action::Command { argv: words.iter().map(|&word| word.to_owned()).collect() };
    assert_eq!(argv, [command(&["kill", "-HUP", "1"]), command(&["/bin/reload", "now"])]);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("agent.hcl line 2: pid_file has no effect"), "{notes:?}");
    assert!(AgentConfig::from_json(&serde_json::to_string(&config).unwrap()).is_ok_and(|again| again == config));
}

#[test]
fn waits_between_logins_as_vault_agent_does_where_nothing_is_said() {
    let cases = [
        ("", Ok((1_000, 300_000))),
        ("min_backoff = \"5s\"", Ok((5_000, 300_000))),
        ("max_backoff = \"30s\"", Ok((1_000, 30_000))),
        ("min_backoff = 10\n max_backoff = 10", Ok((10_000, 10_000))),
        ("min_backoff = \"0s\"", Ok((1, 300_000))),
        ("min_backoff = \"10m\"", Err("line 1: max_backoff is less than min_backoff")),
        ("max_backoff = \"500ms\"", Err("line 1: max_backoff is less than min_backoff")),
        ("min_backoff = \"soon\"", Err("line 1: min_backoff is not a duration")),
    ];
    for (words, want) in cases {
        let method = format!("method \"kubernetes\" {{ {words}\n config {{ role = \"r\" }} }}");
        let text = format!("auto_auth {{ {method}\n sink \"file\" {{ config {{ path = \"/t\" }} }} }}");
        let found = read(&text).map(|loaded| (loaded.config.auth.min_backoff_ms, loaded.config.auth.max_backoff_ms));
        match (found, want) {
            (Ok(found), Ok(want)) => assert_eq!(found, want, "{words}"),
            (Err(cause), Err(want)) => assert!(cause.answer.contains(want), "{words}: {}", cause.answer),
            (found, _) => panic!("{words}: {found:?}"),
        }
    }
}

#[test]
fn takes_the_injectors_json_for_the_same() {
    let json = json!({
        "auto_auth": {
            "method": {"type": "kubernetes", "mount_path": "auth/kubernetes", "config": {"role": "web", "token_path": "/t"}},
            "sink": [{"type": "file", "config": {"path": "/home/vault/.vault-token"}}],
        },
        "exit_after_auth": false,
        "pid_file": "/home/vault/.pid",
        "vault": {"address": "http://v:8200"},
        "template": [{"destination": "/vault/secrets/a", "contents": "x", "left_delimiter": "[[", "right_delimiter": "]]"}],
        "template_config": {"exit_on_retry_failure": true},
    });
    let loaded = read(&json.to_string()).unwrap();
    assert_eq!((loaded.config.auth.token_file.as_str(), loaded.once), ("/t", false));
    assert_eq!(loaded.config.token_sinks[0].mode, 0o640);
    assert!(matches!(&loaded.config.outputs[0].source, Source::Template(template) if template.left == "[["));
}

#[test]
fn serves_a_listener_on_loopback() {
    let auth = "auto_auth { method \"token_file\" { config { token_file_path = \"/t\" } }\n sink \"file\" { config { path = \"/s\" } } }\n";
    let tcp = |more: &str| {
        format!("{auth}listener \"tcp\" {{ address = \"127.0.0.1:8100\"\n tls_disable = true\n {more} }}\n")
    };
    let cases = [
        (tcp(""), Some((false, None))),
        (tcp("agent_api { enable_quit = true }"), Some((true, None))),
        (tcp("") + "cache { use_auto_auth_token = \"force\" }", Some((false, Some(Bearer::Force)))),
        (tcp("") + "cache {}\napi_proxy { use_auto_auth_token = true }", Some((false, Some(Bearer::Agent)))),
        (format!("{auth}cache {{}}"), None),
    ];
    for (text, want) in cases {
        let listener = read(&text).unwrap().config.listener;
        assert_eq!(listener.map(|l| (l.quit, l.forward)), want, "{text}");
    }
    let refused = [
        (tcp("").replace("127.0.0.1", "0.0.0.0"), "line 3: a listener is served on 127.0.0.1:PORT only"),
        (tcp("").replace("tls_disable = true", ""), "line 3: a listener on loopback is served without TLS"),
        (tcp("require_request_header = true"), "line 5: require_request_header is not served"),
        (format!("{auth}listener \"unix\" {{ address = \"/s\" }}"), "line 3: only listeners of type tcp"),
        (format!("{auth}cache {{ use_auto_auth_token = true }}"), "line 3: use_auto_auth_token needs a listener"),
    ];
    for (text, words) in refused {
        let cause = read(&text).unwrap_err();
        assert!(cause.answer.contains(words), "{words}: {}", cause.answer);
    }
}

#[test]
fn later_files_replace_blocks_and_add_templates() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let one = "vault { address = \"http://one\"\n ca_cert = \"/ca\" }\ntemplate { contents = \"a\"\n destination = \"/d/a\" }\nexit_after_auth = true";
    let two = "vault { address = \"http://two\" }\nauto_auth { method \"token_file\" { config { token_file_path = \"/t\" } } }\n\
               template { contents = \"b\"\n destination = \"/d/b\" }\nexit_after_auth = false";
    let loaded = translate(&[file("1.hcl", one), file("2.hcl", two)], None, &Env::new()).unwrap();
    assert_eq!((loaded.config.server.address.as_str(), &loaded.config.server.ca_file), ("http://two", &None));
    assert_eq!((loaded.config.outputs.len(), loaded.once), (2, true));
    assert_eq!(loaded.config.auth.method, AuthMethod::TokenFile);
}

#[test]
fn names_file_and_line_of_what_it_cannot_serve() {
    let auth = "auto_auth { method \"kubernetes\" { config { role = \"r\" } } }\n";
    let template = "template { contents = \"x\"\n destination = \"/d/x\" }\n";
    let with = |more: &str| format!("{auth}{template}{more}");
    let cases = [
        (with("vualt { }"), "agent.hcl line 4: the configuration has no `vualt`"),
        (with("vault { adress = \"x\" }"), "agent.hcl line 4: vault has no `adress`"),
        (with("vault { address = \"http://a\" }\nvault { }"), "agent.hcl line 5: vault comes more than once"),
        (with("template_config { }\nauto_auth { }"), "agent.hcl line 5: auto_auth comes more than once"),
        (with("env_template \"A\" { source = \"/x\" }"), "agent.hcl line 4: source is not served in env_template"),
        (with("exec { command = [\"x\"] }"), "exec has no env_template"),
        (with("exec { restart_on_secret_changes = \"often\" }"), "line 4: restart_on_secret_changes is neither"),
        (with("template {\n contents = \"x\"\n destination = \"relative\" }"), "line 4: the template's destination"),
        (with("template { destination = \"/d/y\" }"), "line 4: the template needs either contents or source"),
        (with("template { contents = \"x\"\n destination = \"/d/x\" }"), "line 4: two templates have this destination"),
        (
            with("template { contents = \"x\"\n destination = \"/d/z\"\n perms = \"rw\" }"),
            "line 6: perms is not permission bits",
        ),
        (
            with("template { contents = \"x\"\n destination = \"/d/z\"\n function_denylist = [1] }"),
            "line 6: function_denylist is not a list of texts",
        ),
        (with("log_level = \"loud\""), "line 4: log_level is none of"),
        (with(&"a = 1\n".repeat(15)), "; and 3 more"),
        (with("env_template \"A\" { contents = \"x\"\n backup_to = 1 }"), "env_template has no `backup_to`"),
        (
            with("listener \"tcp\" { address = \"127.0.0.1:1\"\n tls_disable = true\n tls_min_version = \"tls12\" }"),
            "line 6: tls_min_version is not served",
        ),
        (with("api_proxy { prepend_configured_namespace = true }"), "prepend_configured_namespace is not served"),
        (with("listener \"tcp\" {"), "line 4: expected a closing brace"),
        (
            format!("{template}auto_auth {{ method \"gcp\" {{}} }}"),
            "line 3: the method gcp is not served: it needs Google's",
        ),
        (format!("{template}auto_auth {{ method \"kubernetes\" {{}} }}"), "line 3: the method has no role"),
        (
            format!(
                "{template}auto_auth {{ method \"aws\" {{\n config {{ role = \"r\"\n secret_key = \"hidden-key\" }} }} }}"
            ),
            "line 5: keys do not belong into this file",
        ),
        (
            format!(
                "{template}auto_auth {{ method \"kubernetes\" {{ wrap_ttl = \"1m\"\n config {{ role = \"r\" }} }} }}"
            ),
            "line 3: wrap_ttl of a method is not served",
        ),
        (
            format!(
                "{template}auto_auth {{ method \"kubernetes\" {{ config {{ role = \"r\" }} }}\n\
                 sink \"file\" {{ aad = \"hidden-key\"\n config {{ path = \"/t\" }} }} }}"
            ),
            "line 4: aad, aad_env_var and derive_key do nothing without dh_type",
        ),
        (template.to_owned(), "agent.hcl: there is no auto_auth with a method"),
        (auth.to_owned(), "agent.hcl: there is neither a template nor a sink"),
    ];
    for (text, words) in cases {
        let cause = read(&text).unwrap_err();
        assert_eq!(cause.code, Code::ConfigMalformed);
        assert!(cause.answer.contains(words), "{words}: {}", cause.answer);
        assert!(!cause.answer.contains("hidden-key"));
    }
}

#[test]
fn the_contract_wins_over_the_environment_and_that_over_files() {
    let env = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Env>();
    let text = "vault { address = \"http://file\"\n tls_skip_verify = true }\nauto_auth { method \"kubernetes\" { config { role = \"r\" } } \n\
                sink \"file\" { config { path = \"/t\" } } }";
    let files = [("f".to_owned(), text.to_owned())];
    let vars = env(&[("VAULT_ADDR", "http://vault"), ("BAO_ADDR", "http://bao"), ("VAULT_SKIP_VERIFY", "false")]);
    let alone = translate(&files, None, &vars).unwrap().config;
    assert_eq!((alone.server.address.as_str(), alone.server.skip_verify), ("http://bao", false));
    assert_eq!(translate(&files, None, &Env::new()).unwrap().config.server.address, "http://file");

    let mut base = alone.clone();
    base.server = Server { address: "http://contract".to_owned(), ca_pem: Some("pem".to_owned()), ..Server::default() };
    base.auth.token_file = "/projected/token".to_owned();
    base.state_dir = "/sidekey/state".to_owned();
    let under = translate(&files, Some(&base), &Env::new()).unwrap().config;
    assert_eq!((under.server.address.as_str(), under.server.skip_verify), ("http://contract", false));
    assert_eq!((under.auth.token_file.as_str(), under.server.ca_pem.as_deref()), ("/projected/token", Some("pem")));
}

#[test]
fn reads_directories_and_says_what_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    let fails = |paths: &[String]| load(paths, None, &Env::new()).unwrap_err().answer;
    assert!(fails(std::slice::from_ref(&path)).contains("no .hcl or .json file"));
    std::fs::write(dir.path().join("b.json"), r#"{"template": {"contents": "x", "destination": "/d/x"}}"#).unwrap();
    let method = "auto_auth { method \"token_file\" { config { token_file_path = \"/t\" } } }";
    std::fs::write(dir.path().join("a.hcl"), method).unwrap();
    std::fs::write(dir.path().join(".a.hcl.swp"), "not read {").unwrap();
    assert_eq!(load(&[path], None, &Env::new()).unwrap().config.outputs.len(), 1);
    assert!(fails(&["/gone.hcl".to_owned()]).contains("/gone.hcl"));
}

#[test]
fn the_environment_names_files_by_openbaos_name_or_vaults() {
    let named = |pairs: &[(&str, &str)]| {
        named_by(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    };
    assert_eq!(named(&[]), [""; 0]);
    assert_eq!(named(&[("BAO_AGENT_CONFIG_PATH", "")]), [""; 0]);
    assert_eq!(named(&[("VAULT_AGENT_CONFIG_PATH", "/a.hcl, /b,")]), ["/a.hcl", "/b"]);
    assert_eq!(named(&[("VAULT_AGENT_CONFIG_PATH", "/a"), ("BAO_AGENT_CONFIG_PATH", "/b")]), ["/b"]);
}

#[test]
fn a_program_and_its_variables_are_one_output() {
    let auth = r#"auto_auth { method "token_file" { config = { token_file_path = "/t" } } }"#;
    let hcl = r#"
        env_template "B" { contents = "b" }
        env_template "A" {
          contents             = "{{ with secret \"s\" }}{{ .Data.a }}{{ end }}"
          error_on_missing_key = true
          function_blacklist   = ["env"]
        }
        exec {
          command                   = ["app", "serve"]
          restart_on_secret_changes = "never"
          restart_stop_signal       = "SIGHUP"
        }"#;
    let loaded = read(&format!("{auth}\n{hcl}")).unwrap();
    let [output] = loaded.config.outputs.as_slice() else { panic!("{:?}", loaded.config.outputs) };
    let Source::Environment(source) = &output.source else { panic!("{:?}", output.source) };
    let names: Vec<&str> = source.variables.iter().map(|variable| variable.name.as_str()).collect();
    assert_eq!((names, source.restart, output.layout), (vec!["B", "A"], false, Layout::Served));
    assert!(matches!(&source.variables[1].source, Source::Template(template) if template.denied == ["env"]));
    let words = ["app", "serve"].map(str::to_owned).to_vec();
    assert_eq!(loaded.program, Some(Program { words, restart: false, stop: Signal::Hup }));

    let json = r#"{"env_template": [{"A": {"contents": "a"}}, {"B": {"contents": "b"}}],
        "auto_auth": {"method": {"token_file": {"config": {"token_file_path": "/t"}}}}}"#;
    let loaded = read(json).unwrap();
    let Source::Environment(source) = &loaded.config.outputs[0].source else { panic!("{:?}", loaded.config.outputs) };
    assert!(source.variables.len() == 2 && source.restart && loaded.starts_program());
}
