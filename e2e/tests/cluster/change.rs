//! What is done after a change: programs of the image with busybox, signals.

use serde_json::json;
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Sandbox, Shape, sandbox};

#[test]
fn a_shell_command_picks_the_image_with_tools_and_follows_changes() {
    let sandbox = Sandbox::new("command").with_role();
    let mut role = sandbox::role(&sandbox.namespace);
    role["audience"] = json!("");
    sandbox.role(&role);
    sandbox.put("web", &json!({"password": "first"}));
    let path = format!("secret/data/{}/web", sandbox.namespace);
    let pod = sandbox.start(&Shape::new("web", &["sleep"]).vault(&[
        ("agent-inject", "true"),
        ("role", &sandbox.namespace),
        ("agent-inject-secret-web", &path),
        (
            "agent-inject-template-web",
            &format!("{{{{ with secret \"{path}\" }}}}{{{{ .Data.data.password }}}}{{{{ end }}}}"),
        ),
        ("agent-inject-command-web", "sh -c 'tr a-z A-Z < /vault/secrets/web > /vault/secrets/upper'"),
        ("template-static-secret-render-interval", "2s"),
    ]));
    pod.ready(START);
    let image = pod.container(&pod.agent())["image"].as_str().unwrap_or_default().to_owned();
    assert!(image.contains("sidekey-agent-tools"), "{image}");
    assert_eq!(pod.read("/vault/secrets/upper"), "FIRST", "the command of the first writing ran before Ready");

    sandbox.put("web", &json!({"password": "second"}));
    until(seconds(30), "SECOND in /vault/secrets/upper", || {
        let now = pod.read("/vault/secrets/upper");
        if now == "SECOND" { Ok(()) } else { Err(now) }
    });
    assert_eq!(pod.restarts(&pod.agent()), 0);
}

#[test]
fn a_signal_reaches_the_app_after_a_change_alone() {
    let sandbox = Sandbox::new("signal").with_role();
    sandbox.put("web", &json!({"password": "first"}));
    let path = format!("secret/{}/web", sandbox.namespace);
    let shape = Shape::new("web", &["sleep"])
        .native(&[
            ("inject", "true"),
            ("role", &sandbox.namespace),
            ("secret-web.json", &path),
            ("on-change-web.json", "signal HUP probe"),
            ("static-interval", "2s"),
        ])
        .spec("shareProcessNamespace", json!(true))
        .spec("securityContext", json!({"runAsUser": 4711, "runAsGroup": 4711}));
    let pod = sandbox.start(&shape);
    pod.ready(START);
    assert_eq!(pod.restarts("app"), 0, "the first writing is no change");

    // The probe does not handle SIGHUP, so its restart is the proof that the signal came.
    sandbox.put("web", &json!({"password": "second"}));
    until(seconds(30), "restarted by SIGHUP: the app", || match pod.restarts("app") {
        1 => Ok(()),
        other => Err(format!("{other} restarts\n{}", pod.log(&pod.agent()))),
    });
    assert!(pod.read("/secrets/web.json").contains("second"));
}
