//! Logins that change under way: a VaultAuth that is edited, a token that Vault forgets. The Secrets follow within seconds.

use std::time::Instant;

use serde_json::json;
use sidekey_e2e::kept::restarted;
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, audit, sandbox};

const VSS: &str = "vaultstaticsecrets";

/// A role of a name beside the sandbox's own, whose policy reads one of its secrets only. Nothing takes it away: a Vault of tests
/// ends with them.
fn role_for(kept: &Kept, secret: &str) -> String {
    let name = format!("{}-{secret}", kept.sandbox.namespace);
    let path = format!("secret/data/{}/{secret}", kept.sandbox.namespace);
    sandbox::vault().policy(&name, &format!("path \"{path}\" {{ capabilities = [\"read\"] }}"));
    let mut role = sandbox::role(&kept.sandbox.namespace);
    role["token_policies"] = json!([name]);
    sandbox::vault().write(&format!("auth/kubernetes/role/{name}"), &role);
    name
}

fn take(kept: &Kept, role: &str) {
    kept.edit("vaultauths", "vault", &json!({"kubernetes": {"role": role}}));
}

/// Seconds that a Secret may need after the edit, with a machine full of other tests.
const SOON: u64 = 20;

/// Each is looked at once an hour: nothing but the edit brings the next look.
#[test]
fn an_edited_login_is_taken_up_within_seconds_first_to_mend_it_then_for_another_role() {
    let kept = Kept::new("op-edit");
    let (web, store) = (role_for(&kept, "web"), role_for(&kept, "store"));
    let workload = kept.workload("deployments", "web");
    let targets = json!([{"kind": "Deployment", "name": "web"}]);
    take(&kept, "nobody");
    for name in ["web", "store"] {
        kept.sandbox.put(name, &json!({"user": name}));
        kept.static_secret(name, &json!({"refreshAfter": "1h", "rolloutRestartTargets": targets}));
        let words = kept.ready(VSS, name, "False");
        assert!(words.contains("role nobody"), "{words}");
    }
    let mended = |role: &str, name: &str| {
        let begun = Instant::now();
        take(&kept, role);
        kept.holds(name, "user", name);
        kept.ready(VSS, name, "True");
        kept.ready("vaultauths", "vault", "True");
        println!("{}: role {role} taken up after {:?}", kept.sandbox.namespace, begun.elapsed());
        assert!(begun.elapsed() < seconds(SOON), "{:?}", begun.elapsed());
    };
    mended(&web, "web");
    let words = kept.ready(VSS, "store", "False");
    assert!(words.contains("SK4001"), "{words}");
    mended(&store, "store");
    let words = kept.ready(VSS, "web", "False");
    assert!(words.contains("SK4001"), "the old login is not used any more: {words}");
    kept.holds("web", "user", "web");
    assert_eq!(restarted(&workload), None, "another login is no other data");
}

/// As `vault token revoke` does, or a Vault that was set up anew.
#[test]
fn a_token_that_vault_forgets_is_replaced_and_restarts_nobody() {
    let kept = Kept::new("op-revoked");
    let workload = kept.workload("deployments", "web");
    kept.sandbox.put("web", &json!({"user": "app"}));
    kept.static_secret("web", &json!({"rolloutRestartTargets": [{"kind": "Deployment", "name": "web"}]}));
    kept.holds("web", "user", "app");
    kept.ready(VSS, "web", "True");
    let logins = || {
        let mut seen = audit::of(&kept.sandbox.namespace, "");
        seen.retain(|entry| entry.path == "auth/kubernetes/login");
        seen
    };
    let first = logins().pop().and_then(|entry| entry.accessor).expect("the accessor of a login");
    sandbox::vault().write("auth/token/revoke-accessor", &json!({"accessor": first}));
    until(seconds(SOON), "logged in anew", || match logins().len() {
        2 => Ok(()),
        logins => Err(format!("{logins} logins")),
    });
    assert_eq!(restarted(&workload), None, "another login is no other data");
    kept.sandbox.put("web", &json!({"user": "other"}));
    kept.holds("web", "user", "other");
    kept.ready(VSS, "web", "True");
    assert_eq!(logins().len(), 2, "one for the one that was revoked");
}
