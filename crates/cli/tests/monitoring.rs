//! Alerts and dashboard ask for nothing that the webhook does not say: names, labels and values are those of its real registry.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sidekey_core::Code;
use sidekey_runtime::metrics::{encode, registry};
use sidekey_webhook::metrics::{Label, Metrics};

/// What Prometheus adds when it scrapes pods.
const TARGET: [&str; 5] = ["namespace", "pod", "container", "instance", "job"];

/// Of each sample name: its labels, and the values each was seen with.
type Samples = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/monitoring").join(name)).unwrap()
}

/// What a webhook says in which everything has happened once.
fn samples() -> Samples {
    let mut registry = registry("sidekey_webhook", "1.2.3");
    let metrics = Metrics::register(&mut registry);
    for label in [
        Label::injected(),
        Label::skipped("not_asked"),
        Label::denied(Code::AnnotationValue),
        Label::error(Code::Overloaded),
    ] {
        metrics.admitted(label, Duration::from_micros(50));
    }
    metrics.leaf_expires(1);
    metrics.ca_expires(1);
    for of in ["settings", "certificate"] {
        metrics.reloaded(of, true);
        metrics.reloaded(of, false);
    }
    metrics.api_failed();
    let mut samples = Samples::new();
    for line in encode(&registry).unwrap().lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let labels = samples.entry(name.to_owned()).or_default();
        for (label, value) in
            rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).map(pairs).unwrap_or_default()
        {
            labels.entry(label.to_owned()).or_default().insert(value.to_owned());
        }
    }
    samples
}

/// `a="b",c="d"`, of values without commas.
fn pairs(text: &str) -> Vec<(&str, &str)> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    pairs
        .map(|pair| {
            let (label, value) = pair.split_once('=').unwrap_or_else(|| panic!("no label in {pair}"));
            (label.trim(), value.trim().trim_matches('"'))
        })
        .collect()
}

/// A query and where it stands.
struct Query {
    place: String,
    text: String,
}

fn alerts() -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&read("alerts.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn queries() -> Vec<Query> {
    let query = |place: &Value, text: &Value| Query {
        place: place.as_str().unwrap().to_owned(),
        text: text.as_str().unwrap_or_else(|| panic!("{place} has no query")).to_owned(),
    };
    let mut queries: Vec<_> = alerts().iter().map(|rule| query(&rule["alert"], &rule["expr"])).collect();
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel:#}");
        queries.extend(targets.iter().map(|target| query(&panel["title"], &target["expr"])));
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if variable["type"] == "query" {
            queries.push(query(&variable["name"], &variable["query"]["query"]));
        }
    }
    queries
}

/// The words of a query that begin where no word goes on, each with what stands behind it.
fn words(text: &str) -> Vec<(&str, &str)> {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(inner) {
        let tail = &rest[start..];
        let end = tail.find(|c| !inner(c)).unwrap_or(tail.len());
        words.push((&tail[..end], &tail[end..]));
        rest = &tail[end..];
    }
    words
}

fn metrics_of(query: &Query) -> Vec<(&str, &str)> {
    words(&query.text).into_iter().filter(|(word, _)| word.starts_with("sidekey_")).collect()
}

#[test]
fn each_query_asks_for_samples_that_the_webhook_has() {
    let samples = samples();
    let queries = queries();
    assert!(queries.len() > 25, "only {} queries were found", queries.len());
    let mut asked = BTreeSet::new();
    for query in &queries {
        let found = metrics_of(query);
        assert!(!found.is_empty(), "{}: {} asks for nothing of ours", query.place, query.text);
        for (name, behind) in found {
            let labels = samples.get(name).unwrap_or_else(|| panic!("{}: there is no {name}", query.place));
            asked.insert(name);
            let selector = behind.strip_prefix('{').and_then(|behind| behind.split('}').next()).unwrap_or_default();
            for (label, value) in pairs(selector) {
                check(
                    &query.place,
                    labels,
                    label.trim_end_matches('!'),
                    value.trim_start_matches('~').trim_matches('"'),
                );
            }
        }
    }
    // The other way round: what the webhook says is shown somewhere.
    let never: Vec<_> = samples.keys().filter(|name| !asked.contains(name.as_str())).collect();
    assert_eq!(never, [""; 0]);
}

fn check(place: &str, labels: &BTreeMap<String, BTreeSet<String>>, label: &str, value: &str) {
    if TARGET.contains(&label) {
        return;
    }
    let seen = labels.get(label).unwrap_or_else(|| panic!("{place}: there is no label {label}, only {labels:?}"));
    for value in value.split('|') {
        assert!(seen.contains(value), "{place}: {label} is never {value}, only {seen:?}");
    }
}

/// The labels of each `by (…)`.
fn grouped(text: &str) -> Vec<&str> {
    let lists = words(text).into_iter().filter(|(word, _)| ["by", "ignoring", "on"].contains(word));
    let inside = lists.map(|(_, behind)| behind.trim_start().strip_prefix('(').unwrap().split(')').next().unwrap());
    inside.flat_map(|list| list.split(',').map(str::trim)).collect()
}

#[test]
fn each_query_groups_by_labels_that_its_samples_have() {
    let samples = samples();
    for query in queries() {
        let known: BTreeSet<_> =
            metrics_of(&query).iter().flat_map(|(name, _)| samples[*name].keys().map(String::as_str)).collect();
        for label in grouped(&query.text) {
            assert!(known.contains(label) || TARGET.contains(&label), "{}: by {label}, of {known:?}", query.place);
        }
    }
}

#[test]
fn each_alert_says_what_to_do_with_labels_that_it_has() {
    for rule in alerts() {
        let name = rule["alert"].as_str().unwrap();
        assert!(name.starts_with("Sidekey"), "{name}");
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        let labels = grouped(rule["expr"].as_str().unwrap());
        for part in ["summary", "description"] {
            let text = rule["annotations"][part].as_str().unwrap_or_else(|| panic!("{name} has no {part}"));
            for used in text.split("$labels.").skip(1) {
                let used = words(used)[0].0;
                assert!(labels.contains(&used), "{name}: {used} is no label of it");
            }
            // Codes are those of the table.
            for (code, _) in words(text).iter().filter(|(word, _)| word.starts_with("SK")) {
                assert!(Code::parse(code).is_some(), "{name}: {code}");
            }
        }
    }
}

#[test]
fn each_alert_has_a_test_of_its_own() {
    let tests = read("alerts.test.yaml");
    for rule in alerts() {
        let name = rule["alert"].as_str().unwrap();
        assert!(tests.matches(name).count() > 1, "{name} does not fire in alerts.test.yaml");
    }
}
