//! A secret at trace level: it is in the file, and nowhere else that a person or a log collector looks.

use serde_json::json;
use sidekey_e2e::wait::{START, seconds};
use sidekey_e2e::{Sandbox, Shape, api, setting};

#[test]
fn a_secret_is_in_no_log_event_status_or_manifest() {
    let marker = "m4rk3r-7f3a9c-never-printed";
    let sandbox = Sandbox::new("marker").with_role();
    sandbox.put("web", &json!({"value": marker}));
    let path = format!("secret/data/{}/web", sandbox.namespace);
    let pod = sandbox.start(&Shape::new("web", &["sleep"]).native(&[
        ("inject", "true"),
        ("role", &sandbox.namespace),
        ("secret-web", &path),
        ("field-web", "value"),
        // Fails on its data, with the secret at hand: what it says must not quote it.
        ("secret-broken.txt", &path),
        ("template-broken.txt", &format!("{{{{#with (secret \"{path}\")}}}}{{{{data.nosuch.deeper}}}}{{{{/with}}}}")),
        ("optional-broken.txt", "true"),
        ("log-level", "trace"),
        ("static-interval", "1s"),
    ]));
    pod.ready(START);
    assert_eq!(pod.read("/secrets/web"), marker);
    std::thread::sleep(seconds(5));

    let log = pod.log(&pod.agent());
    assert!(log.lines().count() >= 3, "the log says something: {log}");
    let system = format!("/api/v1/namespaces/{}/pods", setting().system);
    let webhooks: Vec<String> = api::get(&system).json()["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it["metadata"]["name"].as_str().map(|name| api::get(&format!("{system}/{name}/log")).body))
        .collect();
    assert!(!webhooks.is_empty());
    let status = pod.status();
    let places =
        [("log", log), ("status", status), ("object", pod.object().to_string()), ("events", pod.events().join("\n"))];
    for (place, text) in places.into_iter().chain(webhooks.into_iter().map(|log| ("webhook's log", log))) {
        assert!(!text.contains(marker), "the secret is in the {place}");
        assert!(!text.contains("eyJhbGci"), "a service account token is in the {place}");
        assert!(!text.contains("hvs."), "a Vault token is in the {place}");
    }
}
