//! Pods created one after another, as controllers do it, while something happens to the webhook.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Sandbox, Shape, api};

/// Pods a second.
const RATE: u32 = 10;

/// Pause before a refused creation is tried again; controllers begin with less.
const AGAIN: Duration = Duration::from_millis(100);

/// What became of the pods.
#[derive(Default)]
pub struct Tally {
    /// Pods that were to be created.
    pub attempts: u32,
    /// From the first to the last.
    pub lasted: Duration,
    /// Those that could not be, with the last answer.
    pub failed: Vec<String>,
    /// Names of those created without an agent.
    pub bare: Vec<String>,
    /// Answers that led to another try, each with its time.
    pub refusals: Vec<String>,
    /// The longest time from a pod's first try to its creation.
    pub longest: Duration,
}

impl Tally {
    /// One line.
    pub fn print(&self, during: &str) {
        println!(
            "{during}: {} pods in {:.1?}: {} failed, {} not injected, {} answers that led to another try, longest wait {:.1?}",
            self.attempts,
            self.lasted,
            self.failed.len(),
            self.bare.len(),
            self.refusals.len(),
            self.longest
        );
        for refusal in self.refusals.first().into_iter().chain(self.refusals.last()) {
            println!("  {refusal}");
        }
    }
}

/// Creates pods at [`RATE`] a second while `work` runs and a little longer, `least` at the least. They are real, and no
/// scheduler takes them. One that is refused is tried again for `patience`.
///
/// # Panics
/// When `work` does, after the stream has ended.
pub fn during(sandbox: &Sandbox, least: u32, patience: Duration, work: impl FnOnce() + Send) -> Tally {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stream = scope.spawn(|| create(sandbox, &stop, least, patience));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        thread::sleep(Duration::from_secs(5));
        stop.store(true, Ordering::Relaxed);
        let tally = stream.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        tally
    })
}

fn create(sandbox: &Sandbox, stop: &AtomicBool, least: u32, patience: Duration) -> Tally {
    let mut tally = Tally::default();
    let begun = Instant::now();
    while !stop.load(Ordering::Relaxed) || tally.attempts < least {
        let shape = Shape::new(&format!("pod-{}", tally.attempts), &["sleep"])
            .native(&[("inject", "true"), ("role", "web"), ("secret-web", "secret/web")])
            .spec("schedulerName", json!("nobody"));
        tally.attempts += 1;
        let first = Instant::now();
        loop {
            let answer = api::create(&sandbox.path("pods"), &shape.manifest);
            let said = || format!("at {:.2?}: {} {}", begun.elapsed(), answer.status, answer.message());
            if answer.ok() {
                tally.longest = tally.longest.max(first.elapsed());
                if !injected(&answer.json()) {
                    tally.bare.push(answer.json()["metadata"]["name"].as_str().unwrap_or_default().to_owned());
                }
                break;
            }
            if first.elapsed() >= patience {
                tally.failed.push(said());
                break;
            }
            tally.refusals.push(said());
            thread::sleep(AGAIN);
        }
        let due = begun + Duration::from_secs(1) * tally.attempts / RATE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    tally.lasted = begun.elapsed();
    tally
}

/// Whether a pod has the native dialect's agent.
pub fn injected(pod: &Value) -> bool {
    pod["spec"]["initContainers"].as_array().is_some_and(|all| all.iter().any(|it| it["name"] == "sidekey-agent"))
}
