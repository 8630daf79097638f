//! `sidekey inject`: manifests as the webhook would make them on standard output, what was done on standard error.

use std::io::{self, Write};

use similar::TextDiff;

use crate::args::InjectArgs;
use crate::error::Error;
use crate::{documents, workload};

/// Lines around a change.
const CONTEXT: usize = 3;

/// Writes no manifest when one is denied: half a deployment helps nobody.
pub(crate) fn run(args: &InjectArgs) -> Result<(), Error> {
    let settings = workload::settings(&args.input)?;
    let mut documents = documents::read_all(&args.input.files)?;
    let before = if args.diff { documents::print(&documents)? } else { String::new() };
    let mut denied = false;
    let mut report = io::stderr().lock();
    for document in &mut documents {
        for judged in workload::judge(&mut document.value, &args.input, &settings)? {
            denied |= judged.verdict.is_denied();
            let _ = writeln!(report, "{}: {}", judged.object, judged.verdict.line());
            for warning in judged.verdict.warnings() {
                let _ = writeln!(report, "  warning: {warning}");
            }
        }
    }
    if denied {
        return Err(Error::Denied);
    }
    let after = documents::print(&documents)?;
    crate::write(&if args.diff { diff(&before, &after) } else { after })
}

/// Nothing where nothing changes. Both sides are written anew, so that only Sidekey's own changes show.
fn diff(before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after).unified_diff().context_radius(CONTEXT).header("before", "after").to_string()
}
