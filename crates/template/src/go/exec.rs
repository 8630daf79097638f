//! Running a checked template: blocks, and the bounds that hold whatever the template says.

use std::collections::{BTreeMap, BTreeSet};

use gotmpl::parse::{BranchNode, ListNode, Node, PipeNode, SmolStr, TemplateNode};
use sidekey_core::{Lookup, Sensitive};
use zeroize::Zeroizing;

use super::scratch::Scratch;
use super::{Program, print};
use crate::failure::Failure;
use crate::files::Files;
use crate::helpers::{MAX_BYTES, Out};
use crate::inputs::{Inputs, Rendered};
use crate::list::Elem;
use crate::value::Val;

/// Nodes executed in one rendering, whatever loops and templates they stand in.
const MAX_STEPS: u32 = 1_000_000;

/// Nested blocks and template calls while running; each costs stack.
const MAX_DEPTH: usize = 128;

/// What follows a node.
#[derive(PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

type Step = Result<Flow, Failure>;

/// One rendering.
pub(crate) struct Run<'a> {
    pub(super) program: &'a Program,
    pub(super) variables: Vec<(SmolStr, Val)>,
    pub(super) scratch: Scratch,
    pub(super) files: Files,
    inputs: &'a Inputs<'a>,
    answers: BTreeMap<Lookup, Val>,
    missing: BTreeSet<Lookup>,
    out: Zeroizing<Vec<u8>>,
    steps: u32,
    depth: usize,
    drawn: u64,
}

impl<'a> Run<'a> {
    pub(super) fn new(program: &'a Program, inputs: &'a Inputs<'a>) -> Self {
        Self {
            program,
            variables: vec![("$".into(), Val::Void)],
            scratch: Scratch::default(),
            files: Files::default(),
            inputs,
            answers: BTreeMap::new(),
            missing: BTreeSet::new(),
            out: Zeroizing::default(),
            steps: 0,
            depth: 0,
            drawn: 0,
        }
    }

    /// Runs one template to the end. A failure while data is missing is no failure yet.
    pub(super) fn finish(mut self, name: &str, dot: &Val) -> Result<Rendered, Failure> {
        let done = self.call(name, dot);
        if !self.missing.is_empty() {
            return Ok(Rendered::Incomplete { missing: self.missing });
        }
        done?;
        let bytes = Sensitive::new(std::mem::take(&mut *self.out));
        Ok(Rendered::Complete { bytes, used: self.answers.into_keys().collect(), files: self.files.finish() })
    }

    /// The answer, or absence, which is noted.
    pub(super) fn ask(&mut self, lookup: Lookup) -> Val {
        if let Some(answer) = self.answers.get(&lookup) {
            return answer.clone();
        }
        let Some(response) = self.inputs.answers.get(&lookup) else {
            self.missing.insert(lookup);
            return Val::Absent;
        };
        let answer = match lookup.verb {
            sidekey_core::lookup::Verb::List => crate::inputs::names(&response),
            _ => Val::response(&response),
        };
        self.answers.insert(lookup, answer.clone());
        answer
    }

    pub(super) fn file(&self, path: &str) -> Option<Result<Sensitive<Vec<u8>>, String>> {
        self.inputs.answers.file(path, self.program.limits.sandbox.as_deref())
    }

