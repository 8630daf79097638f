//! Sidekey's operator held against the Vault Secrets Operator itself: both get the same objects and the same answers of Vault, and
//! the data of the Secret that each would write is compared. `.ci/vso` builds the other side and runs this;
//! `docs/testing.md` has the figures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test's program"
)]

#[path = "vso/cases.rs"]
mod cases;
#[path = "vso/texts.rs"]
mod texts;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use sidekey_core::Value as Answer;
use sidekey_operator::cache::Cache;
use sidekey_operator::plan::auth::House;
use sidekey_operator::plan::data::{self, Recipe};
use sidekey_operator::plan::transformation::{Rendered, Source, Transformer, referred};
use sidekey_operator::types::Kind;
use sidekey_operator::types::object::{Key, Object};
use sidekey_operator::types::static_secret::VaultStaticSecretSpec;

/// The data in base64, or what was said.
type Verdict = Result<BTreeMap<String, String>, String>;

/// Asks the other side about all of them at once. A key that no Secret can have is refused by the API server after it.
fn theirs(program: &str, cases: &[Value]) -> Vec<Verdict> {
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(program);
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    let writer = std::thread::spawn(move || lines.iter().for_each(|line| writeln!(input, "{line}").unwrap()));
    let answers = BufReader::new(output).lines().map(|line| {
        let answer: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(error) = answer["error"].as_str() {
            return Err(error.to_owned());
        }
        let data = answer["data"].as_object().into_iter().flatten();
        let data: BTreeMap<String, String> =
            data.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        match data.keys().find(|key| !is_key(key)) {
            Some(key) => Err(format!("{key:?} is no key")),
            None => Ok(data),
        }
    });
    let answers: Vec<_> = answers.collect();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success() && answers.len() == cases.len(), "an answer for each");
    answers
}

/// The API server's `IsConfigMapKey`.
fn is_key(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !key.is_empty() && key.len() <= 253 && key.chars().all(allowed) && key != "." && !key.starts_with("..")
}

fn ours(case: &Value) -> Verdict {
    let object: Object = serde_json::from_value(case["object"].clone()).map_err(|error| error.to_string())?;
    let spec: VaultStaticSecretSpec = object.spec()?;
    let key = Key::new(Kind::VaultStaticSecret, object.metadata.namespace.clone(), object.metadata.name.clone());
    let mut cache = Cache::default();
    for transformation in case["transformations"].as_array().unwrap() {
        let object: Object = serde_json::from_value(transformation.clone()).map_err(|error| error.to_string())?;
        let at = Key::new(Kind::SecretTransformation, object.metadata.namespace.clone(), object.metadata.name.clone());
        cache.put(at, Arc::new(object));
    }
    let house = House { namespace: "house".into(), default_globals: true, methods: vec![], open_references: true };
    let shared = referred(&cache, &house, &key, Some(&spec.destination)).map_err(|cause| cause.to_string())?;
    let transformation = &spec.destination.transformation;
    let recipe = Transformer::new(&key, transformation, &shared).map_err(|cause| cause.to_string())?;
    let raw = Answer::parse(&case["answer"].to_string()).unwrap();
    let kv2 = case["kv2"] == true;
    let fields = if kv2 { raw.get("data").unwrap() } else { &raw };
    let source = Source { raw: Some(&raw), fields, metadata: raw.get("metadata") };
    let rendered = recipe.render(&object.metadata, source).map_err(|cause| cause.to_string())?;
    let Rendered { data: rendered, fields } = rendered;
    let exclude_raw = transformation.exclude_raw.unwrap_or(false);
    let built = data::build(&raw, &fields, Recipe { filter: recipe.filter(), exclude_raw, rendered });
    let built = built.map_err(|cause| cause.to_string())?;
    Ok(built.encoded().into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Ok(data) => json!(data.iter().map(|(key, value)| (key, plain(value))).collect::<BTreeMap<_, _>>()).to_string(),
        Err(error) => format!("refused: {error}"),
    }
}

fn plain(encoded: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn main() -> ExitCode {
    let program = std::env::args().nth(1).expect("the path of the other side's program");
    let count = std::env::args().nth(2).map_or(20_000, |count| count.parse().unwrap());
    let cases = cases::all(count);
    let (mut filled, mut refused) = (0, 0);
    let (mut wanted, mut wrong) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for (case, theirs) in cases.iter().zip(theirs(&program, &cases)) {
        let ours = ours(case);
        match (&theirs, &ours) {
            (Ok(one), Ok(other)) if one == other => filled += 1,
            (Err(_), Err(_)) => refused += 1,
            _ => match cases::on_purpose(theirs.as_ref().err(), ours.as_ref().err()) {
                Some(why) => *wanted.entry(why).or_default() += 1,
                None => wrong.push(format!("{case}\n    {}\n    {} here", words(&theirs), words(&ours))),
            },
        }
    }
    println!("vso: {} objects: {filled} come to the same data, {refused} are refused by both", cases.len());
    println!("vso: {} differ on purpose:", wanted.values().sum::<usize>());
    wanted.iter().for_each(|(why, count)| println!("  {count:>5}  {why}"));
    println!("vso: {} differ otherwise", wrong.len());
    wrong.sort_by_key(String::len);
    wrong.iter().take(20).for_each(|wrong| println!("  {wrong}"));
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
