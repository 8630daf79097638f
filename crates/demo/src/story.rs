//! The story, step by step; each step acts, looks, and says whether its claim held.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::admission::{Admitted, admit};
use crate::failure::{Doing as _, Failure};
use crate::process::until;
use crate::running::{self, Running, is_agent};
use crate::screen::{Screen, Step};
use crate::world::{LEASE, LONGEST_LEASE, SECRET, STATIC_INTERVAL, World};
use crate::{describe, kubelet, rotation, sample};

/// A role nobody made.
const ABSENT_ROLE: &str = "no-such-role";

/// Time for an agent to find its cause, on a slow machine or an emulated one.
const FOUND: Duration = Duration::from_secs(15);

/// How long the agent with the wrong role is watched, at least.
const WATCH: Duration = Duration::from_secs(4);

/// Tells all of it; whether all of it held.
///
/// # Errors
/// What keeps the demo from going on.
pub(crate) async fn tell(program: &Path, screen: &mut Screen) -> Result<bool, Failure> {
    let start = Instant::now();
    let world = World::start().await?;
    let mut show = |step: Step| screen.show(&step).doing("writing");
    show(surroundings(&world))?;
    let mut pods = Vec::new();
    for manifest in [sample::NATIVE, sample::VAULT] {
        let (admitted, step) = admission(&world, &sample::pod(manifest)?).await?;
        show(step)?;
        let (running, step) = running::run(&world, program, &admitted.pod).await?;
        show(step)?;
        pods.push(running);
    }
    let [native, vault] = &mut pods[..] else { return Err(Failure::of("running the samples", &"not two of them")) };
    let (one, other) = change(&world, native, vault).await;
    show(one)?;
    show(other)?;
    let (one, other) = tokio::join!(rotation::watch(&world, native), rotation::watch(&world, vault));
    show(one)?;
    show(other)?;
    show(end(&world, native).await?)?;
    show(end(&world, vault).await?)?;
    show(wrong_role(&world, program).await?)?;
    show(nothing_left(&world))?;
    screen.finish(start.elapsed().as_secs_f64()).doing("writing")?;
    Ok(screen.all_held)
}

fn surroundings(world: &World) -> Step {
    Step::new("surroundings", "", "Vault and webhook answer on loopback, over TLS")
        .field("vault", format!("{}  (embedded look-alike, made-up values)", world.vault.address()))
        .field("secrets", "secret/data/web: KV version 2, no lease")
        .field(
            "",
            format!("database/creds/web: a new user per lease of {LEASE:?}, by renewal at most {LONGEST_LEASE:?}"),
        )
        .field(
            "role",
            "web at auth/kubernetes, for service account default/default; its policy: read these two, no more",
        )
        .field("webhook", format!("https://{}/mutate  (the real one, self-made CA)", world.webhook))
        .facts(json!({ "vault": world.vault.address(), "webhook": format!("https://{}/mutate", world.webhook) }))
}

/// Posts the pod and shows the patch as a person reads it.
async fn admission(world: &World, pod: &Value) -> Result<(Admitted, Step), Failure> {
    let start = Instant::now();
    let admitted = admit(world.webhook, &world.webhook_ca, pod).await?;
    let took = start.elapsed().as_secs_f64() * 1e3;
    let mut step = Step::new("admission", sample::name(pod), "the webhook answers with a patch");
    let mut label = "annotated";
    for (key, value) in pod["metadata"]["annotations"].as_object().into_iter().flatten() {
        let mut lines = value.as_str().unwrap_or_default().trim_end().lines();
        step = step.field(label, format!("{key}: {}", lines.next().unwrap_or_default()));
        for line in lines {
            step = step.quote(line);
        }
        label = "";
    }
    for change in describe::changes(pod, &admitted.pod) {
        for (index, line) in change.lines.iter().enumerate() {
            step = step.field(if index == 0 { &change.label } else { "" }, line);
        }
    }
    for warning in &admitted.warnings {
        step = step.field("warning", warning);
    }
    let operations = admitted.patch.0.len();
    let agents = kubelet::containers(&admitted.pod).filter(|one| is_agent(one)).count();
    let facts = json!({ "operations": operations, "milliseconds": took, "warnings": admitted.warnings });
    let step = step.field("answered", format!("{operations} operations, {took:.0} ms with connection and TLS"));
    Ok((admitted, step.held(agents == 1).facts(facts)))
}

