//! Sidekey held against vault-k8s itself: both see the same pods, and what comes of them is compared. `.ci/vault-k8s` builds
//! the other side and runs this; `docs/testing.md` has the figures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test's program"
)]

#[path = "vault_k8s/cases.rs"]
mod cases;
#[path = "vault_k8s/view.rs"]
mod view;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};

use serde_json::{Value, json};
use sidekey_inject::{Facts, Outcome, Settings, mutate};
use view::Seen;

/// What one of the two makes of a pod.
enum Verdict {
    Skipped,
    Refused(String),
    Patched(Box<(Value, Seen)>),
}

impl Verdict {
    const fn word(&self) -> &'static str {
        match self {
            Self::Skipped => "left alone",
            Self::Refused(_) => "refused",
            Self::Patched(_) => "injected",
        }
    }
}

/// Asks the other side about all of them at once.
fn theirs(program: &str, pods: &[Value]) -> Vec<Verdict> {
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(program);
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let lines: Vec<String> = pods.iter().map(Value::to_string).collect();
    let writer = std::thread::spawn(move || lines.iter().for_each(|line| writeln!(input, "{line}").unwrap()));
    let answers = BufReader::new(output).lines().zip(pods).map(|(line, pod)| {
        let answer: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if answer["allowed"] != true {
            return Verdict::Refused(answer["message"].as_str().unwrap_or_default().to_owned());
        }
        let Some(patch) = answer.get("patch") else { return Verdict::Skipped };
        let patch: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
        let mut patched = pod.clone();
        json_patch::patch(&mut patched, &patch).unwrap();
        let seen = Seen::of_vault(&patched);
        Verdict::Patched(Box::new((patched, seen)))
    });
    let answers: Vec<_> = answers.collect();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success() && answers.len() == pods.len(), "an answer for each pod");
    answers
}

fn ours(pod: &Value) -> Verdict {
    let facts = Facts { namespace: "shop".to_owned(), native_sidecars: false, ..Facts::default() };
    match mutate(pod, &facts, &Settings::default()) {
        Outcome::Skip(_) => Verdict::Skipped,
        Outcome::Deny { cause, .. } => Verdict::Refused(cause.to_string()),
        Outcome::Patch(injection) => {
            let mut patched = pod.clone();
            injection.patch.apply(&mut patched).unwrap();
            let agents = injection.agents.iter().map(|(name, config)| (name.as_str(), json!(config)));
            let seen = Seen::of_sidekey(&patched, &agents.collect());
            Verdict::Patched(Box::new((patched, seen)))
        }
    }
}

/// What differs: nothing, or words for it.
fn difference(theirs: &Verdict, ours: &Verdict) -> Option<String> {
    match (theirs, ours) {
        (Verdict::Patched(theirs), Verdict::Patched(ours)) => theirs.1.difference(&ours.1),
        (theirs, ours) if theirs.word() == ours.word() => None,
        (theirs, ours) => Some(format!("{}, {} here", theirs.word(), ours.word())),
    }
}

#[derive(Default)]
struct Tally {
    same: BTreeMap<&'static str, usize>,
    wanted: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

impl Tally {
    fn add(&mut self, pod: &Value, theirs: &Verdict, ours: &Verdict) {
        let Some(words) = difference(theirs, ours) else {
            *self.same.entry(ours.word()).or_default() += 1;
            return;
        };
        match cases::on_purpose(pod, &words) {
            Some(why) => *self.wanted.entry(why).or_default() += 1,
            None => {
                let why = match (theirs, ours) {
                    (Verdict::Refused(why), _) | (_, Verdict::Refused(why)) => why.as_str(),
                    _ => "",
                };
                self.wrong.push(format!("{}\n    {words} {why}", pod["metadata"]["annotations"]));
            }
        }
    }

    fn print(&self) {
        let total = |counts: &BTreeMap<&str, usize>| counts.values().sum::<usize>();
        let all = total(&self.same) + total(&self.wanted) + self.wrong.len();
        println!("vault-k8s: {all} pods, {} come out alike: {:?}", total(&self.same), self.same);
        println!("vault-k8s: {} differ on purpose:", total(&self.wanted));
        self.wanted.iter().for_each(|(why, count)| println!("  {count:>5}  {why}"));
        println!("vault-k8s: {} differ otherwise", self.wrong.len());
        self.wrong.iter().take(20).for_each(|wrong| println!("  {wrong}"));
    }
}

/// Nobody touches what the other has injected. How many pods were tried each way.
fn once(program: &str, theirs_first: &[Value], ours_first: &[Value]) -> (usize, usize) {
    let again = theirs_first.iter().filter(|pod| !matches!(ours(pod), Verdict::Skipped)).count();
    assert_eq!(again, 0, "pods of vault-k8s that Sidekey injects once more");
    let again = theirs(program, ours_first).iter().filter(|verdict| !matches!(verdict, Verdict::Skipped)).count();
    assert_eq!(again, 0, "pods of Sidekey that vault-k8s injects once more");
    (theirs_first.len(), ours_first.len())
}

fn main() -> ExitCode {
    let program = std::env::args().nth(1).expect("the path of the other side's program");
    let count = std::env::args().nth(2).map_or(12_000, |count| count.parse().unwrap());
    let pods = cases::all(count);
    let (mut tally, mut injected) = (Tally::default(), (Vec::new(), Vec::new()));
    for (pod, theirs) in pods.iter().zip(theirs(&program, &pods)) {
        let ours = ours(pod);
        tally.add(pod, &theirs, &ours);
        if let Verdict::Patched(patched) = theirs {
            injected.0.push(patched.0);
        }
        if let Verdict::Patched(patched) = ours {
            injected.1.push(patched.0);
        }
    }
    tally.print();
    let (theirs, ours) = once(&program, &injected.0, &injected.1);
    println!(
        "vault-k8s: of {theirs} pods that it has injected and {ours} of Sidekey's none is injected again by the other"
    );
    if tally.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
