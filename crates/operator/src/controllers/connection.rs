//! VaultConnection: whether a Vault answers there, looked at again and again.

use std::time::Duration;

use sidekey_core::{Cause, Code};
use sidekey_vault::diagnose;

use super::{Done, Event, Job, Next, Refers, Tools, now, tell, tell_event, write_status};
use crate::plan::outcome::{self, Trouble};
use crate::reach::Reach;
use crate::types::condition::{Verdict, merge};
use crate::types::connection::VaultConnectionStatus;

/// Between two looks at a Vault that answers.
const PERIOD: Duration = Duration::from_secs(60);

pub(super) async fn look(tools: &Tools, mut job: Job) -> Done {
    let trouble = check(tools, &job).await.err();
    tell(tools, &mut job, trouble.as_ref()).await;
    let before: VaultConnectionStatus = job.object.status();
    let generation = job.object.metadata.generation;
    if trouble.is_none() && !before.valid && before.conditions.is_empty() {
        tell_event(tools, &job, &Event::normal("Accepted", "Vault answers and is unsealed")).await;
    }
    let after = VaultConnectionStatus {
        valid: trouble.is_none(),
        conditions: merge(&before.conditions, &verdicts(trouble.as_ref()), generation, &now()),
    };
    let written = write_status(tools, &job, &before, &after).await;
    let well = trouble.is_none();
    let next = if well && written.is_ok() { Next::After(PERIOD, (0.9, 1.1)) } else { Next::Retry };
    Done::new(job, next, well, written.unwrap_or_default())
}

async fn check(tools: &Tools, job: &Job) -> Result<(), Trouble> {
    let Refers::Connection(connection) = &job.refers else { return Ok(()) };
    let connection = connection.clone()?;
    let reach = Reach::read(&tools.api, &tools.addresses, &tools.cloud.env, &connection).await?;
    let client = reach.client()?;
    let failed = |cause| Trouble::new("VaultClientError", cause);
    let health = client.health().await.map_err(|error| failed(diagnose::transport(&error, &reach.server)))?;
    let attempted = format!("asking {} for its health", reach.server.address);
    tools.sessions.reached(&connection, reach);
    if !health.initialized {
        return Err(failed(Cause::new(Code::VaultUninitialised, attempted, "it is not initialised")));
    }
    if health.sealed {
        return Err(failed(Cause::new(Code::VaultSealed, attempted, "it is sealed")));
    }
    Ok(())
}

fn verdicts(trouble: Option<&Trouble>) -> Vec<Verdict> {
    let mut verdicts = outcome::health(trouble, "Vault answers and is unsealed.");
    let words =
        trouble.map_or_else(|| "Vault answers and is unsealed.".to_owned(), |trouble| trouble.cause.to_string());
    let client = trouble.is_none_or(|trouble| trouble.reason == "VaultClientError");
    let client_words = if client { "The client is made." } else { words.as_str() };
    let client_reason = if client { "Accepted" } else { "VaultClientConfigError" };
    verdicts.push(Verdict::new("VaultClient", client, client_reason, client_words));
    let well = trouble.is_none();
    let reason = if well { "Accepted" } else { "InvalidConfiguration" };
    verdicts.push(Verdict::new("VaultPing", well, reason, words.clone()));
    verdicts.push(Verdict::new("ResourceValidation", well, reason, words));
    verdicts
}