/// Changes the KV secret once and waits until both agents' files have it.
async fn change(world: &World, one: &Running, other: &Running) -> (Step, Step) {
    let value = format!("changed-at-{}-ms", world.vault.now().as_millis());
    world.vault.put(SECRET, json!({ "username": "shop", "password": value, "url": "https://shop.example" }));
    tokio::join!(followed(one, &value), followed(other, &value))
}

async fn followed(running: &Running, value: &str) -> Step {
    let changed = Instant::now();
    let has = |file: &&String| running.agent.read(file).is_some_and(|text| text.contains(value));
    let seen = until(Duration::from_secs(8), || running.files.iter().find(has)).await;
    let took = changed.elapsed().as_secs_f64();
    let mut step = Step::new("change", &running.pod, "a changed KV secret reaches its file")
        .field("changed", format!("the password of {SECRET}"))
        .held(seen.is_some());
    if let Some(file) = seen {
        step = step
            .field("file", format!("{file}  ({took:.1} s later; the demo's agents look every {STATIC_INTERVAL})"))
            .quote(&running.agent.read(file).unwrap_or_default());
    }
    step.facts(json!({ "seconds": took, "file": seen }))
}

async fn end(world: &World, running: &mut Running) -> Result<Step, Failure> {
    let counts = || (world.vault.tokens().len(), world.vault.leases().len());
    let (before, mark) = (counts(), world.mark());
    let (status, took) = running.agent.terminate().await?;
    let (after, took) = (counts(), took.as_secs_f64() * 1e3);
    let revoked = world.since(mark).iter().any(|request| request.ends_with("auth/token/revoke-self"));
    let held = status.success() && revoked && after.0 + 1 == before.0 && after.1 < before.1;
    Ok(Step::new("end", &running.pod, "at SIGTERM the agent revokes its token, and its leases die with it")
        .field("exit", format!("{status}, {took:.0} ms after SIGTERM"))
        .field("tokens", format!("{} before, {} after", before.0, after.0))
        .field("leases", format!("{} before, {} after", before.1, after.1))
        .held(held)
        .facts(json!({ "exit": status.code(), "milliseconds": took, "tokens": after.0, "leases": after.1 })))
}

async fn wrong_role(world: &World, program: &Path) -> Result<Step, Failure> {
    let pod = sample::with_role(sample::pod(sample::NATIVE)?, ABSENT_ROLE)?;
    let admitted = admit(world.webhook, &world.webhook_ca, &pod).await?;
    let mark = world.mark();
    let mut agent = running::start(world, program, &admitted.pod)?;
    let explained = agent.explanation(FOUND).await?;
    sleep(WATCH.saturating_sub(agent.started.elapsed())).await;
    let (watched, requests) = (agent.started.elapsed().as_secs_f64(), world.since(mark));
    let logins = requests.iter().filter(|request| request.ends_with("/login")).count();
    let (status, _) = agent.terminate().await?;
    // A login at once, then with a back-off from 1 s on, each with a question or two to find the cause.
    let calm = (1..=12).contains(&requests.len());
    let coded = explained.starts_with("SK") && explained.contains(ABSENT_ROLE);
    let step = Step::new(
        "explanation",
        sample::name(&pod),
        "a role that does not exist is named, and not asked for in a loop",
    )
    .field("role", ABSENT_ROLE)
    .field("ready says", &explained)
    .field("requests", format!("{} in {watched:.1} s, {logins} of them logins", requests.len()))
    .field("exit", format!("{status}, at SIGTERM"))
    .held(coded && calm && status.success())
    .facts(json!({ "ready": explained, "requests": requests.len(), "logins": logins, "seconds": watched }));
    Ok(if coded && calm { step } else { agent.with_log(step) })
}

fn nothing_left(world: &World) -> Step {
    let (tokens, leases, requests) = (world.vault.tokens().len(), world.vault.leases().len(), world.mark());
    Step::new("nothing left", "", "Vault holds no token and no lease of any of it")
        .field("tokens", tokens.to_string())
        .field("leases", leases.to_string())
        .field("requests", format!("{requests} in all"))
        .held(tokens == 0 && leases == 0)
        .facts(json!({ "tokens": tokens, "leases": leases, "requests": requests }))
}
