//! One admission: bytes in, bytes out, and what is counted about it. Knows no HTTP beyond a status code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use serde_json::Value;
use sidekey_core::{Cause, Code};
use sidekey_inject::{Facts, Outcome, Settings, mutate};

use crate::metrics::{Label, Metrics};
use crate::nodes::Nodes;
use crate::review::{Review, Verdict, answer};

/// What every admission is decided with. Settings and facts may be replaced while admissions run.
pub struct Admission {
    settings: ArcSwap<Settings>,
    nodes: ArcSwap<Nodes>,
    metrics: Metrics,
}

/// A review answered, with HTTP 200.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer(pub Vec<u8>);

/// A review that got no answer: the API server goes by its failure policy.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Kubernetes' word for it.
    pub reason: &'static str,
    /// What a person sees.
    pub cause: Cause,
}

impl Refusal {
    /// The caller's fault: 400.
    pub fn malformed(answer: impl Into<String>) -> Self {
        let cause = Cause::new(Code::ReviewMalformed, "reading the admission review", answer);
        Self { status: 400, reason: "BadRequest", cause }
    }

    fn internal(answer: impl Into<String>) -> Self {
        let cause = Cause::new(Code::WebhookInternal, "answering the admission review", answer);
        Self { status: 500, reason: "InternalError", cause }
    }
}

impl Admission {
    /// `native_sidecars` as the nodes have it; settings may overrule it.
    pub fn new(settings: Settings, native_sidecars: bool, metrics: Metrics) -> Self {
        let nodes = ArcSwap::from_pointee(Nodes { native_sidecars, env_files: None });
        Self { settings: ArcSwap::from_pointee(settings), nodes, metrics }
    }

    /// From now on these.
    pub fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// From now on this.
    pub fn set_nodes(&self, nodes: Nodes) {
        self.nodes.store(Arc::new(nodes));
    }

    /// Answers a review; a panic on the way is this review's 500 and nobody else's.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn answer(&self, body: &[u8]) -> Result<Answer, Refusal> {
        let begun = Instant::now();
        let (label, answer) = match contained(|| self.decide(body)) {
            Ok((label, answer)) => (label, Ok(answer)),
            Err(refusal) => (Label::error(refusal.cause.code), Err(refusal)),
        };
        self.metrics.admitted(label, begun.elapsed());
        answer
    }

    /// Counts a review that was turned away before it was read.
    pub fn turned_away(&self, refusal: &Refusal) {
        self.metrics.turned_away(refusal.cause.code);
    }

    /// What the webhook would do with a pod now; nothing is counted.
    pub fn outcome(&self, pod: &Value, namespace: &str) -> Outcome {
        mutate(pod, &self.facts(namespace), &self.settings.load())
    }

    fn facts(&self, namespace: &str) -> Facts {
        let Nodes { native_sidecars, env_files } = **self.nodes.load();
        Facts { namespace: namespace.to_owned(), native_sidecars, env_files }
    }

    fn decide(&self, body: &[u8]) -> Result<(Label, Answer), Refusal> {
        let review: Review<'_> = serde_json::from_slice(body).map_err(|error| Refusal::malformed(error.to_string()))?;
        if review.kind != "AdmissionReview" {
            return Err(Refusal::malformed(format!("its kind is {:?}, not AdmissionReview", review.kind)));
        }
        let done = |label, verdict: Verdict<'_>, warnings: &[String]| {
            let bytes = answer(&review, &verdict, warnings).map_err(|error| Refusal::internal(error.to_string()))?;
            Ok((label, Answer(bytes)))
        };
        let Some(object) = review.request.object.filter(|_| review.request.creates_pod()) else {
            return done(Label::skipped("not_a_pod_creation"), Verdict::Allow, &[]);
        };
        if let Some(cause) = too_many_values(object.get()) {
            tracing::info!(namespace = &*review.request.namespace, %cause, "denied");
            return done(Label::denied(cause.code), Verdict::Deny(&cause), &[]);
        }
        let pod: Value = serde_json::from_str(object.get()).map_err(|error| Refusal::malformed(error.to_string()))?;
        let facts = self.facts(&review.request.namespace);
        match mutate(&pod, &facts, &self.settings.load()) {
            Outcome::Skip(reason) => done(Label::skipped(reason.as_str()), Verdict::Allow, &[]),
            Outcome::Deny { cause, warnings } => {
                tracing::info!(namespace = facts.namespace, pod = name(&pod), %cause, "denied");
                done(Label::denied(cause.code), Verdict::Deny(&cause), &warnings)
            }
            Outcome::Patch(injection) => {
                tracing::debug!(namespace = facts.namespace, pod = name(&pod), "injected");
                let patch =
                    serde_json::to_vec(&injection.patch).map_err(|error| Refusal::internal(error.to_string()))?;
                let verdict = if injection.patch.is_empty() { Verdict::Allow } else { Verdict::Patch(&patch) };
                done(Label::injected(), verdict, &injection.warnings)
            }
        }
    }
}

fn contained<T>(decide: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    let panicked = |_| Err(Refusal::internal("it panicked; the webhook's log has the place"));
    catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(panicked)
}

/// Values of a pod, each of which costs some hundred bytes once it is parsed. What etcd stores of an object at most, 1.5 MiB, has
/// never so many; a body that the API server takes may have ten times as many.
const MOST_VALUES: usize = 50_000;

/// A text below this has not so many.
const SHORT: usize = 2 * MOST_VALUES;

/// Why a pod is refused unparsed.
fn too_many_values(text: &str) -> Option<Cause> {
    if text.len() < SHORT {
        return None;
    }
    let (mut values, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' | b',' if !quoted => values += 1,
            _ => {}
        }
    }
    let answer = format!("it has {values} values, {MOST_VALUES} at most");
    (values > MOST_VALUES).then(|| {
        Cause::new(Code::ReviewMalformed, "reading the pod", answer)
            .with_fix("Split the pod, or leave lists out of it.")
    })
}

/// A pod of a controller has only the beginning of its name at admission.
fn name(pod: &Value) -> &str {
    let metadata = &pod["metadata"];
    metadata["name"].as_str().or_else(|| metadata["generateName"].as_str()).unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_texts_alone() {
        let text = |filler: &str| format!("{{\"a\": [{}]}}", filler.repeat(MOST_VALUES + 1).trim_end_matches(','));
        assert!(too_many_values(&text("1,")).is_some());
        assert!(too_many_values(&text("{},")).is_some());
        let quoted = format!("{{\"a\": \"{}\"}}", "\\\",[{".repeat(MOST_VALUES));
        assert!(too_many_values(&quoted).is_none());
        let allowed = format!("[{}1]", "1,".repeat(MOST_VALUES - 1));
        assert!(too_many_values(&allowed).is_none());
    }

    #[test]
    fn a_panic_is_one_reviews_internal_error() {
        let refusal = contained::<()>(|| panic!("a secret in a message")).unwrap_err();
        assert_eq!((refusal.status, refusal.cause.code), (500, Code::WebhookInternal));
        assert!(!refusal.cause.to_string().contains("a secret in a message"));
        assert_eq!(contained(|| Ok(1)), Ok(1));
    }
}
