//! Processes of the pod, by name (`proc(5)`).

use std::collections::BTreeMap;
use std::path::Path;

/// The kernel keeps no more of a name.
const LONGEST_NAME: usize = 15;

/// The ids of all processes called `name`, but for children of others of that name: a server's workers are its own affair.
pub(crate) fn find(proc: &Path, name: &str) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir(proc) else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let named = ids.filter(|id| *id != own).filter_map(|id| Some((id, parent(&proc.join(id.to_string()), name)?)));
    let parents: BTreeMap<i32, i32> = named.collect();
    parents.iter().filter(|(_, parent)| !parents.contains_key(*parent)).map(|(id, _)| *id).collect()
}

/// The parent's id, if the process is alive and has that name: the kernel's for it, or its program's.
fn parent(process: &Path, name: &str) -> Option<i32> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, known) = head.split_once('(')?;
    let mut fields = tail.split_whitespace();
    let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
    let short = name.char_indices().take_while(|(at, c)| at + c.len_utf8() <= LONGEST_NAME).map(|(_, c)| c);
    let is = known == name || known == short.collect::<String>() || program(process).as_deref() == Some(name);
    (is && !matches!(state, "Z" | "X")).then_some(parent)
}

fn program(process: &Path) -> Option<String> {
    let line = std::fs::read(process.join("cmdline")).ok()?;
    let first = line.split(|byte| *byte == 0).next()?;
    let text = String::from_utf8_lossy(first);
    Some(text.rsplit('/').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_by_either_name_and_leaves_workers_out() {
        let proc = tempfile::tempdir().unwrap();
        let process = |id: i32, stat: &str, line: &str| {
            let dir = proc.path().join(id.to_string());
            std::fs::create_dir(&dir).unwrap();
            std::fs::write(dir.join("stat"), format!("{id} {stat} 0 0")).unwrap();
            std::fs::write(dir.join("cmdline"), line).unwrap();
        };
        process(7, "(nginx) S 1", "nginx: master process nginx");
        process(8, "(nginx) S 7", "nginx: worker process");
        process(9, "(nginx) Z 1", "");
        process(10, "(odd) name) S 1", "/usr/bin/java\0-jar");
        process(11, "(a-name-that-is-) S 1", "./a-name-that-is-long\0");
        std::fs::create_dir(proc.path().join("self")).unwrap();
        assert_eq!(find(proc.path(), "nginx"), [7]);
        assert_eq!(find(proc.path(), "java"), [10]);
        assert_eq!(find(proc.path(), "odd) name"), [10]);
        assert_eq!(find(proc.path(), "a-name-that-is-long"), [11]);
        assert_eq!(find(proc.path(), "ngin"), [0; 0]);
        assert_eq!(find(&proc.path().join("nowhere"), "nginx"), [0; 0]);
    }
}
