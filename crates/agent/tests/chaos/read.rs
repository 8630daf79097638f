//! What a program finds in its files, and a reader that never stops looking.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::pod::{Pod, Seen};
use crate::watch::Wrong;

/// Between two looks of the reader.
const BETWEEN: Duration = Duration::from_millis(1);

/// The three credentials in files: user, password.
pub(crate) fn credentials(pod: &Pod) -> Vec<(String, String)> {
    let job = pod.read("job.json").and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    let plain = job.and_then(|job| Some((text(&job, "username")?, text(&job, "password")?)));
    let linked = |group, files| {
        let seen: Seen = pod.pair(group, files)?;
        Some((seen.first.last()?.clone(), seen.second.last()?.clone()))
    };
    [linked("app", ["app.user", "app.pass"]), linked("both", ["both.a", "both.b"]), plain]
        .into_iter()
        .flatten()
        .collect()
}

/// What one look found.
#[derive(Default)]
pub(crate) struct Sets {
    /// How many sets were whole and of one version.
    pub(crate) read: u64,
    /// Users of the credentials in them.
    pub(crate) users: Vec<String>,
}

/// No group is torn, and none mixes two versions.
pub(crate) fn groups(pod: &Pod) -> Result<Sets, Wrong> {
    let mut sets = Sets::default();
    let cases: [(&str, [&str; 2], usize, usize); 3] = [
        ("pair", ["pair.a", "pair.b"], 2, 2),
        ("app", ["app.user", "app.pass"], 1, 2),
        ("both", ["both.a", "both.b"], 3, 4),
    ];
    for (group, files, same, all) in cases {
        let Some(Seen { first, second }) = pod.pair(group, files) else { continue };
        if first.len() != all || second.len() != all {
            return Err(format!("the group {group} is torn: {} and {} words of {all}", first.len(), second.len()));
        }
        if first[..same] != second[..same] {
            return Err(format!("the group {group} mixes versions: {:?} and {:?}", &first[..same], &second[..same]));
        }
        sets.read += 1;
        if same < all {
            sets.users.extend(first.into_iter().next_back());
        }
    }
    if let Some(Seen { first, second }) = pod.pair("tls", ["tls.crt", "tls.key"]) {
        let ends = [&first, &second].map(|words| words.last().is_some_and(|word| word.ends_with("-----")));
        if ends != [true, true] {
            return Err("the group tls is torn".to_owned());
        }
        if first[0] != second[0] {
            return Err(format!("the group tls mixes versions: {} and {}", first[0], second[0]));
        }
        sets.read += 1;
    }
    if let Some(text) = pod.read("job.json") {
        let job: Value = serde_json::from_str(&text).map_err(|_| "job.json is torn")?;
        sets.read += 1;
        sets.users.extend(job["username"].as_str().map(str::to_owned));
    }
    Ok(sets)
}

#[derive(Default)]
struct Found {
    reads: AtomicU64,
    users: Mutex<BTreeSet<String>>,
    wrong: Mutex<Option<Wrong>>,
    stop: AtomicBool,
}

/// Reads the groups all the time.
pub(crate) struct Reader {
    found: Arc<Found>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    pub(crate) fn start(pod: &Arc<Pod>) -> Self {
        let found = Arc::<Found>::default();
        let (pod, own) = (pod.clone(), found.clone());
        let thread = std::thread::spawn(move || {
            while !own.stop.load(Ordering::Relaxed) {
                match groups(&pod) {
                    Ok(sets) => {
                        own.reads.fetch_add(sets.read, Ordering::Relaxed);
                        own.users.lock().unwrap().extend(sets.users);
                    }
                    Err(what) => *own.wrong.lock().unwrap() = Some(what),
                }
                std::thread::sleep(BETWEEN);
            }
        });
        Self { found, thread: Some(thread) }
    }

    /// Sets read so far.
    pub(crate) fn reads(&self) -> u64 {
        self.found.reads.load(Ordering::Relaxed)
    }

    /// Users whose credentials were in files since the last call.
    pub(crate) fn users(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.found.users.lock().unwrap())
    }

    pub(crate) fn look(&self) -> Result<(), Wrong> {
        self.found.wrong.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.found.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
