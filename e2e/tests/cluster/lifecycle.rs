//! How a pod's secrets end, and how an agent that dies goes on.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Pod, Sandbox, Shape, api, audit, command, setting};

#[test]
fn a_job_completes_and_its_token_is_revoked() {
    let sandbox = Sandbox::new("job").with_role();
    sandbox.put("web", &json!({"value": "seen"}));
    let shape = Shape::new("web", &["cat", "/secrets/web"])
        .native(&[
            ("inject", "true"),
            ("role", &sandbox.namespace),
            ("secret-web", &format!("secret/data/{}/web", sandbox.namespace)),
            ("field-web", "value"),
        ])
        .spec("restartPolicy", json!("Never"));
    let jobs = format!("/apis/batch/v1/namespaces/{}/jobs", sandbox.namespace);
    let template =
        json!({"metadata": {"annotations": shape.manifest["metadata"]["annotations"]}, "spec": shape.manifest["spec"]});
    api::create(&jobs, &json!({"metadata": {"name": "once"}, "spec": {"template": template, "backoffLimit": 0}}))
        .expect("job");
    until(seconds(90), "complete: the Job", || {
        let status = api::get(&format!("{jobs}/once")).json()["status"].clone();
        if status["succeeded"] == 1 { Ok(()) } else { Err(status) }
    });
    let accessor = only_accessor(&sandbox);
    until(seconds(20), "revoked: the Job's token", || dead(&accessor));
}

#[test]
fn the_database_user_of_a_deleted_pod_disappears() {
    let sandbox = Sandbox::new("gone").with_role();
    // Nothing but a revocation ends this one while the test looks.
    sandbox.database(&json!({"default_ttl": "1h", "max_ttl": "2h"}));
    sandbox.grant(&format!("path \"database/creds/{}\" {{ capabilities = [\"read\"] }}", sandbox.namespace));
    let pod = sandbox.start(&with_credential(&sandbox, Shape::new("web", &["sleep"])));
    pod.ready(START);
    let credential: serde_json::Value = serde_json::from_str(&pod.read("/secrets/db.json")).expect("JSON");
    let user = credential["username"].as_str().expect("a user name");
    assert!(exists(user), "{user} was made");
    let accessor = only_accessor(&sandbox);
    pod.delete();
    until(seconds(20), "revoked: the pod's token", || dead(&accessor));
    until(seconds(20), &format!("dropped: {user}"), || if exists(user) { Err("still there") } else { Ok(()) });
}

#[test]
fn a_killed_agent_resumes_without_a_new_login_or_lease() {
    let sandbox = Sandbox::new("kill").with_role();
    sandbox.database(&json!({"default_ttl": "10m", "max_ttl": "30m"}));
    sandbox.grant(&format!(
        "path \"database/creds/{0}\" {{ capabilities = [\"read\"] }} path \"secret/data/{0}/*\" {{ capabilities = [\"read\"] }}",
        sandbox.namespace
    ));
    sandbox.put("web", &json!({"value": "first"}));
    // Processes of one pod and one uid may kill each other: that is how the agent dies here.
    let shape = Shape::new("web", &["sleep"])
        .native(&[
            ("secret-web", &format!("secret/data/{}/web", sandbox.namespace)),
            ("field-web", "value"),
            ("static-interval", "2s"),
        ])
        .spec("shareProcessNamespace", json!(true))
        .spec("securityContext", json!({"runAsUser": 12345, "runAsGroup": 12345}));
    let pod = sandbox.start(&with_credential(&sandbox, shape));
    pod.ready(START);
    let before = pod.read("/secrets/db.json");

    for kill in 1..=2 {
        let unready = thread::scope(|scope| {
            let watch = scope.spawn(|| unready_for(&pod, seconds(40)));
            pod.exec("app", &["/probe", "kill", "sidekey-agent"]).expect("kill");
            watch.join().expect("the watch")
        });
        assert_eq!(pod.restarts("sidekey-agent"), kill);
        println!("{}: not Ready for {unready:?} of the 40 s after kill {kill}", sandbox.namespace);
        // Until it has started the container again, which it puts off longer each time, the kubelet counts it as not ready.
        assert!(unready <= seconds(if kill == 1 { 5 } else { 25 }), "not Ready for {unready:?}");
        assert_eq!(pod.read("/secrets/db.json"), before, "the same credential");
    }
    assert_eq!(pod.restarts("app"), 0);
    let seen = audit::of(&sandbox.namespace, &pod.address());
    assert_eq!(audit::count(&seen, "auth/kubernetes/login"), 1, "logins");
    assert_eq!(audit::count(&seen, "database/creds/"), 1, "leases");

    // It did not only come back, it works: a change still arrives.
    sandbox.put("web", &json!({"value": "second"}));
    until(seconds(30), "changed: the file", || {
        let now = pod.read("/secrets/web");
        if now == "second" { Ok(()) } else { Err(now) }
    });
}

fn with_credential(sandbox: &Sandbox, shape: Shape) -> Shape {
    shape.native(&[
        ("inject", "true"),
        ("role", &sandbox.namespace),
        ("secret-db.json", &format!("database/creds/{}", sandbox.namespace)),
    ])
}

/// How long, of the time watched, the pod was not Ready; looked at each tenth of a second.
fn unready_for(pod: &Pod, watched: Duration) -> Duration {
    let end = Instant::now() + watched;
    let mut unready = Duration::ZERO;
    let mut last = Instant::now();
    while last < end {
        thread::sleep(Duration::from_millis(100));
        let now = Instant::now();
        if !pod.is_ready() {
            unready += now - last;
        }
        last = now;
    }
    unready
}

/// The accessor of the one token this sandbox's pods got.
fn only_accessor(sandbox: &Sandbox) -> String {
    let seen = audit::of(&sandbox.namespace, "");
    let mut accessors: Vec<String> = seen.into_iter().filter_map(|it| it.accessor).collect();
    accessors.sort();
    accessors.dedup();
    assert_eq!(accessors.len(), 1, "{accessors:?}");
    accessors.remove(0)
}

fn dead(accessor: &str) -> Result<(), &'static str> {
    if setting().vault.is_alive(accessor) { Err("the token lives") } else { Ok(()) }
}

/// Whether PostgreSQL has this role. The name is Vault's, of letters, digits and dashes.
fn exists(user: &str) -> bool {
    let (host, port) = setting().postgres.rsplit_once(':').expect("host:port");
    let address = format!("postgresql://vaultadmin:vaultadmin@{host}:{port}/postgres");
    let query = format!("select count(*) from pg_roles where rolname = '{user}'");
    command::run("psql", &["-tAqc", &query, &address], "").expect("psql").trim() == "1"
}
