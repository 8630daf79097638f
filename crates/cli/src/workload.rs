//! Where the pods are in a manifest, and what `inject` makes of them.

use serde_json::{Value, json};
use sidekey_core::Cause;
use sidekey_inject::{Facts, Injection, Outcome, Settings, SkipReason, mutate};

use crate::args::{Input, Version};
use crate::error::Error;

/// The first version whose kubelet runs native sidecars.
const NATIVE: Version = Version { major: 1, minor: 29 };

/// What came of one object.
#[derive(Debug)]
pub(crate) struct Judged {
    /// `Deployment shop/web`.
    pub(crate) object: String,
    /// The verdict.
    pub(crate) verdict: Verdict,
}

/// The verdict on one object.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// There is no pod in it.
    NoPod,
    /// As it is.
    Skipped(SkipReason),
    /// Changed.
    Injected(Box<Injection>),
    /// Refused.
    Denied(Cause, Vec<String>),
}

/// Reads the settings that `input` names.
pub(crate) fn settings(input: &Input) -> Result<Settings, Error> {
    input
        .settings
        .as_deref()
        .map_or_else(|| Ok(Settings::default()), sidekey_webhook::settings::load)
        .map_err(Error::Input)
}

/// Changes every pod and pod template of `object`, also below `List`s, and says what was done.
pub(crate) fn judge(object: &mut Value, input: &Input, settings: &Settings) -> Result<Vec<Judged>, Error> {
    judge_item(object, "", input, settings)
}

/// An item that names no kind, as an API server writes those of a `DeploymentList`, is of kind `assumed`.
fn judge_item(object: &mut Value, assumed: &str, input: &Input, settings: &Settings) -> Result<Vec<Judged>, Error> {
    let kind = object["kind"].as_str().unwrap_or(assumed).to_owned();
    if let Some(of) = kind.strip_suffix("List")
        && let Some(items) = object.get_mut("items").and_then(Value::as_array_mut)
    {
        let judged: Result<Vec<_>, _> = items.iter_mut().map(|item| judge_item(item, of, input, settings)).collect();
        return judged.map(|judged| judged.into_iter().flatten().collect());
    }
    judge_object(object, &kind, input, settings).map(|judged| vec![judged])
}

fn judge_object(object: &mut Value, kind: &str, input: &Input, settings: &Settings) -> Result<Judged, Error> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or(&input.namespace).to_owned();
    let name = title(object, kind, &namespace);
    let version = input.kubernetes_version;
    let minor = if version.major > NATIVE.major { u32::MAX } else { version.minor };
    let env_files = sidekey_inject::env_files(minor, minor);
    let facts = Facts { namespace, native_sidecars: version >= NATIVE, env_files };
    let Some(template) = template(object, kind) else { return Ok(Judged { object: name, verdict: Verdict::NoPod }) };
    let mut pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
    if pod["metadata"].is_null() {
        pod["metadata"] = json!({});
    }
    let verdict = match mutate(&pod, &facts, settings) {
        Outcome::Skip(reason) => Verdict::Skipped(reason),
        Outcome::Deny { cause, warnings } => Verdict::Denied(cause, warnings),
        Outcome::Patch(injection) => {
            injection
                .patch
                .apply(&mut pod)
                .map_err(|error| Error::Failed(format!("{name}: the patch does not apply: {error}")))?;
            template["metadata"] = pod["metadata"].take();
            template["spec"] = pod["spec"].take();
            Verdict::Injected(injection)
        }
    };
    Ok(Judged { object: name, verdict })
}

/// The pod, or the pod template, of an object.
fn template<'a>(object: &'a mut Value, kind: &str) -> Option<&'a mut Value> {
    let path = match kind {
        "Pod" => "",
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" | "Rollout" => {
            "/spec/template"
        }
        "CronJob" => "/spec/jobTemplate/spec/template",
        "PodTemplate" => "/template",
        _ => return None,
    };
    object.pointer_mut(path).filter(|template| template["spec"].is_object())
}

fn title(object: &Value, kind: &str, namespace: &str) -> String {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().or_else(|| metadata["generateName"].as_str()).unwrap_or("(no name)");
    format!("{} {namespace}/{name}", if kind.is_empty() { "(no kind)" } else { kind })
}

/// The outcome in a word or two.
impl Verdict {
    pub(crate) const fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(..))
    }

    pub(crate) fn warnings(&self) -> &[String] {
        match self {
            Self::Injected(injection) => &injection.warnings,
            Self::Denied(_, warnings) => warnings,
            Self::NoPod | Self::Skipped(_) => &[],
        }
    }

    pub(crate) fn line(&self) -> String {
        match self {
            Self::NoPod => "no pod in it".to_owned(),
            Self::Skipped(reason) => format!("skipped ({})", reason.as_str()),
            Self::Denied(cause, _) => format!("denied: {cause}"),
            Self::Injected(injection) => {
                let names: Vec<_> = injection.agents.iter().map(|(name, _)| name.as_str()).collect();
                format!("injected ({})", names.join(", "))
            }
        }
    }
}
