//! Pipelines, calls, fields.

use gotmpl::parse::{CommandNode, Expr, Number, PipeNode, SmolStr};

use super::{MissingKey, Run};
use crate::failure::Failure;
use crate::functions::{Function, Serve};
use crate::helpers::{MAX_BYTES, Out};
use crate::value::Val;

impl<'a> Run<'a> {
    /// A pipeline's value, stored in the variable it declares or assigns.
    pub(super) fn bound(&mut self, pipe: &'a PipeNode, dot: &Val) -> Out {
        let value = self.pipeline(pipe, dot)?;
        if let Some(name) = pipe.decl.first() {
            self.bind(name, value.clone(), pipe.is_assign);
        }
        Ok(value)
    }

    pub(super) fn bind(&mut self, name: &SmolStr, value: Val, assign: bool) {
        let slot = if assign { self.variables.iter_mut().rev().find(|(known, _)| known == name) } else { None };
        match slot {
            Some((_, slot)) => *slot = value,
            None => self.variables.push((name.clone(), value)),
        }
    }

    pub(super) fn pipeline(&mut self, pipe: &'a PipeNode, dot: &Val) -> Out {
        let mut value = None;
        for command in &pipe.commands {
            // Go unpacks what a stage answers: a null is no value from there on.
            value = Some(match self.command(command, dot, value)? {
                Val::Nil => Val::Void,
                value => value,
            });
        }
        Ok(value.unwrap_or(Val::Void))
    }

    fn command(&mut self, command: &'a CommandNode, dot: &Val, piped: Option<Val>) -> Out {
        let Some((first, args)) = command.args.split_first() else { return Ok(Val::Nil) };
        let at = first.pos().offset;
        let (name, fields): (&str, &[SmolStr]) = match first {
            Expr::Identifier(_, name) => (name, &[]),
            Expr::Chain(_, inner, fields) if matches!(&**inner, Expr::Identifier(..)) => match &**inner {
                Expr::Identifier(_, name) => (name, fields),
                _ => return Ok(Val::Nil),
            },
            operand if args.is_empty() && piped.is_none() => return self.operand(operand, dot),
            operand => return self.method_call(operand, args, dot, piped).map_err(|failure| failure.at(at)),
        };
        let called = if name == "scratch" {
            let method = fields.first().map_or("", SmolStr::as_str);
            self.arguments(args, dot, piped).and_then(|args| self.scratch.call(method, &args))
        } else {
            self.function(name, args, dot, piped).and_then(|value| self.fields(value, fields))
        };
        called.map_err(|failure| failure.at(at))
    }

    fn arguments(&mut self, args: &'a [Expr], dot: &Val, piped: Option<Val>) -> Result<Vec<Val>, Failure> {
        let mut values = args.iter().map(|arg| self.operand(arg, dot)).collect::<Result<Vec<_>, _>>()?;
        values.extend(piped);
        Ok(values)
    }

    fn function(&mut self, name: &str, args: &'a [Expr], dot: &Val, piped: Option<Val>) -> Out {
        self.step()?;
        if matches!(name, "and" | "or") {
            return self.short_circuit(name, args, dot, piped);
        }
        let found = self.program.functions.served(name);
        let function = found.ok_or_else(|| Failure::new(format!("function `{name}` is not known")))?;
        if self.program.limits.deny(name) {
            return Err(Failure::new(format!("function `{name}` is disabled")).hint("the template's denylist names it"));
        }
        let literal: Vec<bool> = args.iter().map(|arg| matches!(arg, Expr::Number(..))).collect();
        let args = self.arguments(args, dot, piped)?;
        self.invoke(function, args, &literal)
            .map_err(|failure| Failure { message: format!("{name}: {}", failure.message), ..failure })
    }

    fn invoke(&mut self, function: &Function, args: Vec<Val>, literal: &[bool]) -> Out {
        args.iter().try_for_each(|arg| self.weigh(arg))?;
        let params = function.serve.params();
        if !params.takes(args.len()) {
            let failure = Failure::new(format!("{} arguments do not fit", args.len()));
            return Err(failure.hint(format!("write {}", function.usage)));
        }
        if args.iter().any(|arg| matches!(arg, Val::Absent)) {
            return Ok(Val::Absent);
        }
        let admit = |(index, arg)| params.admit(index, arg, literal.get(index).copied().unwrap_or_default());
        let args = args.into_iter().enumerate().map(admit).collect::<Result<Vec<_>, _>>()?;
        let value = match function.serve {
            Serve::Pure { call, .. } => call(&args),
            Serve::Run { call, .. } => call(self, &args),
            Serve::Evaluator | Serve::Refused => Err(Failure::new("cannot be called here")),
        }?;
        if value.bytes().is_some_and(|bytes| bytes.len() > MAX_BYTES) {
            return Err(crate::helpers::too_long());
        }
        self.weigh(&value)?;
        Ok(value)
    }

    fn short_circuit(&mut self, name: &str, args: &'a [Expr], dot: &Val, piped: Option<Val>) -> Out {
        let mut last = None;
        for arg in args {
            let value = self.operand(arg, dot)?;
            if matches!(value, Val::Absent) || value.truth() == (name == "or") {
                return Ok(value);
            }
            last = Some(value);
        }
        piped.or(last).ok_or_else(|| Failure::new(format!("{name}: at least one argument is needed")))
    }

