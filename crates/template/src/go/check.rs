//! A parsed template before it ever runs: every function, variable and template that it names exists, in dead branches too.

use std::collections::{BTreeMap, BTreeSet};

use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, PipeNode, SmolStr};
use sidekey_core::{Code, Lookup};

use super::{Defined, data, scratch};
use crate::failure::Failure;
use crate::files::Place;
use crate::functions::Set;
use crate::helpers::{date, pattern};
use crate::object::METHODS;
use crate::suggest;

type Check = Result<(), (Code, Failure)>;

/// What a template asks for by literals.
pub(super) struct Asked {
    /// Lookups that any rendering asks for, as long as secrets exist.
    pub(super) lookups: BTreeSet<Lookup>,
    /// Files, in whatever branch.
    pub(super) files: BTreeSet<String>,
}

/// Answers what is asked for by literals.
pub(super) fn check(
    main: &str,
    templates: &BTreeMap<SmolStr, Defined>,
    functions: Set,
) -> Result<Asked, (Code, Failure)> {
    let asked = Asked { lookups: BTreeSet::new(), files: BTreeSet::new() };
    let mut checker = Checker { templates, functions, variables: Vec::new(), asked, certain: true, asks: 0 };
    for (name, defined) in templates {
        checker.certain = name == main;
        checker.variables = vec!["$".into()];
        checker.list(&defined.body).map_err(|(code, failure)| (code, failure.inside(defined.source)))?;
    }
    Ok(checker.asked)
}

struct Checker<'a> {
    templates: &'a BTreeMap<SmolStr, Defined>,
    functions: Set,
    variables: Vec<SmolStr>,
    asked: Asked,
    /// Whether what stands here runs in every rendering.
    certain: bool,
    /// Literal lookups seen.
    asks: usize,
}

fn syntax(message: impl Into<String>, offset: usize) -> (Code, Failure) {
    (Code::TemplateSyntax, Failure::new(message).at(offset))
}

