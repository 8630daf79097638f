//! VaultAuth: whether its references resolve, and what came of the logins made with it.

use super::{Done, Job, Next, Refers, Tools, now, tell, tell_event, write_status};
use crate::plan::outcome::{self, Event};
use crate::types::auth::VaultAuthStatus;
use crate::types::condition::merge;

pub(super) async fn look(tools: &Tools, mut job: Job) -> Done {
    let trouble = match &job.refers {
        Refers::Login(Err(trouble)) => Some(trouble.clone()),
        _ => None,
    };
    tell(tools, &mut job, trouble.as_ref()).await;
    let before: VaultAuthStatus = job.object.status();
    let generation = job.object.metadata.generation;
    let well = ["Its references resolve, and no login with it fails."].into_iter().chain(job.remark.as_deref());
    let mut verdicts = outcome::health(trouble.as_ref(), &well.collect::<Vec<_>>().join(" "));
    let about = job.about.clone().unwrap_or_default();
    let conditions = about.kept(&before.conditions);
    verdicts.extend(about.available);
    let after = VaultAuthStatus {
        valid: Some(trouble.is_none()),
        error: trouble.as_ref().map(|trouble| trouble.cause.to_string()),
        spec_hash: about.spec_hash.or_else(|| before.spec_hash.clone()),
        conditions: merge(&conditions, &verdicts, generation, &now()),
    };
    if trouble.is_none() && before.valid.is_none() {
        tell_event(tools, &job, &Event::normal("Accepted", "It can be used")).await;
    }
    let written = write_status(tools, &job, &before, &after).await;
    let next = if written.is_ok() { Next::Never } else { Next::Retry };
    Done::new(job, next, trouble.is_none(), written.unwrap_or_default())
}
