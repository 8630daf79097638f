//! A look at a KV v2 secret's metadata, where the policy allows one; its data is read only when the version is another.

use std::sync::Arc;

use sidekey_core::Value;

use super::fetch::{self, Peek, Question};
use super::{Job, Tools};
use crate::digest;
use crate::plan::auth::Login;
use crate::plan::static_secret as plan;
use crate::plan::version;
use crate::sessions::Session;
use crate::types::static_secret::VaultStaticSecretSpec;

/// The session, when the version is the one that was read last, and nothing else that the Secret is made of has changed.
pub(super) async fn unchanged(
    tools: &Tools,
    job: &mut Job,
    login: &Arc<Login>,
    spec: &VaultStaticSecretSpec,
) -> Option<Session> {
    let seen = job.memory.seen.clone()?;
    let lookup = plan::metadata(spec, tools.poll_metadata)?;
    let namespace = spec.namespace.as_deref();
    let question = Question { login, namespace, lookup: &lookup, reason: "VaultClientError" };
    match fetch::peek(tools, &question, job.memory.unseen).await {
        Peek::Answer(answer) => {
            let (session, response) = *answer;
            let now = named(job, &version::current(&response.data)?);
            (now == seen).then_some(session)
        }
        Peek::Refused(serial) => {
            job.memory.unseen = Some(serial);
            None
        }
        Peek::Nothing => None,
    }
}

/// Notes what was read, of the metadata that came with it.
pub(super) fn note(tools: &Tools, job: &mut Job, spec: &VaultStaticSecretSpec, metadata: Option<&Value>) {
    let polls = plan::metadata(spec, tools.poll_metadata).is_some();
    let version = metadata.filter(|_| polls).and_then(version::of_data);
    job.memory.seen = version.map(|version| named(job, &version));
}

/// The version, and what else goes into a Secret's data.
fn named(job: &Job, version: &str) -> String {
    let metadata = &job.object.metadata;
    let around = (metadata.generation, &metadata.labels, &metadata.annotations, job.shared.as_ref().ok());
    let mut name = digest::hex(format!("{version} {around:?}").as_bytes());
    name.truncate(32);
    name
}
