//! One thing wrong, told apart in the pod's event, in `status` and in the termination message, and left behind by itself
//! once it is mended.

use std::time::{Duration, Instant};

use crate::wait::{seconds, until};
use crate::{Pod, Sandbox, Shape, audit, setting};

/// Well above what back-off and diagnosis need, and far below any loop.
const REQUESTS_PER_MINUTE: usize = 60;

/// What a person is told: the code, and words that name the object at hand.
pub struct Told<'a> {
    /// `SK….`
    pub code: &'a str,
    /// Each stands in the message of `status`.
    pub words: &'a [&'a str],
}

/// Starts `shape` twice: once as it is, once with a deadline so that it ends with a message. Both must tell; after `mend` the
/// first must become Ready without its agent or its app having been started again.
///
/// # Panics
/// When one of these does not come true.
pub fn check(sandbox: &Sandbox, shape: &Shape, told: &Told<'_>, mend: impl FnOnce()) {
    let begun = Instant::now();
    let waiting = sandbox.start(shape);
    let mut deadline = shape.clone().native(&[("start-deadline", "15s")]);
    deadline.manifest["metadata"]["name"] = "deadline".into();
    let deadline = sandbox.start(&deadline);

    until(seconds(90), &format!("{} in an event", told.code), || {
        let events = waiting.events();
        if events.iter().any(|it| it.contains(told.code)) { Ok(()) } else { Err(events.join("\n")) }
    });
    until(seconds(30), &format!("{} in status", told.code), || says(&waiting.status(), told));
    until(seconds(90), &format!("{} in the termination message", told.code), || says(&last_words(&deadline), told));

    let address = waiting.address();
    assert!(!waiting.is_ready(), "Ready although nothing could be read");
    if setting().audit.is_some() && !address.is_empty() {
        bounded(sandbox, &address, begun.elapsed());
    }
    mend();
    waiting.ready(seconds(150));
    assert_eq!((waiting.restarts(&waiting.agent()), waiting.restarts("app")), (0, 0), "recovered by itself, in place");
}

/// All requests of the waiting pod since it began, as Vault counted them.
fn bounded(sandbox: &Sandbox, address: &str, elapsed: Duration) {
    let seen = audit::of(&sandbox.namespace, address).len();
    let minutes = usize::try_from(elapsed.as_secs() / 60 + 1).unwrap_or(usize::MAX);
    println!("{}: {seen} requests of two pods in {} s", sandbox.namespace, elapsed.as_secs());
    assert!(seen <= 2 * REQUESTS_PER_MINUTE * minutes, "{seen} requests in {elapsed:?}");
}

fn says(text: &str, told: &Told<'_>) -> Result<(), String> {
    let missing = std::iter::once(&told.code).chain(told.words).find(|word| !text.contains(**word));
    missing.map_or(Ok(()), |word| Err(format!("`{word}` is missing in: {text}")))
}

/// The message with which the agent ended last.
fn last_words(pod: &Pod) -> String {
    let status = pod.container(&pod.agent());
    let message = |state: &str| status[state]["terminated"]["message"].as_str().unwrap_or_default().to_owned();
    message("state") + &message("lastState")
}
