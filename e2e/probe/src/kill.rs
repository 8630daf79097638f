//! SIGKILL by program name, within a pod whose containers share their processes; and any signal by number of the process.

use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};

/// Kills every process whose `comm` is `name` (cut by the kernel to 15 bytes); an error when there is none.
pub(crate) fn kill(name: &str) -> io::Result<()> {
    let comm = &name[..name.len().min(15)];
    let mut found = false;
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|pid| pid.to_str()?.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        if fs::read_to_string(path.join("comm")).is_ok_and(|it| it.trim_end() == comm) {
            kill_process(pid, Signal::KILL)?;
            found = true;
        }
    }
    if found { Ok(()) } else { Err(io::Error::new(io::ErrorKind::NotFound, format!("no process is named {name}"))) }
}

/// Sends SIGUSR1 or SIGTERM to one process.
pub(crate) fn signal(pid: &str, name: &str) -> io::Result<()> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("{name} to {pid}"));
    let pid = pid.parse().ok().and_then(Pid::from_raw).ok_or_else(invalid)?;
    let signal = match name {
        "USR1" => Signal::USR1,
        "TERM" => Signal::TERM,
        _ => return Err(invalid()),
    };
    Ok(kill_process(pid, signal)?)
}
