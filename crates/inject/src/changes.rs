//! What is to be done after a file changed: commands of the Vault dialect, on-change actions of the native one.

use sidekey_core::contract::{Action, Notify, Process, Signal};
use sidekey_core::path::RelPath;
use sidekey_core::{Cause, Code};

use crate::annotations::Entry;
use crate::command::{self, Command};
use crate::explain::Origin;
use crate::identity::Ids;
use crate::plan::Notes;
use crate::pod::{List, Names, Pod, is_ours};
use crate::reader::Reader;
use crate::registry::Field;
use crate::spec::{InjectSpec, Reaction};
use crate::value::shown;

/// The actions of one file, in the order in which they were written.
///
/// # Errors
/// `AnnotationValue` when one cannot be read.
pub(crate) fn reactions(reader: &mut Reader<'_>, raw: &str, dir: &str) -> Result<Vec<Reaction>, Cause> {
    let mut all = Vec::new();
    if let Some(entry) = reader.found.of(Field::Command, raw).filter(|entry| !entry.value.trim().is_empty()) {
        let Command { action, tools } = command::command(entry.value);
        let first = matches!(action, Action::Command { .. });
        all.push(Reaction { action, first, tools, key: entry.key.to_owned(), strict: false });
    }
    if let Some(entry) = reader.found.of(Field::OnChange, raw) {
        for line in entry.value.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let Command { action, tools } = on_change(line, dir).map_err(|answer| refused(&entry, line, &answer))?;
            all.push(Reaction { action, first: false, tools, key: entry.key.to_owned(), strict: true });
        }
    }
    Ok(all)
}

fn refused(entry: &Entry<'_>, line: &str, answer: &str) -> Cause {
    let answer = format!("`{}`: {answer}", shown(line));
    Cause::new(Code::AnnotationValue, format!("reading annotation {}", entry.key), answer).with_fix(
        "Write, one a line: `signal HUP NAME` or `signal HUP /path/of.pid`, `http POST http://127.0.0.1:8080/path`, \
         `command /path/of/program ARGUMENTS`, or `touch FILE`.",
    )
}

fn on_change(line: &str, dir: &str) -> Result<Command, String> {
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let mut words = rest.split_whitespace();
    let plain = |action| Command { action, tools: false };
    match (verb, words.next(), words.next(), words.next()) {
        ("signal", Some(word), Some(whom), None) => signal(word, whom).map(plain),
        ("http", Some(method), Some(url), None) => Ok(plain(command::http(method, url)?)),
        ("touch", Some(file), None, None) => {
            let file = RelPath::parse(file).map_err(|error| error.to_string())?;
            Ok(plain(Action::Touch { dir: dir.to_owned(), file }))
        }
        ("command", Some(_), ..) => {
            let words = command::words(rest).ok_or("it needs a shell: write `command sh -c '…'`")?;
            Ok(command::program(words))
        }
        ("signal" | "http" | "touch" | "command", ..) => Err("words are missing, or there are too many".to_owned()),
        _ => Err("it begins with none of signal, http, command, touch".to_owned()),
    }
}

fn signal(word: &str, whom: &str) -> Result<Action, String> {
    let signal = Signal::parse(word).ok_or_else(|| format!("`{word}` is none of {}", Signal::WORDS.join(", ")))?;
    let process = match whom.starts_with('/') {
        true => Process::PidFile(whom.to_owned()),
        false if whom.contains('/') => return Err("the process is neither a name nor an absolute path".to_owned()),
        false => Process::Name(whom.to_owned()),
    };
    Ok(Action::Signal { signal, process })
}

/// The contract's part, by the groups of the files. A signal that cannot arrive is refused where it is the native dialect's, and
/// warned about where today's injector would try.
///
/// # Errors
/// `PodRefused`.
pub(crate) fn notify(
    pod: &Pod<'_>,
    spec: &InjectSpec,
    groups: &[&str],
    ids: Option<Ids>,
    notes: &mut Notes<'_>,
) -> Result<Vec<Notify>, Cause> {
    let mut all = Vec::new();
    for (secret, group) in spec.secrets.iter().zip(groups) {
        for reaction in &secret.reactions {
            match obstacle(pod, spec, &reaction.action, ids) {
                Some((answer, fix)) if reaction.strict => {
                    let attempted = format!("reading annotation {}", reaction.key);
                    return Err(Cause::new(Code::PodRefused, attempted, answer).with_fix(fix));
                }
                Some((answer, _)) => notes.warnings.push(format!("{} will not work: {answer}", reaction.key)),
                None => {}
            }
            let notify = Notify { group: (*group).to_owned(), action: reaction.action.clone(), first: reaction.first };
            let words = notify.action.to_string();
            notes.trace.choose("after a change", words, Origin::Annotation(reaction.key.clone()));
            if !all.contains(&notify) {
                all.push(notify);
            }
        }
    }
    Ok(all)
}

/// Why an action cannot reach the app, and what to do. A capability to signal others is no part of *restricted*, so the uid
/// must be the same.
fn obstacle(pod: &Pod<'_>, spec: &InjectSpec, action: &Action, ids: Option<Ids>) -> Option<(String, &'static str)> {
    let signals = match action {
        Action::Signal { .. } => true,
        Action::Command { argv } => is_kill(argv),
        Action::Http { .. } | Action::Touch { .. } => false,
    };
    if !signals {
        return None;
    }
    if !spec.share_processes.or_else(|| pod.share_processes()).unwrap_or(false) {
        let answer = "a signal reaches the app only in a shared process namespace".to_owned();
        return Some((
            answer,
            "Set shareProcessNamespace: true in the pod, or the annotation share-process-namespace.",
        ));
    }
    let user = ids?.user;
    let names = Names::of(spec.dialect);
    let mut others = pod.containers(List::Regular).iter().filter(|one| !is_ours(one, &names));
    let same = others.any(|one| pod.declared(one, "runAsUser") == Some(user));
    (!same).then(|| {
        let answer =
            format!("no container declares the agent's uid {user}, and a signal goes to processes of one's own uid");
        (answer, "Declare the app's runAsUser, and set the annotation run-as-same-user.")
    })
}

fn is_kill(argv: &[String]) -> bool {
    let words = || argv.iter().flat_map(|word| word.split([' ', ';', '(', '&', '|'])).map(program);
    words().any(|word| matches!(word, "kill" | "pkill" | "killall"))
}

fn program(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or_default()
}

/// The settings' image has no programs; one that the pod names is the user's own affair.
pub(crate) fn image(spec: &mut InjectSpec, reader: &mut Reader<'_>) {
    let needs = spec.secrets.iter().flat_map(|secret| &secret.reactions).find(|reaction| reaction.tools);
    let Some(needs) = needs else { return };
    if spec.image != reader.settings.agent_image {
        return;
    }
    if let Action::Command { argv } = &needs.action
        && argv.iter().any(|word| word.split([' ', ';', '&', '|']).any(|word| program(word) == "curl"))
    {
        let key = &needs.key;
        reader.warn(format!("{key} needs curl, which the tools image has not: use its wget, or on-change with http"));
    }
    spec.image.clone_from(&reader.settings.tools_image);
    let from = Origin::Derived(format!("programs for {}", needs.key).into());
    reader.trace.choices.retain(|choice| choice.what != "image");
    reader.trace.choose("image", spec.image.clone(), from);
}
