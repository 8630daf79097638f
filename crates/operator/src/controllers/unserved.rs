//! Kinds that are accepted and not served: the object says so.

use serde_json::{Value, json};
use sidekey_core::{Cause, Code};

use super::{Done, Job, Next, Tools, now, tell, write_status};
use crate::plan::outcome::{self, Trouble};
use crate::types::Kind;
use crate::types::condition::merge;

pub(super) async fn look(tools: &Tools, mut job: Job) -> Done {
    let kind = job.key.kind;
    let why = match kind {
        Kind::HcpAuth | Kind::HcpVaultSecretsApp => "HCP Vault Secrets is retired",
        Kind::CsiSecrets => "it belongs to the CSI driver of Vault Enterprise",
        _ => "this version does not serve it",
    };
    let cause = Cause::new(Code::KindNotServed, format!("serving {}", job.key), why);
    let trouble = Trouble::new("InvalidConfiguration", cause);
    tell(tools, &mut job, Some(&trouble)).await;
    let before: Value = job.object.status();
    let verdicts = outcome::health(Some(&trouble), "");
    let conditions = merge(&job.object.conditions(), &verdicts, job.object.metadata.generation, &now());
    let mut after = if before.is_object() { before.clone() } else { json!({}) };
    after["conditions"] = json!(conditions);
    for (field, value) in required(kind, &trouble) {
        if after.get(field).is_none() || field == "error" || field == "valid" {
            after[field] = value;
        }
    }
    let written = write_status(tools, &job, &before, &after).await;
    let next = if written.is_ok() { Next::Never } else { Next::Retry };
    Done::new(job, next, false, written.unwrap_or_default())
}

/// Fields without which the API server refuses the status.
fn required(kind: Kind, trouble: &Trouble) -> Vec<(&'static str, Value)> {
    match kind {
        Kind::HcpAuth => vec![("valid", json!(false)), ("error", json!(trouble.cause.to_string()))],
        Kind::HcpVaultSecretsApp => vec![("lastGeneration", json!(0))],
        _ => Vec::new(),
    }
}
