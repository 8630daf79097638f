//! `sidekey inject`: manifests as the webhook would make them on standard output, what was done on standard error.

use std::io::{self, Write};

use crate::args::InjectArgs;
use crate::error::Error;
use crate::{documents, workload};

/// Writes no manifest when one is denied: half a deployment helps nobody.
pub(crate) fn run(args: &InjectArgs) -> Result<(), Error> {
    let settings = workload::settings(&args.input)?;
    let mut documents = documents::read(&args.input.file)?;
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
    if denied { Err(Error::Denied) } else { crate::write(&documents::print(&documents)?) }
}
