//! Environment variables of the app: by the kubelet, and by `sidekey-agent exec`.

use std::thread::sleep;

use serde_json::json;
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Pod, Sandbox, Shape, audit};

fn shape(sandbox: &Sandbox, args: &[&str], more: &[(&str, &str)]) -> Shape {
    let value = format!("secret/{}/web#password", sandbox.namespace);
    let pairs = [("inject", "true"), ("role", &sandbox.namespace), ("env-PASSWORD", &value), ("static-interval", "2s")];
    Shape::new("web", args).native(&pairs).native(more)
}

/// The same with the command in the pod, as `exec` needs it.
fn by_exec(sandbox: &Sandbox, args: &[&str], more: &[(&str, &str)]) -> Shape {
    let mut shape = shape(sandbox, args, more);
    shape.manifest["spec"]["containers"][0]["command"] = json!(["/probe"]);
    shape
}

fn says(pod: &Pod, container: &str, words: &str) {
    until(seconds(90), &format!("{words} in the log of {container}"), || {
        let log = pod.log(container);
        if log.contains(words) { Ok(()) } else { Err(format!("{log}\n{}", pod.events().join("\n"))) }
    });
}

#[test]
fn the_kubelet_sets_variables_of_an_image_whose_command_nobody_knows() {
    let sandbox = Sandbox::new("env-file").with_role();
    sandbox.put("web", &json!({"password": "it's \"$HOME\" #1"}));
    let mut shape = shape(&sandbox, &["env", "PASSWORD", "sleep"], &[("containers", "app, early, again")]);
    let app = shape.manifest["spec"]["containers"][0].clone();
    let one = |name: &str, args: serde_json::Value| {
        let mut container = app.clone();
        container["name"] = json!(name);
        container["args"] = args;
        container
    };
    shape.manifest["spec"]["initContainers"] = json!([one("early", json!(["env", "PASSWORD"]))]);
    shape.manifest["spec"]["containers"] = json!([app, one("again", json!(["env", "PASSWORD"]))]);
    let pod = sandbox.start(&shape);
    says(&pod, "app", "PASSWORD=it's \"$HOME\" #1\n");
    assert_eq!(pod.log("early"), "PASSWORD=it's \"$HOME\" #1\n");
    let env = pod.object()["spec"]["containers"][0]["env"][0].clone();
    assert_eq!(env["valueFrom"]["fileKeyRef"]["key"], "PASSWORD", "{env}");
    let seen = pod.exec("app", &["/probe", "env", "PASSWORD"]).expect("env");
    assert_eq!(seen, "PASSWORD=it's \"$HOME\" #1\n");

    // A container that starts again is given what there is then.
    sandbox.put("web", &json!({"password": "second"}));
    says(&pod, "again", "PASSWORD=second\n");
    assert_eq!(pod.restarts("app"), 0);
}

#[test]
fn exec_becomes_the_program_and_costs_one_login() {
    let sandbox = Sandbox::new("env-exec").with_role();
    sandbox.put("web", &json!({"password": "two\nlines"}));
    let pod = sandbox.start(&by_exec(&sandbox, &["env", "PASSWORD", "sleep"], &[("env-exec", "true")]));
    pod.ready(START);
    says(&pod, "app", "PASSWORD=two\nlines\n");
    assert_eq!(pod.read("/proc/1/comm"), "probe\n");
    let seen = pod.exec("app", &["/probe", "env", "PASSWORD"]);
    assert!(!seen.ok && seen.err.contains("PASSWORD: environment variable not found"), "{}{}", seen.out, seen.err);
    let asked = audit::of(&sandbox.namespace, &pod.address());
    assert_eq!(audit::count(&asked, "auth/kubernetes/login"), 1);
    assert_eq!(pod.restarts("app"), 0);
}

#[test]
fn a_change_starts_the_program_anew_and_no_container() {
    let sandbox = Sandbox::new("env-restart").with_role();
    sandbox.put("web", &json!({"password": "first"}));
    let pod = sandbox.start(&by_exec(&sandbox, &["env", "PASSWORD", "sleep"], &[("env-on-change", "restart")]));
    pod.ready(START);
    says(&pod, "app", "PASSWORD=first\n");
    sandbox.put("web", &json!({"password": "second"}));
    says(&pod, "app", "PASSWORD=second\n");
    assert_eq!(pod.restarts("app"), 0);
    assert!(pod.is_ready());
    pod.delete();
}

/// Five in ten minutes; what changes then waits, and the program goes on with what it has.
#[test]
fn restarts_in_a_row_are_bounded() {
    let sandbox = Sandbox::new("env-budget").with_role();
    sandbox.put("web", &json!({"password": "v0"}));
    let pod = sandbox.start(&by_exec(&sandbox, &["env", "PASSWORD", "sleep"], &[("env-on-change", "restart")]));
    pod.ready(START);
    for n in 1..=5 {
        sandbox.put("web", &json!({"password": format!("v{n}")}));
        says(&pod, "app", &format!("PASSWORD=v{n}\n"));
    }
    sandbox.put("web", &json!({"password": "v6"}));
    says(&pod, "app", "too many restarts: the next one waits");
    sleep(seconds(15));
    assert!(!pod.log("app").contains("PASSWORD=v6"), "{}", pod.log("app"));
    assert_eq!(pod.restarts("app"), 0);
    assert!(pod.is_ready());
}

/// With `env-on-change: restart` the agent's `exec` stays process 1 of the app's container.
#[test]
fn as_process_1_it_takes_in_orphans_hands_signals_on_and_ends_with_the_programs_code() {
    let sandbox = Sandbox::new("env-duties").with_role();
    sandbox.put("web", &json!({"password": "first"}));
    let shape = by_exec(&sandbox, &["duties"], &[("env-on-change", "restart")]).spec("restartPolicy", json!("Never"));
    let pod = sandbox.start(&shape);
    pod.ready(START);
    says(&pod, "app", "0 zombies after 3 orphans\n");
    assert_eq!(pod.read("/proc/1/comm"), "sidekey-agent\n");
    pod.exec("app", &["/probe", "signal", "1", "USR1"]).expect("signal");
    says(&pod, "app", "SIGUSR1\n");
    pod.exec("app", &["/probe", "signal", "1", "TERM"]).expect("signal");
    until(seconds(30), "ended with the program's code: the app", || {
        let statuses = pod.object()["status"]["containerStatuses"].clone();
        let code = statuses.as_array().into_iter().flatten().find(|one| one["name"] == "app");
        match code.map(|one| &one["state"]["terminated"]["exitCode"]) {
            Some(code) if *code == 7 => Ok(()),
            _ => Err(statuses.to_string()),
        }
    });
}

#[test]
fn a_command_that_only_the_image_knows_is_refused_with_what_to_write() {
    let sandbox = Sandbox::new("env-denied");
    let body = sandbox.refused(&shape(&sandbox, &["sleep"], &[("env-exec", "true")]));
    for words in ["SK1030", "sidekey.dev/env-PASSWORD", "`app` has no command", "ENTRYPOINT"] {
        assert!(body.contains(words), "{words}: {body}");
    }
}
