//! Restarts of workloads: all, when what they were given is another now; after that those whose restart has failed, until it
//! succeeds. Who that is stands in the status, so that it is known to the next process too.

use tokio::time::Instant;

use super::{Job, Tools, tell_event};
use crate::plan::outcome::{Event, ROLLOUT};
use crate::restart::Failure;
use crate::types::condition::Verdict;
use crate::types::destination::RestartTarget;

/// What a round of restarts came to.
pub(super) struct Round {
    /// For the conditions.
    pub(super) verdict: Verdict,
    /// Who is to be tried again: all that failed, as long as one of them may succeed, so that the last word is about each of them.
    pub(super) owed: Vec<RestartTarget>,
}

impl Round {
    /// Whether all were restarted.
    pub(super) fn is_done(&self) -> bool {
        self.verdict.holds == Some(true)
    }
}

/// Whether those who are owed a restart may be tried again by now. Looks of another cause come sooner.
pub(super) fn is_due(job: &Job) -> bool {
    job.memory.restart.is_none_or(|at| at <= Instant::now())
}

/// Restarts all that are named when there is news for them, else those of them that are owed a restart. None when nobody is, or
/// not yet.
pub(super) async fn round(
    tools: &Tools,
    job: &Job,
    named: &[RestartTarget],
    owed: &[RestartTarget],
    news: bool,
) -> Option<Round> {
    if !news && (owed.is_empty() || !is_due(job)) {
        return None;
    }
    let done = |words: &str| Verdict::new(ROLLOUT, true, "RolloutRestartTriggered", words);
    let targets = if news { named.to_vec() } else { still_named(named, owed) };
    if targets.is_empty() {
        let verdict = done("No workload is left to be restarted.");
        return Some(Round { verdict, owed: Vec::new() });
    }
    let (workloads, failures) = each(tools, &job.key.namespace, &targets).await;
    // What failed before was told of then.
    for (_, failure) in failures.iter().filter(|_| news) {
        tell_event(tools, job, &Event::warning("RolloutRestartFailed", failure.cause.to_string())).await;
    }
    let Some((_, failure)) = failures.last() else {
        let message = format!("{workloads} workloads restarted");
        tell_event(tools, job, &Event::normal("RolloutRestartTriggered", message)).await;
        return Some(Round { verdict: done("The workloads were restarted."), owed: Vec::new() });
    };
    let verdict = Verdict::new(ROLLOUT, false, "RolloutRestartTriggeredFailed", failure.cause.to_string());
    let hopeless = failures.iter().all(|(_, failure)| failure.lasting);
    let owed = failures.into_iter().map(|(target, _)| target).filter(|_| !hopeless).collect();
    Some(Round { verdict, owed })
}

/// Those that are owed a restart and that the spec still means. What a selector has selected is tried again by its name, as those
/// beside it have been restarted.
fn still_named(named: &[RestartTarget], owed: &[RestartTarget]) -> Vec<RestartTarget> {
    let selects = |one: &RestartTarget| named.iter().any(|it| it.selector.is_some() && it.kind == one.kind);
    owed.iter().filter(|one| named.contains(one) || selects(one)).cloned().collect()
}

/// Restarts all that targets mean, each once and all at the same time. How many workloads they mean, and those that were not
/// restarted, each by its name; a target by its labels where they could not be asked for.
async fn each(tools: &Tools, namespace: &str, targets: &[RestartTarget]) -> (usize, Vec<(RestartTarget, Failure)>) {
    let (mut workloads, mut failures) = (Vec::new(), Vec::new());
    let meant = all(targets.iter().map(|target| tools.restarts.select(namespace, target))).await;
    for (target, meant) in targets.iter().zip(meant) {
        match meant {
            Ok(meant) => workloads.extend(meant.into_iter().filter(|one| !workloads.contains(one)).collect::<Vec<_>>()),
            Err(failure) => failures.push((target.clone(), failure)),
        }
    }
    let done = all(workloads.iter().map(|one| tools.restarts.request(namespace, one))).await;
    failures.extend(workloads.iter().zip(done).filter_map(|(one, done)| Some((one.clone(), done.err()?))));
    (workloads.len(), failures)
}

/// All of them, at the same time.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut all = true;
        for (future, output) in pending.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(done) => *output = Some(done),
                std::task::Poll::Pending => all = false,
            }
        }
        if all { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}