    pub(super) fn variable(&self, name: &str) -> Option<&'a str> {
        self.inputs.env.get(name).map(String::as_str)
    }

    pub(super) const fn unix_seconds(&self) -> i64 {
        self.inputs.frozen.unix_seconds
    }

    /// The next of a row of numbers that the data's seed alone decides.
    pub(super) const fn chance(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let [start, ..] = self.inputs.frozen.seed.expose().as_chunks::<8>().0 else { return self.drawn };
        let mut mixed = u64::from_be_bytes(*start) ^ self.drawn;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// What the data's chance comes from.
    pub(super) const fn seed(&self) -> &[u8; 32] {
        self.inputs.frozen.seed.expose()
    }

    /// A defined template's output as a string.
    pub(super) fn template_text(&mut self, name: &str, dot: &Val) -> Out {
        let before = std::mem::take(&mut *self.out);
        let done = self.call(name, dot);
        let text = std::mem::replace(&mut *self.out, before);
        done.map(|()| Val::str(text))
    }

    fn call(&mut self, name: &str, dot: &Val) -> Result<(), Failure> {
        let found = self.program.templates.get(name);
        let defined = found.ok_or_else(|| Failure::new(format!("template {name:?} is not defined")))?;
        let callers = std::mem::replace(&mut self.variables, vec![("$".into(), dot.clone())]);
        let done = self.nested(|run| run.list(&defined.body, dot));
        self.variables = callers;
        done.map(|_| ()).map_err(|failure| failure.inside(defined.source))
    }

    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Step) -> Step {
        if self.depth >= MAX_DEPTH {
            return Err(Failure::new(format!(
                "blocks and templates nest deeper than {MAX_DEPTH}: does a template call itself?"
            )));
        }
        self.depth += 1;
        let done = inner(self);
        self.depth -= 1;
        done
    }

    fn list(&mut self, list: &'a ListNode, dot: &Val) -> Step {
        for node in &list.nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &'a Node, dot: &Val) -> Step {
        self.step()?;
        match node {
            Node::Text(text) => self.emit(text.text.as_bytes())?,
            Node::Action(action) => self.action(&action.pipe, dot).map_err(|failure| failure.at(action.pos.offset))?,
            Node::Template(call) => self.template_call(call, dot).map_err(|failure| failure.at(call.pos.offset))?,
            Node::If(branch) => return self.branch(branch, |run| run.choose(branch, dot, false)),
            Node::With(branch) => return self.branch(branch, |run| run.choose(branch, dot, true)),
            Node::Range(branch) => return self.branch(branch, |run| run.range(branch, dot)),
            Node::List(list) => return self.list(list, dot),
            Node::Define(_) => {}
            Node::Break(_) => return Ok(Flow::Break),
            Node::Continue(_) => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    pub(super) fn step(&mut self) -> Result<(), Failure> {
        self.spend(1)
    }

    /// What is to be printed or computed with: within bounds, and paid for by its size.
    pub(super) fn weigh(&mut self, value: &Val) -> Result<(), Failure> {
        if !matches!(value, Val::List(_) | Val::Map(_) | Val::Struct(_)) {
            return Ok(());
        }
        let weight = value.weight().ok_or_else(|| Failure::new("the value nests too deep, or is too large"))?;
        self.spend(u32::try_from(weight / 16).unwrap_or(MAX_STEPS))
    }

    pub(super) fn spend(&mut self, steps: u32) -> Result<(), Failure> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS { Err(Failure::new(format!("more than {MAX_STEPS} steps"))) } else { Ok(()) }
    }

    fn emit(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.out.len() + bytes.len() > MAX_BYTES {
            return Err(crate::helpers::too_long());
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn action(&mut self, pipe: &'a PipeNode, dot: &Val) -> Result<(), Failure> {
        let value = self.bound(pipe, dot)?;
        if !pipe.decl.is_empty() {
            return Ok(());
        }
        self.weigh(&value)?;
        if matches!(&value, Val::List(items) if items.elem() == Elem::Turns) {
            return Err(Failure::new("a loop cannot be printed").hint("write range loop …"));
        }
        let mut text = Zeroizing::default();
        print::action(&value, &mut text);
        self.emit(&text)
    }

    /// A template called without a dot gets no data, not the caller's.
    fn template_call(&mut self, call: &'a TemplateNode, dot: &Val) -> Result<(), Failure> {
        let dot = match &call.pipe {
            Some(pipe) => self.bound(pipe, dot)?,
            None => Val::Void,
        };
        self.call(&call.name, &dot)
    }

    /// A block: variables end with it, its place is known.
    fn branch(&mut self, branch: &'a BranchNode, inner: impl FnOnce(&mut Self) -> Step) -> Step {
        let mark = self.variables.len();
        let done = self.nested(inner);
        self.variables.truncate(mark);
        done.map_err(|failure| failure.at(branch.pos.offset))
    }

    fn choose(&mut self, branch: &'a BranchNode, dot: &Val, rebind: bool) -> Step {
        match self.bound(&branch.pipe, dot)? {
            Val::Absent => Ok(Flow::Next),
            value if value.truth() => self.list(&branch.body, if rebind { &value } else { dot }),
            _ => self.otherwise(branch, dot),
        }
    }

    fn otherwise(&mut self, branch: &'a BranchNode, dot: &Val) -> Step {
        branch.else_body.as_ref().map_or(Ok(Flow::Next), |body| self.list(body, dot))
    }

    fn range(&mut self, branch: &'a BranchNode, dot: &Val) -> Step {
        let value = self.pipeline(&branch.pipe, dot)?;
        let index = |index: usize| Val::Int(i64::try_from(index).unwrap_or(i64::MAX));
        match &value {
            Val::List(items) if !items.is_empty() => {
                self.turns(branch, items.iter().enumerate().map(|(place, item)| (index(place), item.clone())))
            }
            Val::Map(entries) if entries.len() > 0 => {
                let turns = entries.entries().into_iter();
                self.turns(branch, turns.map(|(key, item)| (entries.key(&key), item)))
            }
            Val::Int(_) | Val::Long(_) | Val::Uint(_) if branch.pipe.decl.len() > 1 => {
                Err(Failure::new("a range over an integer has one variable"))
            }
            Val::Int(count) if *count > 0 => {
                self.turns(branch, (0..*count).map(|turn| (Val::Int(turn), Val::Int(turn))))
            }
            Val::Long(count) if *count > 0 => {
                self.turns(branch, (0..*count).map(|turn| (Val::Long(turn), Val::Long(turn))))
            }
            Val::Uint(count) if *count > 0 => {
                self.turns(branch, (0..*count).map(|turn| (Val::Uint(turn), Val::Uint(turn))))
            }
            Val::Absent => Ok(Flow::Next),
            Val::Nil | Val::Void | Val::List(_) | Val::Map(_) | Val::Int(_) | Val::Long(_) | Val::Uint(_) => {
                self.otherwise(branch, dot)
            }
            other => Err(Failure::new(format!("{} cannot be ranged over", other.kind()))),
        }
    }

    fn turns(&mut self, branch: &'a BranchNode, items: impl Iterator<Item = (Val, Val)>) -> Step {
        let mark = self.variables.len();
        for (key, item) in items {
            self.step()?;
            match (branch.pipe.decl.as_slice(), branch.pipe.is_assign) {
                ([name], assign) => self.bind(name, item.clone(), assign),
                ([first, second, ..], assign) => {
                    self.bind(first, key, assign);
                    self.bind(second, item.clone(), assign);
                }
                _ => {}
            }
            let flow = self.list(&branch.body, &item)?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }
}
