//! What a person sees, or a machine reads.

use std::io::{self, IsTerminal as _, Write};

use serde_json::{Value, json};

/// Longest text on a line, beside its label.
const WIDTH: usize = 110;

/// One step of the story.
pub(crate) struct Step {
    /// A word for machines.
    pub name: &'static str,
    /// The pod it is about; empty for none.
    pub pod: String,
    /// What it claims.
    pub title: String,
    /// Whether the claim held.
    pub held: bool,
    pub lines: Vec<Line>,
    /// The same for machines.
    pub facts: Value,
}

/// A line below a step's title.
pub(crate) enum Line {
    /// A label and its text; an empty label continues the one above.
    Field(String, String),
    /// Text as it is, such as a file's.
    Quote(String),
}

impl Step {
    pub(crate) fn new(name: &'static str, pod: &str, title: impl Into<String>) -> Self {
        Self { name, pod: pod.to_owned(), title: title.into(), held: true, lines: Vec::new(), facts: json!({}) }
    }

    pub(crate) fn field(mut self, label: &str, text: impl Into<String>) -> Self {
        self.lines.push(Line::Field(label.to_owned(), text.into()));
        self
    }

    pub(crate) fn quote(mut self, text: &str) -> Self {
        self.lines.extend(text.lines().map(|line| Line::Quote(line.to_owned())));
        self
    }

    pub(crate) fn held(mut self, held: bool) -> Self {
        self.held &= held;
        self
    }

    pub(crate) fn facts(mut self, facts: Value) -> Self {
        self.facts = facts;
        self
    }
}

/// Where steps are shown; remembers whether all of them held.
pub(crate) struct Screen {
    out: Box<dyn Write>,
    json: bool,
    colour: bool,
    pub all_held: bool,
    count: usize,
}

impl Screen {
    /// Coloured on a terminal, unless `NO_COLOR` is set (no-color.org).
    pub(crate) fn stdout(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colour = !json && wanted && io::stdout().is_terminal();
        Self { out: Box::new(io::stdout()), json, colour, all_held: true, count: 0 }
    }

    /// # Errors
    /// Standard output is closed.
    pub(crate) fn show(&mut self, step: &Step) -> io::Result<()> {
        self.all_held &= step.held;
        self.count += 1;
        if self.json { self.show_json(step) } else { self.show_text(step) }
    }

    fn show_json(&mut self, step: &Step) -> io::Result<()> {
        let object =
            json!({ "step": step.name, "pod": step.pod, "title": step.title, "held": step.held, "facts": step.facts });
        writeln!(self.out, "{object}")?;
        self.out.flush()
    }

    fn show_text(&mut self, step: &Step) -> io::Result<()> {
        let mark = if step.held { self.paint("32", "ok") } else { self.paint("1;31", "FAILED") };
        let pod = if step.pod.is_empty() { String::new() } else { format!("{}: ", step.pod) };
        writeln!(self.out, "{:>2}  {} {mark}", self.count, self.paint("1", &format!("{pod}{}", step.title)))?;
        let width = step.lines.iter().map(Line::label_width).max().unwrap_or(0);
        for line in &step.lines {
            let (mut label, texts, code) = match line {
                Line::Field(label, text) => (label.as_str(), wrapped(text), ""),
                Line::Quote(text) => ("", vec![text.as_str()], "2"),
            };
            for text in texts {
                let text = if code.is_empty() { text.to_owned() } else { self.paint(code, &format!("| {text}")) };
                let line = format!("    {}  {text}", self.paint("36", &format!("{label:width$}")));
                writeln!(self.out, "{}", line.trim_end())?;
                label = "";
            }
        }
        writeln!(self.out)?;
        self.out.flush()
    }

    /// The last line.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn finish(&mut self, seconds: f64) -> io::Result<()> {
        if self.json {
            let object = json!({ "step": "end", "held": self.all_held, "steps": self.count, "seconds": seconds });
            return writeln!(self.out, "{object}");
        }
        let verdict = if self.all_held {
            self.paint("1;32", &format!("All {} steps held", self.count))
        } else {
            self.paint("1;31", "Not all of it held")
        };
        writeln!(self.out, "{verdict}, in {seconds:.1} s.")
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Parts of at most [`WIDTH`] bytes, cut at spaces.
fn wrapped(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while text.len() > WIDTH {
        let Some(cut) =
            text.get(..text.floor_char_boundary(WIDTH)).and_then(|head| head.rfind(' ')).filter(|cut| *cut > 0)
        else {
            break;
        };
        let (head, tail) = text.split_at(cut);
        parts.push(head);
        text = tail.trim_start();
    }
    parts.push(text);
    parts
}

impl Line {
    fn label_width(&self) -> usize {
        match self {
            Self::Field(label, _) => label.chars().count(),
            Self::Quote(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(json: bool) -> String {
        let out = Shared::default();
        let mut screen = Screen { out: Box::new(out.clone()), json, colour: false, all_held: true, count: 0 };
        screen.show(&Step::new("one", "web", "works").field("a", "b").field("long", "c").quote("x\ny")).unwrap();
        screen.show(&Step::new("two", "", "fails").held(false)).unwrap();
        screen.finish(1.0).unwrap();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn aligns_labels_and_says_what_did_not_hold() {
        let want = " 1  web: works ok\n    a     b\n    long  c\n          | x\n          | y\n\n 2  fails FAILED\n\nNot all of it held, in 1.0 s.\n";
        assert_eq!(shown(false), want);
    }

    #[test]
    fn cuts_long_texts_at_spaces() {
        let text = format!("{} {}", "a".repeat(100), "b".repeat(100));
        assert_eq!(wrapped(&text), ["a".repeat(100), "b".repeat(100)]);
        let whole = "ä".repeat(100);
        assert_eq!(wrapped(&whole), [whole.as_str()]);
    }

    #[test]
    fn prints_one_object_a_line_for_machines() {
        let lines: Vec<Value> = shown(true).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            (&lines[0]["held"], &lines[1]["held"], &lines[2]["held"]),
            (&json!(true), &json!(false), &json!(false))
        );
    }
}
