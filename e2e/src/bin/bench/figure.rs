//! One table: figure, ours, theirs, budget; and what it was the last time.

use std::fmt::Write;
use std::fs;
use std::thread::available_parallelism;

use serde_json::{Map, Value, json};

/// What a figure has to reach.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    /// Nothing is promised.
    None,
    /// At most.
    AtMost(f64),
    /// At least the first, and never below the second.
    AtLeast(f64, f64),
    /// At most this share of theirs.
    Share(f64),
    /// Both of these.
    AtMostAndShare(f64, f64),
}

/// One line.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) theirs: Option<f64>,
    pub(crate) budget: Budget,
}

impl Figure {
    /// Whether the budget holds; `None` when there is nothing to hold it against.
    fn holds(&self) -> Option<bool> {
        let share = |share: f64| self.theirs.map(|theirs| self.ours <= theirs * share);
        match self.budget {
            Budget::None => None,
            Budget::AtMost(limit) => Some(self.ours <= limit),
            Budget::AtLeast(limit, _) => Some(self.ours >= limit),
            Budget::Share(limit) => share(limit),
            Budget::AtMostAndShare(limit, part) => Some(self.ours <= limit && share(part).unwrap_or(true)),
        }
    }

    fn cells(&self) -> [String; 5] {
        let part = |share: f64| format!("≤ 1/{:.0} of theirs", 1.0 / share);
        let budget = match self.budget {
            Budget::None => String::new(),
            Budget::AtMost(limit) => format!("≤ {}", number(limit)),
            Budget::AtLeast(limit, floor) => format!("≥ {}, never < {}", number(limit), number(floor)),
            Budget::Share(share) => part(share),
            Budget::AtMostAndShare(limit, share) => format!("≤ {}, {}", number(limit), part(share)),
        };
        let verdict = match self.holds() {
            Some(true) => "holds",
            Some(false) if matches!(self.budget, Budget::AtLeast(_, floor) if self.ours >= floor) => {
                "missed, above the floor"
            }
            Some(false) => "MISSED",
            None if budget.is_empty() => "",
            None => "nothing to compare with",
        };
        let with_unit = |value: f64| format!("{} {}", number(value), self.unit).trim_end().to_owned();
        [
            self.name.clone(),
            with_unit(self.ours),
            self.theirs.map_or_else(|| "–".to_owned(), with_unit),
            budget,
            verdict.to_owned(),
        ]
    }
}

/// All lines, and what they were measured with.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) figures: Vec<Figure>,
    pub(crate) notes: Vec<String>,
}

const HEAD: [&str; 5] = ["figure", "Sidekey", "compared to", "budget", ""];

impl Table {
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Aligned, for a terminal.
    pub(crate) fn text(&self) -> String {
        let rows: Vec<[String; 5]> =
            std::iter::once(HEAD.map(str::to_owned)).chain(self.figures.iter().map(Figure::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: [usize; 5] = std::array::from_fn(width);
        let mut text = String::new();
        for row in &rows {
            for (cell, width) in row.iter().zip(widths) {
                let pad = width - cell.chars().count();
                let _ = write!(text, "{cell}{:pad$}  ", "");
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        for note in self.remarks() {
            let _ = writeln!(text, "- {note}");
        }
        text
    }

    /// Prints what got worse by more than a tenth since the committed run; `update` makes this run the committed one.
    pub(crate) fn compare(&self, file: &str, update: bool) {
        let before: Value =
            fs::read_to_string(file).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        for figure in &self.figures {
            let Some(old) = before[&figure.name].as_f64().filter(|old| *old > 0.0) else { continue };
            let worse =
                if matches!(figure.budget, Budget::AtLeast(..)) { old / figure.ours } else { figure.ours / old };
            if worse > 1.1 {
                println!("ALARM {}: {} was {} in {file}", figure.name, number(figure.ours), number(old));
            }
        }
        if update {
            // What this run has not measured stays as it was.
            let mut now: Map<String, Value> = before.as_object().cloned().unwrap_or_default();
            now.extend(self.figures.iter().map(|it| (it.name.clone(), json!(round(it.ours)))));
            save(file, &format!("{:#}\n", Value::Object(now)));
        }
    }

    /// The same table as a page.
    pub(crate) fn write(&self, file: &str) {
        let mut page = format!(
            "# Benchmarks\n\nWritten by `make bench UPDATE=1`; `make bench` measures the same on your machine and prints an alarm \
             where a figure is more than a tenth worse.\n\n| {} |\n|{}\n",
            HEAD.join(" | "),
            "---|".repeat(HEAD.len())
        );
        for figure in &self.figures {
            let _ = writeln!(page, "| {} |", figure.cells().join(" | "));
        }
        page.push('\n');
        for note in self.remarks() {
            let _ = writeln!(page, "- {note}");
        }
        save(file, &page);
    }

    fn remarks(&self) -> impl Iterator<Item = String> {
        let cores = available_parallelism().map_or(1, usize::from);
        let machine = format!("{} cores, {}, loopback only", cores, std::env::consts::ARCH);
        std::iter::once(machine).chain(self.notes.iter().filter(|note| !note.is_empty()).cloned())
    }
}

fn save(file: &str, text: &str) {
    fs::write(file, text).unwrap_or_else(|error| panic!("{file}: {error}"));
}

/// Three significant digits are all that a run is good for.
fn number(value: f64) -> String {
    match value.abs() {
        it if it >= 1000.0 || (it - it.round()).abs() < 1e-9 => format!("{value:.0}"),
        it if it >= 100.0 => format!("{value:.0}"),
        it if it >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
