//! A command line → what it does, without a shell where it can be.

use sidekey_core::contract::{Action, Process, Signal};

/// Characters that mean something to a shell outside of quotes.
const SPECIAL: &str = "|&;<>()$`*?[]{}~#!\n\r";

/// Words that are the shell's own.
const BUILTINS: [&str; 26] = [
    ".", ":", "[", "cd", "case", "command", "eval", "exec", "exit", "export", "for", "function", "if", "read", "set",
    "shift", "source", "test", "time", "times", "trap", "type", "ulimit", "umask", "until", "while",
];

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) action: Action,
    /// It needs programs that the agent's own image lacks.
    pub(crate) tools: bool,
}

/// A command of the Vault dialect, which today's agent hands to `sh -c`. Signals by name and calls need no program; plain words
/// need no shell.
pub(crate) fn command(text: &str) -> Command {
    let text = text.trim();
    match words(text) {
        Some(words) => match signal(&words).or_else(|| call(&words)) {
            Some(action) => Command { action, tools: false },
            None => program(words),
        },
        None => program(["/bin/sh", "-c", text].map(str::to_owned).to_vec()),
    }
}

/// A program with its arguments.
pub(crate) fn program(argv: Vec<String>) -> Command {
    let tools = argv.first().is_some_and(|program| is_a_tool(program));
    Command { action: Action::Command { argv }, tools }
}

/// Whether a program would come from an image: the agent's own has none.
fn is_a_tool(program: &str) -> bool {
    const PLACES: [&str; 4] = ["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/"];
    !program.contains('/') || PLACES.iter().any(|place| program.starts_with(place))
}

/// The words of a line, quotes taken off; `None` when only a shell can read it.
pub(crate) fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next().filter(|c| *c != '\n')?),
            c if SPECIAL.contains(c) => return None,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let first = words.first()?;
    (!first.contains('=') && !BUILTINS.contains(&first.as_str())).then_some(words)
}

fn quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            '\'' => return Some(()),
            c => word.push(c),
        }
    }
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            '"' => return Some(()),
            '$' | '`' => return None,
            '\\' => match chars.next()? {
                c @ ('"' | '\\' | '$' | '`') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

/// `pkill -HUP nginx`, `killall -s HUP nginx`.
fn signal(words: &[String]) -> Option<Action> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (word, name) = match words.as_slice() {
        ["pkill" | "killall", "-s" | "--signal", word, name] => (*word, *name),
        ["pkill" | "killall", option, name] => (option.strip_prefix('-')?, *name),
        _ => return None,
    };
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let signal = Signal::parse(word).filter(|_| plain && !name.starts_with('-'))?;
    Some(Action::Signal { signal, process: Process::Name(name.to_owned()) })
}

/// `curl -sS -X POST http://127.0.0.1:8080/-/reload`, with no more than a method.
fn call(words: &[String]) -> Option<Action> {
    let (program, mut rest) = words.split_first()?;
    let (mut method, mut url) = (None, None);
    if !matches!(program.as_str(), "curl" | "/usr/bin/curl") {
        return None;
    }
    while let Some((word, more)) = rest.split_first() {
        rest = more;
        match word.as_str() {
            "-X" | "--request" | "-o" | "--output" | "-m" | "--max-time" => {
                let (value, more) = rest.split_first()?;
                rest = more;
                match word.as_str() {
                    "-X" | "--request" => method = Some(value.as_str()),
                    "-o" | "--output" if value != "/dev/null" => return None,
                    _ => {}
                }
            }
            "--silent" | "--show-error" | "--fail" => {}
            word if word.starts_with("-X") => method = word.get(2..),
            word if word.starts_with('-') => word[1..].chars().all(|c| "sSf".contains(c)).then_some(())?,
            word => url.replace(word).is_none().then_some(())?,
        }
    }
    http(method.unwrap_or("GET"), url?).ok()
}

/// A request without a body.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn http(method: &str, url: &str) -> Result<Action, &'static str> {
    if !["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].contains(&method) {
        return Err("the method is none of GET, HEAD, POST, PUT, PATCH, DELETE");
    }
    let rest = url.strip_prefix("http://").ok_or("the URL does not begin with http://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).unwrap_or((authority, "80"));
    let readable = url.bytes().all(|byte| byte.is_ascii_graphic()) && !host.contains('@') && !url.contains('#');
    if host.is_empty() || !readable || port.parse::<u16>().is_err() {
        return Err("the URL has no plain host and port");
    }
    Ok(Action::Http { method: method.to_owned(), url: url.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (Vec<String>, bool) {
        match command(text) {
            Command { action: Action::Command { argv }, tools } => (argv, tools),
            Command { action, tools } => (vec![format!("<{action}>")], tools),
        }
    }

    #[test]
    fn takes_a_line_apart_where_no_shell_is_needed() {
        let cases: &[(&str, &[&str], bool)] = &[
            ("/opt/reload --now", &["/opt/reload", "--now"], false),
            ("/opt/reload 'a b' \"c \\\"d\\\" e\" f\\ g ''", &["/opt/reload", "a b", "c \"d\" e", "f g", ""], false),
            ("chmod 0400 /vault/secrets/db", &["chmod", "0400", "/vault/secrets/db"], true),
            ("kill -HUP 1", &["kill", "-HUP", "1"], true),
            ("/bin/sh -c 'kill -HUP $(pidof app)'", &["/bin/sh", "-c", "kill -HUP $(pidof app)"], true),
            ("sh -c 'a || true'", &["sh", "-c", "a || true"], true),
            ("kill -HUP $(pidof app)", &["/bin/sh", "-c", "kill -HUP $(pidof app)"], true),
            ("/opt/a && /opt/b", &["/bin/sh", "-c", "/opt/a && /opt/b"], true),
            ("/opt/a > /tmp/x", &["/bin/sh", "-c", "/opt/a > /tmp/x"], true),
            ("/opt/a \"$HOME\"", &["/bin/sh", "-c", "/opt/a \"$HOME\""], true),
            ("A=b /opt/a", &["/bin/sh", "-c", "A=b /opt/a"], true),
            ("exec /opt/a", &["/bin/sh", "-c", "exec /opt/a"], true),
            ("/opt/a 'open", &["/bin/sh", "-c", "/opt/a 'open"], true),
            ("pkill -HUP nginx", &["<signal HUP nginx>"], false),
            ("killall -s SIGUSR1 my-app", &["<signal USR1 my-app>"], false),
            ("pkill -f -HUP nginx", &["pkill", "-f", "-HUP", "nginx"], true),
            ("curl -sS -X POST http://127.0.0.1:8080/r", &["<http POST http://127.0.0.1:8080/r>"], false),
            ("curl -fso /dev/null http://localhost/r", &["curl", "-fso", "/dev/null", "http://localhost/r"], true),
            ("curl -fs -o /dev/null http://localhost/r", &["<http GET http://localhost/r>"], false),
            ("curl -d x http://localhost", &["curl", "-d", "x", "http://localhost"], true),
        ];
        for (text, words, tools) in cases {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(shown(text), (words, *tools), "{text}");
        }
    }

    #[test]
    fn refuses_calls_it_cannot_make() {
        for url in
            ["https://x/", "http://", "http://a:b/", "http://u@h/", "http://h/ x", "http://h/#x", "http://h:99999/"]
        {
            assert!(http("POST", url).is_err(), "{url}");
        }
        for url in ["http://h", "http://h:1/x?y=z", "http://[::1]:8080/", "http://[::1]"] {
            assert!(http("POST", url).is_ok(), "{url}");
        }
        assert!(http("BREW", "http://h").is_err());
    }
}
