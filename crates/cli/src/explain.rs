//! `sidekey explain`: which annotation led to what, and where each default came from.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::args::ExplainArgs;
use crate::error::Error;
use crate::workload::{Judged, Verdict};
use crate::{documents, workload};

pub(crate) fn run(args: &ExplainArgs) -> Result<(), Error> {
    let settings = workload::settings(&args.input)?;
    let mut judged = Vec::new();
    for document in &mut documents::read_all(&args.input.files)? {
        judged.extend(workload::judge(&mut document.value, &args.input, &settings)?);
    }
    let text =
        if args.json { format!("{:#}\n", Value::from_iter(judged.iter().map(machine))) } else { person(&judged) };
    crate::write(&text)?;
    if judged.iter().any(|judged| judged.verdict.is_denied()) { Err(Error::Denied) } else { Ok(()) }
}

fn person(judged: &[Judged]) -> String {
    let mut text = String::new();
    for Judged { object, verdict } in judged {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}{object}: {}", verdict.line());
        for warning in verdict.warnings() {
            let _ = writeln!(text, "warning: {warning}");
        }
        if let Verdict::Injected(injection) = verdict {
            let _ = write!(text, "\n{}", injection.trace);
        }
    }
    text
}

/// One object's verdict for a program.
pub(crate) fn machine(judged: &Judged) -> Value {
    let mut out = json!({"object": judged.object, "warnings": judged.verdict.warnings()});
    match &judged.verdict {
        Verdict::NoPod => out["outcome"] = json!("no_pod"),
        Verdict::Skipped(reason) => {
            out["outcome"] = json!("skipped");
            out["reason"] = json!(reason.as_str());
        }
        Verdict::Denied(cause, _) => {
            out["outcome"] = json!("denied");
            out["cause"] = json!(cause);
        }
        Verdict::Injected(injection) => {
            out["outcome"] = json!("injected");
            out["trace"] = json!(injection.trace);
            out["patch"] = json!(injection.patch);
            let agents = injection.agents.iter().map(|(name, config)| json!({"container": name, "config": config}));
            out["agents"] = agents.collect();
        }
    }
    out
}
