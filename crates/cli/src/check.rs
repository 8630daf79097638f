//! `sidekey check`: of each pod, whether the webhook would take it, and what it would warn of.

use std::fmt::Write;

use serde_json::Value;

use crate::args::CheckArgs;
use crate::error::Error;
use crate::explain::machine;
use crate::workload::{Judged, Verdict};
use crate::{documents, workload};

pub(crate) fn run(args: &CheckArgs) -> Result<(), Error> {
    let settings = workload::settings(&args.input)?;
    let mut judged = Vec::new();
    for document in &mut documents::read_all(&args.input.files)? {
        judged.extend(workload::judge(&mut document.value, &args.input, &settings)?);
    }
    let text = if args.json { lines(&judged) } else { person(&judged) };
    crate::write(&text)?;
    let denied = judged.iter().any(|judged| judged.verdict.is_denied());
    let warned = judged.iter().any(|judged| !judged.verdict.warnings().is_empty());
    if denied || (args.strict && warned) { Err(Error::Denied) } else { Ok(()) }
}

/// One JSON object a line.
fn lines(judged: &[Judged]) -> String {
    judged.iter().map(|judged| format!("{}\n", without_patch(machine(judged)))).collect()
}

/// A verdict does not need what would be changed.
fn without_patch(mut verdict: Value) -> Value {
    if let Some(fields) = verdict.as_object_mut() {
        for field in ["trace", "patch", "agents"] {
            fields.remove(field);
        }
    }
    verdict
}

fn person(judged: &[Judged]) -> String {
    let mut text = String::new();
    let (mut injected, mut denied, mut warnings) = (0, 0, 0);
    for Judged { object, verdict } in judged {
        if matches!(verdict, Verdict::NoPod) {
            continue;
        }
        let _ = writeln!(text, "{object}: {}", verdict.line());
        for warning in verdict.warnings() {
            let _ = writeln!(text, "  warning: {warning}");
        }
        injected += usize::from(matches!(verdict, Verdict::Injected(_)));
        denied += usize::from(verdict.is_denied());
        warnings += verdict.warnings().len();
    }
    let _ = writeln!(text, "{injected} injected, {denied} denied, {warnings} warnings, {} objects", judged.len());
    text
}
