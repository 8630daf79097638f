//! Every namespace of these tests enforces pod security *restricted* and every service account has automount off; here is who
//! can read the files, and what stays out of reach.

use serde_json::json;
use sidekey_e2e::wait::START;
use sidekey_e2e::{Sandbox, Shape};

fn start(name: &str, change: impl FnOnce(&mut Shape)) -> (Sandbox, sidekey_e2e::Pod) {
    let sandbox = Sandbox::new(name).with_role();
    sandbox.put("web", &json!({"value": "seen"}));
    let mut shape = Shape::new("web", &["sleep"]).native(&[
        ("inject", "true"),
        ("role", &sandbox.namespace),
        ("secret-web", &format!("secret/data/{}/web", sandbox.namespace)),
        ("field-web", "value"),
    ]);
    change(&mut shape);
    let pod = sandbox.start(&shape);
    pod.ready(START);
    (sandbox, pod)
}

#[test]
fn an_app_with_a_uid_of_its_own_reads_its_files_and_nobody_elses_state() {
    let (_sandbox, pod) = start("uid", |shape| {
        shape.manifest["spec"]["containers"][0]["securityContext"]["runAsUser"] = json!(12345);
    });
    assert_eq!(pod.read("/secrets/web"), "seen");
    assert!(
        !pod.exec("app", &["/probe", "cat", "/sidekey/state/status.json"]).ok,
        "the agent's state is not the app's"
    );
    assert!(
        !pod.exec("app", &["/probe", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token"]).ok,
        "automount is off"
    );
}

#[test]
fn two_apps_with_different_uids_read_the_same_files() {
    let (_sandbox, pod) = start("uids", |shape| {
        let mut second = shape.manifest["spec"]["containers"][0].clone();
        shape.manifest["spec"]["containers"][0]["securityContext"]["runAsUser"] = json!(12345);
        second["name"] = json!("second");
        second["securityContext"]["runAsUser"] = json!(54321);
        shape.manifest["spec"]["containers"].as_array_mut().expect("containers").push(second);
    });
    assert_eq!(pod.read("/secrets/web"), "seen");
    assert_eq!(pod.exec("second", &["/probe", "cat", "/secrets/web"]).expect("second"), "seen");
}

#[test]
fn with_an_fs_group_the_files_are_for_that_group_alone() {
    let (_sandbox, pod) = start("fsgroup", |shape| {
        shape.manifest["spec"]["securityContext"] = json!({"fsGroup": 2000, "runAsUser": 12345});
    });
    assert_eq!(pod.read("/secrets/web"), "seen");
    let stat = pod.exec("app", &["/probe", "stat", "/secrets/web"]).expect("stat");
    let mode = stat.split(' ').next().unwrap_or_default();
    assert!(mode == "440" || mode == "400", "nobody else can read it: {stat}");
}

#[test]
fn a_guaranteed_pod_stays_guaranteed() {
    let (_sandbox, pod) = start("qos", |shape| {
        let amount = json!({"cpu": "20m", "memory": "32Mi"});
        shape.manifest["spec"]["containers"][0]["resources"] = json!({"requests": amount, "limits": amount});
    });
    assert_eq!(pod.object()["status"]["qosClass"], "Guaranteed");
    assert_eq!(pod.read("/secrets/web"), "seen");
}
