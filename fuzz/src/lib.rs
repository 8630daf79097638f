//! What is fed with arbitrary bytes, and what must hold for all of them. One function a target; `targets/` gives them to
//! libFuzzer. A panic, a broken promise, ten seconds or 512 MiB for one input end the run with the input.
#![allow(clippy::expect_used, clippy::panic, reason = "a broken promise ends the run")]

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sidekey_core::contract::{Dialect, Engine, Source, Template};
use sidekey_core::{Lookup, Response, Value as Secret};
use sidekey_inject::registry::{NATIVE, OPENBAO, TABLE, VAULT};
use sidekey_inject::{Facts, Outcome, Settings, mutate};
use sidekey_runtime::metrics::registry;
use sidekey_template::{Frozen, Inputs, Rendered, compile};
use sidekey_webhook::admit::Admission;
use sidekey_webhook::metrics::Metrics;
use sidekey_webhook::review::Review;

/// A whole review, as bytes from the network.
pub fn review(bytes: &[u8]) {
    static ADMISSION: LazyLock<Admission> = LazyLock::new(|| {
        let metrics = Metrics::register(&mut registry("sidekey_webhook", "0"));
        Admission::new(Settings::default(), true, metrics)
    });
    match ADMISSION.answer(bytes) {
        Ok(answer) => {
            let answer: Value = serde_json::from_slice(&answer.0).expect("an answer is JSON");
            let asked: Review<'_> = serde_json::from_slice(bytes).expect("what was answered is a review");
            assert_eq!(answer["response"]["uid"], *asked.request.uid, "it answers what was asked");
            let Some(patch) = answer["response"]["patch"].as_str() else { return };
            let patch = STANDARD.decode(patch).expect("a patch is base64");
            assert!(serde_json::from_slice::<Value>(&patch).is_ok_and(|patch| patch.is_array()), "a patch is a list");
        }
        Err(refusal) => assert_eq!(refusal.status, 400, "{}", refusal.cause),
    }
}

/// A pod with any annotations of any dialect.
pub fn annotations(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let mut found = Map::new();
    let prefix = [NATIVE, VAULT, OPENBAO][usize::from(first % 3)];
    found.insert(format!("{prefix}{}", if prefix == NATIVE { "inject" } else { "agent-inject" }), "true".into());
    found.insert(format!("{prefix}role"), "web".into());
    // A record is the place of a key in the table, its suffix, a space, the value; zeros part them.
    for record in rest.split(|byte| *byte == 0) {
        let Some((place, text)) = record.split_first() else { continue };
        let text = String::from_utf8_lossy(text);
        let (suffix, value) = text.split_once(' ').unwrap_or((&text, ""));
        found.insert(key(prefix, *place, suffix), value.into());
    }
    hold(found, first & 64 == 0, &Settings::default());
}

/// A key of the table, or one that is nearly of it.
fn key(prefix: &str, place: u8, suffix: &str) -> String {
    static KEYS: LazyLock<[Vec<&str>; 2]> = LazyLock::new(|| {
        [Dialect::Native, Dialect::Vault]
            .map(|dialect| TABLE.iter().filter_map(|row| Some(row.key(dialect)?.name)).collect())
    });
    let keys = &KEYS[usize::from(prefix != NATIVE)];
    // Most places are known keys.
    match keys.get(usize::from(place) % (keys.len() + keys.len() / 8)) {
        Some(name) => format!("{prefix}{name}{suffix}"),
        None => format!("{prefix}{suffix}"),
    }
}

/// The patches that users write, in both dialects.
pub fn patch(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(rest).into_owned();
    let vault = first & 1 == 0;
    let (prefix, switch, secret) =
        if vault { (VAULT, "agent-inject", "agent-inject-secret-a") } else { (NATIVE, "inject", "secret-a") };
    let keys: &[&str] = match (vault, first & 2 == 0) {
        (true, true) => &["agent-json-patch"],
        (true, false) => &["agent-init-json-patch", "agent-json-patch"],
        (false, _) => &["json-patch"],
    };
    let mut found = Map::new();
    found.insert(format!("{prefix}{switch}"), "true".into());
    found.insert(format!("{prefix}role"), "web".into());
    found.insert(format!("{prefix}{secret}"), "secret/data/a".into());
    for key in keys {
        found.insert(format!("{prefix}{key}"), text.as_str().into());
    }
    hold(found, first & 64 == 0, &Settings::default());
}

