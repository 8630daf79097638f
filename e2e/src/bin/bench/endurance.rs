//! Whether the agent stays as small as it was: memory after a hundred thousand refreshes against memory after the first tenth.

use std::collections::VecDeque;
use std::env;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidekey_core::contract::Refresh;

use crate::figure::{Budget, Table};
use crate::process::Running;
use crate::server::Server;
use crate::{agent, alone, megabytes};

/// Refreshes in a run; `BENCH_REFRESHES` sets another number.
const REFRESHES: u64 = 100_000;

/// Secrets, each read again about once a second: no agent reads one more often than that.
const SECRETS: usize = 400;

/// A run that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(3_000);

/// Looks at memory, a half second apart, that one figure is made of.
const LOOKS: usize = 21;

/// Growth beyond this is no noise of an allocator, megabytes.
const FLAT: f64 = 0.2;

pub(crate) fn measure(table: &mut Table, binary: &str, folder: &Path) {
    let wanted = env::var("BENCH_REFRESHES").ok().and_then(|it| it.parse().ok()).unwrap_or(REFRESHES);
    let server = Server::start_fake(folder);
    let run = folder.join("many");
    for part in ["secrets", "state"] {
        fs::create_dir_all(run.join(part)).unwrap_or_else(|error| panic!("{}: {error}", run.display()));
    }
    let names: Vec<String> = (0..SECRETS).map(|number| format!("s{number}")).collect();
    let outputs = names.iter().map(|name| {
        server.put(name, version(0));
        let template =
            format!("{{{{ with secret \"secret/data/many/{name}\" }}}}{{{{ .Data.data.password }}}}{{{{ end }}}}");
        agent::output(&run, name, &template)
    });
    let refresh = Refresh { static_interval_ms: 1_000, ..Refresh::default() };
    let config = agent::config(&server, &run, outputs.collect(), refresh);
    let env = config.to_env().unwrap_or_else(|error| panic!("{error}"));
    let files: Vec<_> = names.iter().map(|name| run.join("secrets").join(name)).collect();
    let command = [binary.to_owned(), "run".to_owned()];
    let running = Running::start(&command, &env, &files, &folder.join("many.log"), false);
    let begun = Instant::now();
    let early = until(&server, &running, &run, &names, begun, wanted / 10);
    let late = until(&server, &running, &run, &names, begun, wanted);
    let growth = megabytes(late) - megabytes(early);
    table.figures.push(alone(format!("agent growth over {wanted} refreshes"), "MB", growth, Budget::AtMost(FLAT)));
    table.note(format!(
        "endurance: {SECRETS} secrets of fakevault, each read about once a second, two a second of them changed and written: {wanted} \
         refreshes in {} s, anonymous memory {:.2} MB after the first tenth and {:.2} MB at the end, medians of ten seconds",
        begun.elapsed().as_secs(),
        megabytes(early),
        megabytes(late)
    ));
}

fn version(number: usize) -> Value {
    json!({"user": "app", "password": format!("of the bench, version {number}")})
}

/// Changes a secret each half second, till the agent has refreshed so many; then its anonymous memory, the median of the last
/// looks, since one alone may fall among a hundred answers that are on their way.
fn until(server: &Server, running: &Running, run: &Path, names: &[String], begun: Instant, wanted: u64) -> u64 {
    let (mut turn, mut seen) = (0, VecDeque::new());
    loop {
        let text = fs::read_to_string(run.join("state/status.json")).unwrap_or_default();
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        let refreshed = status["counters"]["fetches"].as_u64().unwrap_or_default();
        seen.push_back(running.memory().anonymous);
        if seen.len() > LOOKS {
            seen.pop_front();
        }
        if refreshed >= wanted {
            let mut sorted: Vec<u64> = seen.into();
            sorted.sort_unstable();
            return sorted[sorted.len() / 2];
        }
        assert!(begun.elapsed() < LONGEST, "{refreshed} of {wanted} refreshes after {LONGEST:?}");
        turn += 1;
        server.put(&names[turn % names.len()], version(turn));
        sleep(Duration::from_millis(500));
    }
}
