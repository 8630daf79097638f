//! SecretTransformation: whether its templates parse and its expressions compile.

use super::{Done, Job, Next, Tools, now, tell, unreadable, write_status};
use crate::plan::outcome::{self, Trouble};
use crate::plan::transformation;
use crate::types::condition::merge;
use crate::types::transformation::{SecretTransformationSpec, SecretTransformationStatus};

pub(super) async fn look(tools: &Tools, mut job: Job) -> Done {
    let trouble = check(&job).err();
    tell(tools, &mut job, trouble.as_ref()).await;
    let before: SecretTransformationStatus = job.object.status();
    let generation = job.object.metadata.generation;
    let verdicts = outcome::health(trouble.as_ref(), "Its templates parse and its expressions compile.");
    let after = SecretTransformationStatus {
        valid: trouble.is_none(),
        error: trouble.as_ref().map(|trouble| trouble.cause.to_string()).unwrap_or_default(),
        conditions: merge(&before.conditions, &verdicts, generation, &now()),
    };
    let written = write_status(tools, &job, &before, &after).await;
    let next = if written.is_ok() { Next::Never } else { Next::Retry };
    Done::new(job, next, trouble.is_none(), written.unwrap_or_default())
}

fn check(job: &Job) -> Result<(), Trouble> {
    let spec: SecretTransformationSpec = job.object.spec().map_err(|words| unreadable(&job.key, &words))?;
    transformation::check(&job.key, &spec).map_err(|cause| Trouble::new("InvalidConfiguration", cause))
}
