//! Watching a leased credential in its file: is the one that stands there honoured, at every moment?

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::credential;
use crate::process::TICK;
use crate::running::Running;
use crate::screen::Step;
use crate::world::{LEASE, LONGEST_LEASE, World};

/// How long to go on after the new credential was seen: it must be as good as the old one.
const AFTER: Duration = Duration::from_millis(500);

/// What was seen of one file.
#[derive(Default)]
struct Seen {
    reads: usize,
    refused: usize,
    users: Vec<String>,
    /// Whether the one before was still honoured when a new one was first seen.
    overlap: bool,
    last: Option<(String, String)>,
}

impl Seen {
    /// Reads the credential once and tries it at once.
    fn look(&mut self, world: &World, text: &str) {
        self.reads += 1;
        let Some((user, password)) = credential::find(text) else {
            self.refused += 1;
            return;
        };
        self.refused += usize::from(!world.vault.honours(&user, &password));
        if self.users.last() != Some(&user) {
            self.users.push(user.clone());
            if let Some((old, word)) = &self.last {
                self.overlap = world.vault.honours(old, word);
            }
        }
        self.last = Some((user, password));
    }
}

/// Reads the pod's leased file again and again until its user has changed.
pub(crate) async fn watch(world: &World, running: &Running) -> Step {
    let agent = &running.agent;
    let title = "a database lease is renewed, then replaced before its end";
    let step = Step::new("rotation", &running.pod, title);
    let leased = |file: &&String| agent.read(file).is_some_and(|text| credential::find(&text).is_some());
    let Some(file) = running.files.iter().find(leased) else {
        return step.field("file", "none has a leased credential").held(false);
    };
    let (begun, mut seen, mut changed) = (Instant::now(), Seen::default(), None);
    while begun.elapsed() < LONGEST_LEASE * 2 && changed.is_none_or(|at: Instant| at.elapsed() < AFTER) {
        seen.look(world, &agent.read(file).unwrap_or_default());
        if seen.users.len() > 1 {
            changed.get_or_insert_with(Instant::now);
        }
        sleep(TICK).await;
    }
    let renewed = world.vault.count("PUT", "sys/leases/renew");
    let watched = begun.elapsed().as_secs_f64();
    let old =
        if seen.overlap { "still honoured when the new one stood in the file" } else { "dead before the new one came" };
    let mut step = step
        .field(
            "file",
            format!("{file}, read every {} ms for {watched:.1} s; each time the user was tried", TICK.as_millis()),
        )
        .field("life", format!("{LEASE:?}, by renewal at most {LONGEST_LEASE:?}"))
        .field("renewals", format!("{renewed} so far, of both pods' leases"));
    for (index, user) in seen.users.iter().enumerate() {
        step = step.field(if index == 0 { "users" } else { "" }, user);
    }
    step.field("old user", old)
        .field("refused", format!("{} of {} tries", seen.refused, seen.reads))
        .held(seen.users.len() > 1 && seen.refused == 0 && seen.overlap && renewed > 0)
        .facts(json!({ "file": file, "seconds": watched, "reads": seen.reads, "refused": seen.refused, "users": seen.users, "overlap": seen.overlap, "renewals": renewed }))
}