/// The cluster's settings file.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(read) = Settings::from_yaml(text) else { return };
    let asks =
        json!({"sidekey.dev/inject": "true", "sidekey.dev/role": "web", "sidekey.dev/secret-a": "secret/data/a"});
    hold(asks.as_object().cloned().unwrap_or_default(), true, &read);
}

/// A template in either language, checked as at admission and rendered twice as in the agent.
pub fn template(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let engine = if first & 1 == 0 { Engine::Go } else { Engine::Handlebars };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let mut template = Template::inline(engine, text);
    template.error_on_missing_key = first & 2 != 0;
    let Ok(compiled) = compile("fuzz", &Source::Template(template), None) else { return };
    let _ = compiled.literal_lookups();
    let env = BTreeMap::from([("HOME".to_owned(), "/".to_owned())]);
    let inputs = Inputs { answers: &*ANSWERS, env: &env, frozen: Frozen::default() };
    let render = || match compiled.render(&inputs) {
        Ok(Rendered::Complete { bytes, .. }) => Some(bytes.expose().clone()),
        Ok(Rendered::Incomplete { missing }) => {
            assert!(!missing.is_empty(), "incomplete, and nothing is missing");
            None
        }
        Err(_) => None,
    };
    assert_eq!(render(), render(), "a rendering is a function of its data");
}

static ANSWERS: LazyLock<BTreeMap<Lookup, Arc<Response>>> = LazyLock::new(|| {
    let answer = |data: &str| {
        let data = Secret::parse(data).expect("the answers are JSON");
        Arc::new(Response { data, ..Response::default() })
    };
    let kv = r#"{"data": {"a": "b", "n": 1.50, "l": [1, null, {"x": "<y>"}], "m": {"k": true}},
        "metadata": {"version": 1, "created_time": "2026-01-01T00:00:00Z"}}"#;
    let user = r#"{"username": "v-web", "password": "p&w"}"#;
    BTreeMap::from([(Lookup::read("secret/data/a"), answer(kv)), (Lookup::read("database/creds/a"), answer(user))])
});

/// What is injected applies to the pod, and a second look has nothing more to do. For one input in sixteen it also decides
/// twice the same: that doubles the work, and what would break it, a map without an order or a clock, would show in any of them.
fn hold(annotations: Map<String, Value>, native_sidecars: bool, settings: &Settings) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "web-", "annotations": annotations},
        "spec": {"serviceAccountName": "web", "initContainers": [{"name": "migrate", "image": "app:1"}],
            "containers": [{"name": "app", "image": "app:1", "env": [{"name": "A", "value": "a"}]}, {"name": "b", "image": "b:1"}]},
    });
    let facts = Facts { namespace: "shop".to_owned(), native_sidecars, ..Facts::default() };
    let Outcome::Patch(injection) = mutate(&pod, &facts, settings) else { return };
    let mut patched = pod.clone();
    injection.patch.apply(&mut patched).expect("the patch applies to its pod");
    let bytes = |it: &sidekey_inject::Injection| serde_json::to_vec(&it.patch).expect("a patch is JSON");
    if one_in_sixteen(&pod) {
        let Outcome::Patch(again) = mutate(&pod, &facts, settings) else { panic!("decided otherwise the second time") };
        assert_eq!(bytes(&injection), bytes(&again), "the same pod gives the same bytes");
    }
    match mutate(&patched, &facts, settings) {
        Outcome::Skip(_) => {}
        Outcome::Patch(more) => {
            assert!(more.patch.is_empty(), "injected twice: {}", String::from_utf8_lossy(&bytes(&more)))
        }
        Outcome::Deny { cause, .. } => panic!("its own pod is refused: {cause}"),
    }
}

/// By the input and nothing else, so that what broke breaks again.
fn one_in_sixteen(pod: &Value) -> bool {
    let mut hasher = DefaultHasher::new();
    pod.hash(&mut hasher);
    hasher.finish() % 16 == 0
}
