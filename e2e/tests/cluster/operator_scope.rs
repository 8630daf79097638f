//! Who may use what: one connection and one login for the namespaces of a label, and a VaultAuth lent by name.

use serde_json::{Value, json};
use sidekey_e2e::kept::{ADDRESS, OPERATOR, condition};
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, Sandbox, api, sandbox, setting};

const OWN: &str = "/apis/sidekey.dev/v1alpha1";
const VSS: &str = "vaultstaticsecrets";

/// A namespace without a connection and without a login.
fn bare(name: &str) -> Kept {
    Kept { sandbox: Sandbox::new(name) }
}

/// A ClusterVaultConnection and a ClusterVaultAuth of one name, for namespaces that have it as a label, and the CA's Secret in
/// the operator's namespace. They go when the test ends.
struct Wide(String);

impl Wide {
    /// By the role of this namespace; `more` overrides the login's spec.
    fn new(of: &Kept, more: &Value) -> Self {
        let wide = Self(of.sandbox.namespace.clone());
        let secret = json!({"metadata": {"name": wide.0}, "stringData": {"ca.crt": setting().vault.pem()}});
        api::create(&format!("/api/v1/namespaces/{OPERATOR}/secrets"), &secret).expect("the CA");
        let selector = json!({"matchLabels": {"e2e": wide.0}});
        let connection = json!({"address": ADDRESS, "caCertSecretRef": wide.0, "namespaceSelector": selector});
        wide.create("clustervaultconnections", "ClusterVaultConnection", &connection);
        let mut auth = of.auth(&wide.0);
        auth["namespaceSelector"] = selector;
        for (key, value) in more.as_object().into_iter().flatten() {
            auth[key] = value.clone();
        }
        wide.create("clustervaultauths", "ClusterVaultAuth", &auth);
        wide
    }

