//! `scratch`: the notes that a template keeps while it runs.

use std::collections::BTreeMap;

use gotmpl::parse::SmolStr;

use crate::failure::Failure;
use crate::helpers::{Out, text};
use crate::list::{Elem, List};
use crate::map::Map;
use crate::suggest;
use crate::value::Val;

/// Method and number of arguments.
const METHODS: [(&str, usize); 7] =
    [("Get", 1), ("Key", 1), ("MapSet", 3), ("MapSetX", 3), ("MapValues", 1), ("Set", 2), ("SetX", 2)];

/// Whether `scratch.…` names one method.
pub(super) fn check(fields: &[SmolStr]) -> Result<(), Failure> {
    match fields {
        [name] if METHODS.iter().any(|(known, _)| known == name) => Ok(()),
        [name, ..] => {
            let failure = Failure::new(format!("scratch has no method `{name}`, or it is followed by a field"));
            Err(match suggest::nearest(name, METHODS.iter().map(|(known, _)| *known)) {
                Some(near) => failure.hint(format!("write scratch.{near}; fields of its answer need parentheses")),
                None => failure,
            })
        }
        [] => Err(Failure::new("scratch stands without a method")),
    }
}

/// Named values; maps among them grow by `MapSet`.
#[derive(Default)]
pub(super) struct Scratch(BTreeMap<String, Val>);

impl Scratch {
    pub(super) fn call(&mut self, method: &str, args: &[Val]) -> Out {
        let wanted = METHODS.iter().find(|(name, _)| *name == method).map_or(0, |(_, count)| *count);
        if args.len() != wanted {
            return Err(Failure::new(format!("scratch.{method} takes {wanted} arguments, here are {}", args.len())));
        }
        if args.iter().any(|arg| matches!(arg, Val::Absent)) {
            return Ok(Val::Absent);
        }
        let key = text(args, 0)?;
        match method {
            "Key" => return Ok(Val::Bool(self.0.contains_key(key))),
            "Get" => return Ok(self.0.get(key).cloned().unwrap_or(Val::Nil)),
            "MapValues" => return self.values(key),
            "Set" => drop(self.0.insert(key.to_owned(), args[1].clone())),
            "SetX" if self.0.contains_key(key) => {}
            "SetX" => drop(self.0.insert(key.to_owned(), args[1].clone())),
            _ => self.map_set(key, text(args, 1)?, &args[2], method == "MapSet")?,
        }
        Ok(Val::str(""))
    }

    fn map_set(&mut self, key: &str, field: &str, value: &Val, replace: bool) -> Result<(), Failure> {
        let map = match self.0.get(key) {
            None => Map::new(BTreeMap::new()),
            Some(Val::Map(map)) => map.clone(),
            Some(_) => return Err(Failure::new(format!("scratch key {key:?} is not a map"))),
        };
        if replace || map.get(field).is_none() {
            map.insert(field, value.clone())?;
        }
        self.0.insert(key.to_owned(), Val::Map(map));
        Ok(())
    }

    fn values(&self, key: &str) -> Out {
        match self.0.get(key) {
            None => Ok(Val::List(List::nil(Elem::Any))),
            Some(Val::Map(map)) => Ok(Val::list(map.borrow().values().cloned().collect())),
            Some(_) => Err(Failure::new(format!("scratch key {key:?} is not a map"))),
        }
    }
}