impl Checker<'_> {
    fn list(&mut self, list: &ListNode) -> Check {
        list.nodes.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &Node) -> Check {
        match node {
            Node::Action(action) => self.pipe(&action.pipe),
            Node::If(branch) => self.branch(branch, false),
            Node::With(branch) | Node::Range(branch) => self.branch(branch, true),
            Node::List(list) => self.list(list),
            Node::Template(call) => {
                if !self.templates.contains_key(&call.name) {
                    let near = suggest::nearest(
                        &call.name,
                        self.templates.keys().map(SmolStr::as_str).filter(|known| !known.is_empty()),
                    );
                    let (code, failure) =
                        syntax(format!("template {:?} is not defined", call.name.as_str()), call.pos.offset);
                    return Err((
                        code,
                        near.map_or(failure.clone(), |near| failure.hint(format!("did you mean {near:?}?"))),
                    ));
                }
                call.pipe.as_ref().map_or(Ok(()), |pipe| self.pipe(pipe))
            }
            Node::Text(_) | Node::Define(_) | Node::Break(_) | Node::Continue(_) => Ok(()),
        }
    }

    /// A variable of the head lives in both bodies, one of a body only there. The body of `with secret "…"` runs for certain.
    fn branch(&mut self, branch: &BranchNode, enters: bool) -> Check {
        let (outside, asks, certain) = (self.variables.len(), self.asks, self.certain);
        self.pipe(&branch.pipe)?;
        self.certain = certain && enters && self.asks > asks;
        let inside = self.variables.len();
        self.list(&branch.body)?;
        self.variables.truncate(inside);
        self.certain = false;
        branch.else_body.as_ref().map_or(Ok(()), |body| self.list(body))?;
        self.certain = certain;
        self.variables.truncate(outside);
        Ok(())
    }

    fn pipe(&mut self, pipe: &PipeNode) -> Check {
        for (stage, command) in pipe.commands.iter().enumerate() {
            self.command(command, stage > 0)?;
        }
        for name in &pipe.decl {
            if pipe.is_assign {
                self.variable(name, pipe.pos.offset)?;
            } else {
                self.variables.push(name.clone());
            }
        }
        Ok(())
    }

    fn command(&mut self, command: &CommandNode, piped: bool) -> Check {
        let Some((first, rest)) = command.args.split_first() else { return Ok(()) };
        match first {
            Expr::Identifier(pos, name) if name == "scratch" => {
                scratch::check(&[]).map_err(|failure| (Code::TemplateFunction, failure.at(pos.offset)))?;
            }
            Expr::Identifier(_, name) if matches!(&**name, "and" | "or") => return self.short_circuit(&command.args),
            Expr::Identifier(_, name) => {
                self.asked(literal_lookup(name, rest).filter(|_| !piped));
                self.literals(name, rest)?;
            }
            Expr::Chain(pos, inner, fields) if matches!(&**inner, Expr::Identifier(_, name) if name == "scratch") => {
                scratch::check(fields).map_err(|failure| (Code::TemplateFunction, failure.at(pos.offset)))?;
            }
            Expr::Chain(_, inner, _) if matches!(&**inner, Expr::Identifier(..)) => {}
            other if (piped || !rest.is_empty()) && !is_method(other) => {
                return Err(syntax("only a function takes arguments, and this is none", other.pos().offset));
            }
            Expr::Nil(pos) => return Err(syntax("nil cannot be printed or passed on", pos.offset)),
            _ => {}
        }
        command.args.iter().try_for_each(|arg| self.operand(arg))
    }

    /// Arguments that stand in the template and must be of a form.
    fn literals(&mut self, name: &str, args: &[Expr]) -> Check {
        let texts: Vec<Option<&str>> = args.iter().map(literal).collect();
        let wrong = |index: usize, failure: Failure| {
            let message = format!("{name}: {}", failure.message);
            (Code::TemplateFunction, Failure { message, ..failure }.at(args[index].pos().offset))
        };
        if let ("file", Some(Some(path))) = (name, texts.first()) {
            self.asked.files.insert(path.trim().to_owned());
        }
        if name == "writeToFile" && self.functions == Set::Agent {
            Place::check(&texts).map_err(|(index, failure)| wrong(index, failure))?;
        }
        let zone = self.functions.takes_zone(name);
        if let Some((index, zone)) = zone.and_then(|index| Some((index, (*texts.get(index)?)?))) {
            date::check_zone(zone).map_err(|failure| wrong(index, failure))?;
        }
        if let Some(Some(pattern)) = texts.first().filter(|_| self.functions.takes_pattern(name)) {
            let offset = args[0].pos().offset;
            pattern::check(pattern).map_err(|failure| (Code::TemplateSyntax, failure.at(offset)))?;
        }
        Ok(())
    }

    fn asked(&mut self, lookup: Option<Lookup>) {
        self.asks += usize::from(lookup.is_some());
        self.asked.lookups.extend(lookup.filter(|_| self.certain));
    }

    /// `and` and `or` compute their first argument for certain.
    fn short_circuit(&mut self, args: &[Expr]) -> Check {
        let certain = self.certain;
        for (place, arg) in args.iter().enumerate() {
            self.certain = certain && place < 2;
            self.operand(arg)?;
        }
        self.certain = certain;
        Ok(())
    }

    fn operand(&mut self, expr: &Expr) -> Check {
        match expr {
            Expr::Identifier(pos, name) => {
                self.functions.check(name).map_err(|failure| (Code::TemplateFunction, failure.at(pos.offset)))
            }
            Expr::Variable(pos, name, _) => self.variable(name, pos.offset),
            Expr::Pipe(_, pipe) => self.pipe(pipe),
            Expr::Chain(_, inner, _) => self.operand(inner),
            Expr::Number(pos, gotmpl::parse::Number::Uint(_)) => Err(syntax("the number overflows int", pos.offset)),
            _ => Ok(()),
        }
    }

    fn variable(&self, name: &SmolStr, offset: usize) -> Check {
        if self.variables.contains(name) {
            return Ok(());
        }
        let near = suggest::nearest(name, self.variables.iter().map(SmolStr::as_str).filter(|known| *known != "$"));
        let (code, failure) = syntax(format!("variable {name} is not declared here"), offset);
        Err((code, near.map_or(failure.clone(), |near| failure.hint(format!("did you mean {near}?")))))
    }
}

/// Whether the operand ends in a method that takes arguments.
fn is_method(expr: &Expr) -> bool {
    match expr {
        Expr::Field(_, fields) | Expr::Variable(_, _, fields) | Expr::Chain(_, _, fields) => {
            fields.last().is_some_and(|name| METHODS.contains(&name.as_str()))
        }
        _ => false,
    }
}

fn literal(arg: &Expr) -> Option<&str> {
    if let Expr::String(_, text) = arg { Some(text) } else { None }
}

fn literal_lookup(name: &str, args: &[Expr]) -> Option<Lookup> {
    let texts: Option<Vec<&str>> = args.iter().map(literal).collect();
    data::lookup(name, &texts?).ok().flatten()
}
