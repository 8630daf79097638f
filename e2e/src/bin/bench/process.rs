//! One agent: started, timed until its files are there, weighed, ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A running agent.
pub(crate) struct Running {
    child: Child,
    cgroup: Option<PathBuf>,
    /// From the call that starts it to the moment both files are there.
    pub(crate) took: Duration,
}

/// Bytes; a zero is a kernel that does not say.
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) anonymous: u64,
    /// What the kernel charges a container of this process alone with.
    pub(crate) cgroup: u64,
}

/// What a process has done since it began.
#[derive(Clone, Copy)]
pub(crate) struct Activity {
    /// How often one of its threads began to wait: each time ends with a wake-up.
    pub(crate) wakeups: u64,
    /// Time on a processor, of all threads.
    pub(crate) cpu: Duration,
}

impl Activity {
    pub(crate) const fn since(self, before: Self) -> Self {
        Self { wakeups: self.wakeups.saturating_sub(before.wakeups), cpu: self.cpu.saturating_sub(before.cpu) }
    }
}

impl Running {
    /// Starts `command` and waits for `files`; with `weigh`, in a memory cgroup of its own where one can be made.
    pub(crate) fn start(
        command: &[String],
        env: &[(String, String)],
        files: &[PathBuf],
        log: &Path,
        weigh: bool,
    ) -> Self {
        let cgroup = if weigh { make_cgroup() } else { None };
        let mut start = match &cgroup {
            // Memory is charged to the cgroup that first touches it: the process must be in there before it begins.
            Some(cgroup) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(cgroup.join("cgroup.procs")).args(command);
                shell
            }
            None => {
                let mut plain = Command::new(&command[0]);
                plain.args(&command[1..]);
                plain
            }
        };
        let log = fs::File::create(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        start.env_clear().envs(env.iter().cloned()).stdin(Stdio::null());
        start.stdout(log.try_clone().map_or_else(|_| Stdio::null(), Stdio::from)).stderr(log);
        let begun = Instant::now();
        let mut child = start.spawn().unwrap_or_else(|error| panic!("{}: {error}", command[0]));
        while !files.iter().all(|file| fs::metadata(file).is_ok_and(|it| it.len() > 0)) {
            let ended = child.try_wait().ok().flatten();
            assert!(
                ended.is_none() && begun.elapsed() < Duration::from_secs(30),
                "{} wrote no files: {ended:?}",
                command[0]
            );
            sleep(Duration::from_micros(200));
        }
        Self { took: begun.elapsed(), child, cgroup }
    }

    /// What it has done so far (`proc_pid_status(5)`, `proc_pid_schedstat`).
    pub(crate) fn activity(&self) -> Activity {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let mut all = Activity { wakeups: 0, cpu: Duration::ZERO };
        for task in tasks.into_iter().flatten().flatten() {
            let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let number = |text: Option<&str>| text.and_then(|it| it.trim().parse::<u64>().ok()).unwrap_or_default();
            let status = read("status");
            all.wakeups += number(status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")));
            all.cpu += Duration::from_nanos(number(read("schedstat").split_whitespace().next()));
        }
        all
    }

    /// What it weighs now.
    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"));
            line.and_then(|it| it.trim().parse::<u64>().ok()).unwrap_or_default() * 1024
        };
        let read = |file: &str| fs::read_to_string(self.cgroup.as_ref()?.join(file)).ok()?.trim().parse().ok();
        Memory {
            resident: kilobytes("VmRSS:"),
            anonymous: kilobytes("RssAnon:"),
            cgroup: read("memory.current").or_else(|| read("memory.usage_in_bytes")).unwrap_or_default(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(cgroup) = &self.cgroup {
            let _ = fs::remove_dir(cgroup);
        }
    }
}

/// Version 1 or 2, whichever is there and may be written.
fn make_cgroup() -> Option<PathBuf> {
    let name = format!("sidekey-bench-{}", std::process::id());
    let one = Path::new("/sys/fs/cgroup/memory");
    let two = Path::new("/sys/fs/cgroup");
    let controllers = fs::read_to_string(two.join("cgroup.subtree_control")).unwrap_or_default();
    let parent = if one.is_dir() {
        one
    } else if controllers.split_whitespace().any(|it| it == "memory") {
        two
    } else {
        return None;
    };
    let cgroup = parent.join(name);
    fs::create_dir(&cgroup).ok().map(|()| cgroup)
}
