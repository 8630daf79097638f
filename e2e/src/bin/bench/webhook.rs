//! The webhook's own bench (`crates/webhook/benches`), its lines put into the table.

use std::process::{Command, Stdio};

use crate::alone;
use crate::figure::{Budget, Figure, Table};

/// vault-k8s 1.7.6, one small pod over TLS with keep-alive, per CPU-second; measured once on a machine of this kind.
const VAULT_K8S: f64 = 3050.0;

/// With the flags, the libc and the allocator of the program in the image.
const BUILT_AS_SHIPPED: &str = r#"arch=$(uname -m); . .ci/target
exec cargo bench --quiet --locked --target "$target" -p sidekey-webhook --bench admissions"#;

/// # Errors
/// Why there are no figures.
pub(crate) fn measure(table: &mut Table) -> Result<(), String> {
    let output = Command::new("bash")
        .args(["-euc", BUILT_AS_SHIPPED])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err("its bench failed; its words are above".to_owned());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let mut pod = "";
    let mut seen = 0;
    for line in said.lines() {
        if let Some(head) = line.strip_prefix("webhook, ") {
            pod = head.split(", review of").next().unwrap_or(head);
        }
        for figure in [per_cpu_second(pod, line), p99(pod, line), resident(pod, line), million(line), grown(line)]
            .into_iter()
            .flatten()
        {
            seen += 1;
            table.figures.push(figure);
        }
    }
    if seen != 14 {
        return Err(format!("its bench prints other lines than were looked for:\n{said}"));
    }
    table.note(format!("admissions: the webhook's server, built as in the image; compared to vault-k8s 1.7.6, {VAULT_K8S} measured once on the same kind of machine, not in this run"));
    Ok(())
}

/// What is compared to is one small pod.
fn per_cpu_second(pod: &str, line: &str) -> Option<Figure> {
    let value = number_after(line, "admissions per CPU-second")?;
    let budget = Budget::AtLeast(number_after(line, "budget")?, number_after(line, "floor")?);
    let small = line.contains("budget 15000") && pod != "not annotated";
    let figure = alone(format!("admissions per CPU-second ({pod})"), "", value, budget);
    Some(Figure { theirs: small.then_some(VAULT_K8S), ..figure })
}

fn p99(pod: &str, line: &str) -> Option<Figure> {
    let value = number_after(line, "p99")?;
    let rate = line.split_once("latency at ")?.1.split_once("/s")?.0;
    let budget = Budget::AtMost(number_after(line, "budget")?);
    Some(alone(format!("p99 at {rate} a second ({pod})"), "ms", value, budget))
}

fn resident(pod: &str, line: &str) -> Option<Figure> {
    let value = number_after(line, "resident under load")?;
    Some(alone(format!("resident under load ({pod})"), "MiB", value, Budget::AtMost(number_after(line, "budget")?)))
}

fn million(line: &str) -> Option<Figure> {
    let value = number_after(line, "resident after 1000000")?;
    Some(alone("resident after a million admissions".to_owned(), "MiB", value, Budget::AtMost(12.0)))
}

/// Between the first tenth of them and the last.
fn grown(line: &str) -> Option<Figure> {
    let value = number_after(line, "grown by")?;
    let budget = Budget::AtMost(number_after(line, "budget")?);
    Some(alone("growth over a million admissions".to_owned(), "MiB", value, budget))
}

fn number_after(line: &str, word: &str) -> Option<f64> {
    line.split_once(word)?.1.split_whitespace().next()?.trim_end_matches(',').parse().ok()
}
