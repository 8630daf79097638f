//! Alerts and dashboards ask for nothing that webhook and operator do not say: names, labels and values are those of their real
//! registries.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod drawn;
mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use said::{agent, operator, webhook};
use serde_json::Value;
use sidekey_core::Code;

/// What Prometheus adds when it scrapes pods.
const TARGET: [&str; 5] = ["namespace", "pod", "container", "instance", "job"];

/// Of each sample name: its labels, and the values each was seen with.
type Samples = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/monitoring")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(directory().join(name)).unwrap()
}

/// Alerts, a dashboard, and the program whose numbers they are about.
struct Part {
    /// What the names of the files begin with.
    files: &'static str,
    /// What the names of its numbers begin with.
    prefixes: &'static [&'static str],
    said: fn(usize) -> String,
}

const PARTS: [Part; 2] = [
    Part { files: "", prefixes: &["sidekey_"], said: webhook },
    Part {
        files: "operator-",
        prefixes: &["sidekey_", "vso_", "controller_r", "workqueue_", "rest_client_", "leader_election_", "process_"],
        said: operator,
    },
];

fn samples(said: &str) -> Samples {
    let mut samples = Samples::new();
    for line in said.lines().filter(|line| !line.starts_with('#')) {
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

fn alerts(part: &Part) -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&read(&format!("{}alerts.yaml", part.files))).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn queries(part: &Part) -> Vec<Query> {
    let query = |place: &Value, text: &Value| Query {
        place: place.as_str().unwrap().to_owned(),
        text: text.as_str().unwrap_or_else(|| panic!("{place} has no query")).to_owned(),
    };
    let mut queries: Vec<_> = alerts(part).iter().map(|rule| query(&rule["alert"], &rule["expr"])).collect();
    let dashboard: Value = serde_json::from_str(&read(&format!("{}dashboard.json", part.files))).unwrap();
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

fn metrics_of<'q>(part: &Part, query: &'q Query) -> Vec<(&'q str, &'q str)> {
    let ours = |(word, _): &(&str, &str)| part.prefixes.iter().any(|prefix| word.starts_with(prefix));
    words(&query.text).into_iter().filter(ours).collect()
}

#[test]
fn each_query_asks_for_samples_that_there_are() {
    PARTS.iter().for_each(asks_for_what_there_is);
}

fn asks_for_what_there_is(part: &Part) {
    let (samples, queries) = (samples(&(part.said)(1)), queries(part));
    assert!(queries.len() > 25, "only {} queries were found", queries.len());
    let mut asked = BTreeSet::new();
    for query in &queries {
        let found = metrics_of(part, query);
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
    // The other way round: what is said is shown somewhere.
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
    for (part, query) in PARTS.iter().flat_map(|part| queries(part).into_iter().map(move |query| (part, query))) {
        let samples = samples(&(part.said)(1));
        let found = metrics_of(part, &query);
        let known: BTreeSet<_> = found.iter().flat_map(|(name, _)| samples[*name].keys().map(String::as_str)).collect();
        for label in grouped(&query.text) {
            assert!(known.contains(label) || TARGET.contains(&label), "{}: by {label}, of {known:?}", query.place);
        }
    }
}

#[test]
fn each_alert_says_what_to_do_with_labels_that_it_has() {
    for rule in PARTS.iter().flat_map(alerts) {
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
    for (part, rule) in PARTS.iter().flat_map(|part| alerts(part).into_iter().map(move |rule| (part, rule))) {
        let tests = read(&format!("{}alerts.test.yaml", part.files));
        let name = rule["alert"].as_str().unwrap();
        assert!(tests.matches(name).count() > 1, "{name} does not fire in its test");
    }
}

/// A row for each number: `# HELP`, `# TYPE` and `# UNIT` say what it is, its samples what labels it has.
fn rows(said: &str) -> String {
    let of = |kind: &str, name: &str| {
        let start = format!("# {kind} {name} ");
        said.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default().to_owned()
    };
    let mut rows = String::new();
    let all = samples(said);
    for line in said.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = line.split_once(' ').unwrap();
        let kind = of("TYPE", name);
        let sample = match kind.as_str() {
            // In OpenMetrics the name has no ending, in the older form of the agent it has.
            "counter" if !name.ends_with("_total") => format!("{name}_total"),
            "histogram" => format!("{name}_count"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        };
        let labels = all.get(&sample).unwrap_or_else(|| panic!("{sample} has no sample"));
        let labels: Vec<String> = labels.keys().map(|label| format!("`{label}`")).collect();
        let shown = sample.strip_suffix("_count").unwrap_or(&sample);
        rows.push_str(&format!("| `{shown}` | {kind} | {} | {help} |\n", labels.join(" ")));
    }
    rows
}

#[test]
fn the_page_of_metrics_is_what_is_served() {
    let mut page = "# Metrics\n\nWhat `/metrics` of each program serves; `crates/cli/tests/monitoring` writes this page of what the \
                    programs' own\ncode says after everything has happened once. A histogram `NAME` has `NAME_bucket`, `NAME_sum` and \
                    `NAME_count`.\n\nThe agent serves them where an annotation asks for it (`metrics-port`), and always on the socket \
                    in its private volume.\n"
        .to_owned();
    for (title, said) in
        [("sidekey webhook", webhook(1)), ("sidekey operator", operator(1)), ("sidekey-agent", agent())]
    {
        page.push_str(&format!(
            "\n## {title}\n\n| metric | type | labels | what |\n|---|---|---|---|\n{}",
            rows(&said)
        ));
    }
    sidekey_testkit::golden::check("../../docs/reference/metrics.md", &page);
}
