//! Never a gap: each second, for four minutes and more, the app reads its credential and logs in with it, once, no retries.
//! Connections opened with each credential and held must answer until that lease's natural end.

use std::thread;

use serde_json::{Value, json};
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Pod, Sandbox, Shape, audit, sandbox, setting};

/// The claim's duration. A credential of three minutes lasts two rotations only after that, so the watch goes on for them.
const SECONDS: u64 = 240;
const AT_MOST: u64 = 480;
const USERS: u64 = 3;

#[test]
fn no_login_fails_with_a_lease_of_one_minute_that_renews_to_three() {
    let sandbox = reader("db-native");
    sandbox.database(&json!({}));
    watched(&sandbox, &native(&sandbox));
}

#[test]
fn no_login_fails_with_a_lease_of_one_minute_that_renews_to_three_vault_dialect() {
    let sandbox = reader("db-vault");
    sandbox.database(&json!({}));
    let mut role = sandbox::role(&sandbox.namespace);
    role["audience"] = json!("");
    sandbox.role(&role);
    let path = format!("database/creds/{}", sandbox.namespace);
    let template = format!(
        "{{{{ with secret \"{path}\" }}}}{{\"username\": \"{{{{ .Data.username }}}}\", \"password\": \"{{{{ .Data.password }}}}\"}}{{{{ end }}}}"
    );
    let shape = watch("/vault/secrets/db.json").vault(&[
        ("agent-inject", "true"),
        ("role", &sandbox.namespace),
        ("agent-inject-secret-db.json", &path),
        ("agent-inject-template-db.json", &template),
    ]);
    watched(&sandbox, &shape);
}

/// Nothing extends this lease, the token lives two minutes at a time, and the user is never dropped: a stale file would go
/// on logging in if PostgreSQL did not end the role itself (`VALID UNTIL`). Name and password are two files of one answer,
/// read as a pair.
#[test]
fn no_login_fails_with_a_lease_at_its_maximum_under_a_periodic_token() {
    let sandbox = reader("db-fixed");
    sandbox.database(&json!({"max_ttl": "1m", "revocation_statements": ["SELECT 1"]}));
    let mut role = sandbox::role(&sandbox.namespace);
    role["token_period"] = json!("2m");
    role["token_ttl"] = json!(0);
    sandbox.role(&role);
    let path = format!("database/creds/{}", sandbox.namespace);
    let shape = watch("/secrets").native(&[
        ("inject", "true"),
        ("role", &sandbox.namespace),
        ("secret-username", &path),
        ("field-username", "username"),
        ("secret-password", &path),
        ("field-password", "password"),
    ]);
    watched(&sandbox, &shape);
}

/// Without Vault's `default` policy a token may not even look at, renew or revoke itself, nor renew a lease.
#[test]
fn no_login_fails_when_the_policy_grants_the_read_and_nothing_else() {
    let sandbox = reader("db-bare");
    sandbox.database(&json!({}));
    let mut role = sandbox::role(&sandbox.namespace);
    role["token_no_default_policy"] = json!(true);
    sandbox.role(&role);
    watched(&sandbox, &native(&sandbox));
}

/// Such a token that lives two minutes: its end is also its leases' end, which PostgreSQL's `VALID UNTIL` does not show, so
/// nothing is claimed of connections that are held.
#[test]
fn no_login_fails_when_the_token_ends_before_its_leases() {
    let sandbox = reader("db-short");
    sandbox.database(&json!({}));
    let mut role = sandbox::role(&sandbox.namespace);
    role["token_no_default_policy"] = json!(true);
    role["token_ttl"] = json!("2m");
    role["token_max_ttl"] = json!("2m");
    sandbox.role(&role);
    logins_hold(&sandbox, &native(&sandbox));
}

/// A policy that grants only `read` on the creds path.
fn reader(name: &str) -> Sandbox {
    let sandbox = Sandbox::new(name).with_role();
    sandbox.grant(&format!("path \"database/creds/{}\" {{ capabilities = [\"read\"] }}", sandbox.namespace));
    sandbox
}

fn native(sandbox: &Sandbox) -> Shape {
    watch("/secrets/db.json").native(&[
        ("inject", "true"),
        ("role", &sandbox.namespace),
        ("secret-db.json", &format!("database/creds/{}", sandbox.namespace)),
    ])
}

fn watch(file: &str) -> Shape {
    let (seconds, users, at_most) = (SECONDS.to_string(), USERS.to_string(), AT_MOST.to_string());
    Shape::new("web", &["watch", &setting().postgres, file, &seconds, &users, &at_most])
        .spec("restartPolicy", json!("Never"))
}

fn watched(sandbox: &Sandbox, shape: &Shape) {
    let tally = logins_hold(sandbox, shape);
    let count = |field: &str| tally[field].as_u64().expect(field);
    assert_eq!(count("held_broken_early"), 0, "{tally}");
    assert!(count("held_queries") >= SECONDS / 2, "{tally}");
}

fn logins_hold(sandbox: &Sandbox, shape: &Shape) -> Value {
    let pod = sandbox.start(shape);
    pod.ready(START);
    thread::sleep(seconds(SECONDS - 20));
    let tally = until(seconds(AT_MOST), "the watch's last line", || tally(&pod));
    println!("{}: {tally}", sandbox.namespace);
    let count = |field: &str| tally[field].as_u64().expect(field);
    assert!(
        count("seconds") >= SECONDS && count("attempts") == count("seconds"),
        "fewer attempts than planned: {tally}"
    );
    assert_eq!((count("failures"), count("torn")), (0, 0), "{tally}");
    assert!(count("users") >= USERS, "{tally}");
    counted(sandbox, &pod, count("seconds"), count("users"));
    tally
}

/// What all this cost Vault: nothing loops.
fn counted(sandbox: &Sandbox, pod: &Pod, seconds: u64, users: u64) {
    let seen = audit::of(&sandbox.namespace, &pod.address());
    let refused = seen.iter().filter(|it| it.error.is_some()).count();
    println!("{}: {} requests in {seconds} s, {refused} of them refused", sandbox.namespace, seen.len());
    // Each credential: one read and a few renewals; the token: a renewal or a login a minute.
    let bound = usize::try_from(users * 6 + seconds / 20).expect("small");
    assert!(seen.len() <= bound, "{} requests are more than {bound}", seen.len());
    let issued = audit::count(&seen, "database/creds/");
    assert!(issued as u64 <= users + 2, "{issued} leases for {users} users");
}

fn tally(pod: &Pod) -> Result<Value, String> {
    let log = pod.log("app");
    let last = log.lines().last().unwrap_or_default();
    let line: Value = serde_json::from_str(last).map_err(|_| last.to_owned())?;
    if line["attempts"].is_u64() { Ok(line) } else { Err(last.to_owned()) }
}