    fn operand(&mut self, expr: &'a Expr, dot: &Val) -> Out {
        let value = match expr {
            Expr::Dot(_) => Ok(dot.clone()),
            Expr::Field(_, fields) => self.fields(dot.clone(), fields),
            Expr::Variable(_, name, fields) => self
                .lookup(name)
                .ok_or_else(|| Failure::new(format!("variable {name} is not declared here")))
                .and_then(|value| self.fields(value, fields)),
            Expr::String(_, text) => Ok(Val::str(text.as_bytes())),
            Expr::Number(_, Number::Int(n)) => Ok(Val::Int(*n)),
            Expr::Number(_, Number::Uint(n)) => Ok(Val::Uint(*n)),
            Expr::Number(_, Number::Float(f)) => Ok(Val::Float(*f)),
            Expr::Bool(_, flag) => Ok(Val::Bool(*flag)),
            Expr::Nil(_) => Ok(Val::Void),
            Expr::Pipe(_, pipe) => self.bound(pipe, dot),
            Expr::Identifier(_, name) => self.function(name, &[], dot, None),
            Expr::Chain(_, inner, fields) => self.operand(inner, dot).and_then(|value| self.fields(value, fields)),
        };
        value.map_err(|failure| failure.at(expr.pos().offset))
    }

    /// A field with arguments is a method: `$version.Compare $other`.
    fn method_call(&mut self, operand: &'a Expr, args: &'a [Expr], dot: &Val, piped: Option<Val>) -> Out {
        let plain = || Failure::new("only a function takes arguments, and this is none");
        let (holder, fields) = match operand {
            Expr::Field(_, fields) => (Some(dot.clone()), fields),
            Expr::Variable(_, name, fields) => (self.lookup(name), fields),
            Expr::Chain(_, inner, fields) => (Some(self.operand(inner, dot)?), fields),
            _ => return Err(plain()),
        };
        let (method, path) = fields.split_last().ok_or_else(plain)?;
        let holder = self.fields(holder.ok_or_else(plain)?, path)?;
        let args = self.arguments(args, dot, piped)?;
        match holder {
            Val::Absent => Ok(Val::Absent),
            Val::Void if self.program.missing != MissingKey::Error => Ok(Val::Void),
            Val::Object(object) => object.method(method, &args).unwrap_or_else(|| Err(plain())),
            _ => Err(plain()),
        }
    }

    fn lookup(&self, name: &str) -> Option<Val> {
        self.variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn fields(&self, mut value: Val, names: &[SmolStr]) -> Out {
        for name in names {
            value = self.field(&value, name)?;
        }
        Ok(value)
    }

    fn field(&self, value: &Val, name: &str) -> Out {
        let missing = self.program.missing;
        let strict = missing == MissingKey::Error;
        match value {
            Val::Absent => Ok(Val::Absent),
            Val::Void if strict => Err(Failure::new(format!("there is no data here to have a key `{name}`"))
                .hint("is it meant to stand inside a with?")),
            Val::Void => Ok(Val::Void),
            Val::Nil => {
                Err(Failure::new(format!("`.{name}` is asked of nothing: the key before it is missing or null")))
            }
            Val::Map(entries) => match entries.get(name) {
                Some(value) => Ok(value),
                None if strict => Err(missing_key(name, entries.borrow().keys().map(String::as_str))),
                None if missing == MissingKey::Zero => Ok(entries.zero()),
                None => Ok(Val::Void),
            },
            Val::Struct(fields) => {
                fields.get(name).cloned().ok_or_else(|| no_field(name, fields.iter().map(|(field, _)| *field)))
            }
            Val::Number(text) => number_method(text, name),
            Val::Object(object) => object
                .method(name, &[])
                .unwrap_or_else(|| Err(Failure::new(format!("{} has no method `{name}`", object.kind())))),
            other => Err(Failure::new(format!("`.{name}` is asked of {}", other.kind()))),
        }
    }
}

/// The methods of Go's `json.Number`.
fn number_method(text: &[u8], name: &str) -> Out {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let wrong = |kind: &str| Failure::new(format!("`.{name}` of a number of a secret that is {kind}"));
    match name {
        "String" => Ok(Val::str(text)),
        "Int64" => text.parse().map(Val::Long).map_err(|_| wrong("no 64-bit integer")),
        "Float64" => match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Val::Float(float)),
            _ => Err(wrong("beyond a float")),
        },
        _ => Err(Failure::new(format!("`.{name}` is asked of a number of a secret (a string to Go)"))),
    }
}

fn missing_key<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Failure {
    let failure = Failure::new(format!("there is no key `{name}`"));
    match crate::suggest::nearest(name, known) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure,
    }
}

/// A response's fields are fixed, so a user who forgot `.Data` can be told.
fn no_field<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Failure {
    let failure = Failure::new(format!("a secret's answer has no field `{name}`"));
    match crate::suggest::nearest(name, known) {
        Some(near) => failure.hint(format!("did you mean `.{near}`?")),
        None => {
            failure.hint(format!("its data is in .Data: write .Data.{name}, or .Data.data.{name} for KV version 2"))
        }
    }
}
