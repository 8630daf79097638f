//! Conditions, as `kubectl wait` and dashboards read them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One aspect of an object's state, in Kubernetes' own shape (`metav1.Condition`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The aspect.
    #[serde(rename = "type")]
    #[schemars(
        length(max = 316),
        regex(
            pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
        )
    )]
    pub kind: String,
    /// Whether it holds.
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: String,
    /// The generation of the spec this was seen on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// When the status last changed.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// Why, as one word for programs.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"))]
    pub reason: String,
    /// Why, in words for people.
    #[schemars(length(max = 32768))]
    pub message: String,
}

/// A condition while nobody has looked at the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The condition's type.
    pub kind: &'static str,
    /// Whether it holds; none while that is open.
    pub holds: Option<bool>,
    /// One word.
    pub reason: &'static str,
    /// In words.
    pub message: String,
}

impl Verdict {
    /// A condition to be.
    pub fn new(kind: &'static str, holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, holds: Some(holds), reason, message: message.into() }
    }

    /// A condition to be, of which nothing is known yet.
    pub fn open(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, holds: None, reason, message: message.into() }
    }
}

/// The conditions that these verdicts make of those before. The time of a status that did not change stays, and so does a
/// condition of a type that none of the verdicts speaks of.
pub fn merge(before: &[Condition], verdicts: &[Verdict], generation: i64, now: &str) -> Vec<Condition> {
    let mut merged: Vec<Condition> =
        before.iter().filter(|old| verdicts.iter().all(|verdict| verdict.kind != old.kind)).cloned().collect();
    for verdict in verdicts {
        let status = verdict.holds.map_or("Unknown", |holds| if holds { "True" } else { "False" });
        let old = before.iter().find(|old| old.kind == verdict.kind);
        let since = old.filter(|old| old.status == status).map_or(now, |old| &old.last_transition_time);
        merged.push(Condition {
            kind: verdict.kind.to_owned(),
            status: status.to_owned(),
            observed_generation: Some(generation),
            last_transition_time: since.to_owned(),
            reason: verdict.reason.to_owned(),
            message: verdict.message.chars().take(4096).collect(),
        });
    }
    merged.sort_by(|a, b| a.kind.cmp(&b.kind));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_stays_keeps_its_time_whatever_its_words() {
        let first = merge(&[], &[Verdict::new("Ready", true, "Ready", "a")], 1, "T1");
        let second = merge(&first, &[Verdict::new("Ready", true, "Ready", "b")], 2, "T2");
        assert_eq!((second[0].last_transition_time.as_str(), second[0].message.as_str()), ("T1", "b"));
        let third = merge(&second, &[Verdict::new("Ready", false, "Ready", "c")], 2, "T3");
        assert_eq!((third[0].last_transition_time.as_str(), third[0].status.as_str()), ("T3", "False"));
    }

    #[test]
    fn a_condition_nobody_speaks_of_stays() {
        let before = merge(&[], &[Verdict::new("RolloutRestart", true, "R", "")], 1, "T1");
        let after = merge(&before, &[Verdict::new("Ready", true, "Ready", "")], 1, "T2");
        assert_eq!(after.iter().map(|c| c.kind.as_str()).collect::<Vec<_>>(), ["Ready", "RolloutRestart"]);
    }
}