    fn create(&self, plural: &str, kind: &str, spec: &Value) {
        let metadata = json!({"name": self.0});
        let object = json!({"apiVersion": "sidekey.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        api::create(&format!("{OWN}/{plural}"), &object).expect(kind);
    }

    /// Gives a namespace the label.
    fn select(&self, kept: &Kept) {
        let labels = json!({"metadata": {"labels": {"e2e": self.0}}});
        api::patch(&format!("/api/v1/namespaces/{}", kept.sandbox.namespace), &labels).expect("a label");
    }

    fn ready(&self, plural: &str, status: &str) -> String {
        until(seconds(60), &format!("{plural}/{} Ready={status}", self.0), || {
            let ready = condition(&api::get(&format!("{OWN}/{plural}/{}", self.0)).json(), "Ready");
            let message = ready["message"].as_str().unwrap_or_default().to_owned();
            if ready["status"] == status { Ok(message) } else { Err(ready.to_string()) }
        })
    }
}

impl Drop for Wide {
    fn drop(&mut self) {
        api::delete(&format!("{OWN}/clustervaultauths/{}", self.0));
        api::delete(&format!("{OWN}/clustervaultconnections/{}", self.0));
        api::delete(&format!("/api/v1/namespaces/{OPERATOR}/secrets/{}", self.0));
    }
}

/// The first namespace's role, for service accounts `app` of all of these.
fn bind(role_of: &Kept, namespaces: &[&Kept]) {
    let mut role = sandbox::role(&role_of.sandbox.namespace);
    role["bound_service_account_namespaces"] = namespaces.iter().map(|kept| json!(kept.sandbox.namespace)).collect();
    role_of.sandbox.role(&role);
}

/// The secret `web` of the first namespace's folder. Nothing but news brings a second look.
fn web(kept: &Kept, folder: &Kept, auth: &str) {
    let path = format!("{}/web", folder.sandbox.namespace);
    kept.static_secret("web", &json!({"path": path, "vaultAuthRef": auth, "refreshAfter": "1h"}));
}

fn has_no_secret(kept: &Kept) {
    assert_eq!(api::get(&kept.secret_path("web")).status, 404, "a Secret in {}", kept.sandbox.namespace);
}

#[test]
fn a_cluster_wide_login_serves_the_namespaces_that_it_selects_and_no_other() {
    let inside = Kept { sandbox: Sandbox::new("op-wide-in").with_role() };
    let outside = bare("op-wide-out");
    bind(&inside, &[&inside, &outside]);
    inside.sandbox.put("web", &json!({"user": "app"}));
    let wide = Wide::new(&inside, &json!({}));
    wide.select(&inside);
    web(&inside, &inside, &wide.0);
    web(&outside, &inside, &wide.0);
    inside.holds("web", "user", "app");
    inside.ready(VSS, "web", "True");
    wide.ready("clustervaultauths", "True");
    wide.ready("clustervaultconnections", "True");
    let words = outside.ready(VSS, "web", "False");
    let told = format!("neither its allowedNamespaces nor its namespaceSelector admit {}", outside.sandbox.namespace);
    assert!(words.contains("SK7003") && words.contains(&told), "{words}");
    has_no_secret(&outside);
    wide.select(&outside);
    outside.holds("web", "user", "app");
    outside.ready(VSS, "web", "True");
}

/// For the login and for the connection alike, from the moment it is there until it goes.
#[test]
fn an_object_of_the_namespace_wins_over_the_cluster_wide_one_of_its_name() {
    let kept = Kept { sandbox: Sandbox::new("op-wide-name").with_role() };
    kept.sandbox.put("web", &json!({"user": "app"}));
    let mut auth = kept.auth(&kept.sandbox.namespace);
    auth["kubernetes"]["role"] = json!("nobody");
    let wide = Wide::new(&kept, &auth);
    let name = wide.0.as_str();
    wide.select(&kept);
    web(&kept, &kept, name);
    let words = kept.ready(VSS, "web", "False");
    assert!(words.contains("role nobody"), "{words}");
    assert!(wide.ready("clustervaultauths", "False").contains("role nobody"), "its own condition");
    until(seconds(20), "told in an event of the namespace default", || {
        let events = api::events("default", name);
        if events.iter().any(|it| it.contains("role nobody")) { Ok(()) } else { Err(events.join("\n")) }
    });
    has_no_secret(&kept);

    kept.create("vaultauths", "VaultAuth", name, &kept.auth(name));
    kept.holds("web", "user", "app");
    kept.ready(VSS, "web", "True");
    kept.ready("vaultauths", name, "True");

    // Without a CA it trusts nobody.
    kept.create("vaultconnections", "VaultConnection", name, &json!({"address": ADDRESS}));
    kept.ready("vaultconnections", name, "False");
    kept.ready("vaultauths", name, "False");
    wide.ready("clustervaultconnections", "True");
    kept.remove("vaultconnections", name);
    kept.ready("vaultauths", name, "True");
    kept.remove("vaultauths", name);
    let words = kept.ready(VSS, "web", "False");
    assert!(words.contains("role nobody"), "{words}");
    kept.holds("web", "user", "app");
}

#[test]
fn a_login_of_another_namespace_serves_those_that_it_names() {
    let (owner, friend, stranger) = (Kept::new("op-lend"), bare("op-lend-friend"), bare("op-lend-other"));
    bind(&owner, &[&friend, &stranger]);
    owner.sandbox.put("web", &json!({"user": "app"}));
    let name = |kept: &Kept| kept.sandbox.namespace.clone();
    let lend = |to: &Value| owner.edit("vaultauths", "vault", &json!({"allowedNamespaces": to}));
    lend(&json!([name(&friend)]));
    let reference = format!("{}/vault", name(&owner));
    web(&friend, &owner, &reference);
    web(&stranger, &owner, &reference);
    friend.holds("web", "user", "app");
    friend.ready(VSS, "web", "True");
    let words = stranger.ready(VSS, "web", "False");
    let told = format!("its allowedNamespaces do not have {}", name(&stranger));
    assert!(words.contains("SK7003") && words.contains(&told), "{words}");
    has_no_secret(&stranger);

    lend(&json!([name(&stranger)]));
    stranger.holds("web", "user", "app");
    stranger.ready(VSS, "web", "True");
    let words = friend.ready(VSS, "web", "False");
    assert!(words.contains("SK7003"), "{words}");
    friend.holds("web", "user", "app");
}
