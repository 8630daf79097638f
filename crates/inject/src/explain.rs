//! Which annotation led to what, and which default came from where.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::{Serialize, Serializer};

use crate::value::plain;

/// Every choice of one injection, in the order in which it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// What was decided, from what.
    pub choices: Vec<Choice>,
    /// The files that will be written.
    pub files: Vec<FileLine>,
}

/// One decided value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// What was decided, such as `role`.
    pub what: &'static str,
    /// What it is now.
    pub value: Cow<'static, str>,
    /// Where it comes from.
    pub from: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The annotation with this key.
    Annotation(String),
    /// The settings file's field.
    Settings(&'static str),
    /// The dialect's default.
    Default,
    /// The pod or the cluster, as the words say.
    Derived(Cow<'static, str>),
}

impl Origin {
    /// What the pod says comes first, what nobody said last.
    const fn rank(&self) -> u8 {
        match self {
            Self::Annotation(_) => 0,
            Self::Derived(_) => 1,
            Self::Settings(_) => 2,
            Self::Default => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Annotation(key) => write!(f, "annotation {key}"),
            Self::Settings(field) => write!(f, "settings {field}"),
            Self::Default => f.write_str("default"),
            Self::Derived(words) => f.write_str(words),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileLine {
    /// Absolute path in the app's containers.
    pub path: String,
    /// What is in it, such as `env of secret/data/web`.
    pub content: String,
    /// Permission bits, octal.
    pub mode: String,
    /// Files of one group change together.
    pub group: String,
    /// Whose token reads it, where a pod has several logins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The annotation that asked for it.
    pub from: String,
}

impl Trace {
    /// With room for an ordinary pod's choices.
    pub(crate) fn new() -> Self {
        Self { choices: Vec::with_capacity(40), files: Vec::new() }
    }

    pub(crate) fn choose(&mut self, what: &'static str, value: impl Into<Cow<'static, str>>, from: Origin) {
        self.choices.push(Choice { what, value: value.into(), from });
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut choices: Vec<&Choice> = self.choices.iter().collect();
        choices.sort_by_key(|choice| choice.from.rank());
        let choices: Vec<[String; 3]> = choices
            .into_iter()
            .map(|choice| [choice.what.to_owned(), shown(&choice.value), choice.from.to_string()])
            .collect();
        table(f, ["what", "value", "from"], &choices)?;
        if self.files.is_empty() {
            return Ok(());
        }
        f.write_str("\n")?;
        let cells = |file: &FileLine| {
            [file.path.clone(), shown(&file.content), file.mode.clone(), file.group.clone(), file.from.clone()]
        };
        let files: Vec<[String; 5]> = self.files.iter().map(cells).collect();
        table(f, ["file", "content", "mode", "group", "from"], &files)?;
        let by = |file: &FileLine| Some([file.path.clone(), file.login.clone()?]);
        let logins: Vec<[String; 2]> = self.files.iter().filter_map(by).collect();
        if logins.is_empty() {
            return Ok(());
        }
        f.write_str("\n")?;
        table(f, ["file", "read by"], &logins)
    }
}

/// One line of at most 60 characters: a value may be a whole template.
fn shown(value: &str) -> String {
    const WIDTH: usize = 60;
    let line = value.replace('\n', "\u{21b5}");
    if line.is_empty() {
        return "(empty)".to_owned();
    }
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}\u{2026}", &line[..end]),
        None => line,
    }
}

fn table<const N: usize>(f: &mut fmt::Formatter<'_>, heads: [&str; N], rows: &[[String; N]]) -> fmt::Result {
    let heads = heads.map(str::to_owned);
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().chain([&heads]).map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    for row in [&heads].into_iter().chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let cell: String = cell.chars().map(plain).collect();
            write!(line, "{cell:width$}  ")?;
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}
