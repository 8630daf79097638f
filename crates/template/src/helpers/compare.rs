//! Comparison, logic, and reaching into values: Go's built-in functions.

use std::cmp::Ordering;

use super::{Out, int};
use crate::failure::Failure;
use crate::list::List;
use crate::value::Val;

/// Equality for `in` and the like: never an error, different kinds are different.
pub(crate) fn same(left: &Val, right: &Val) -> bool {
    use Val::{List, Map, Number, Str};
    match (left, right) {
        (List(_) | Map(_), _) | (_, List(_) | Map(_)) => identical(left, right),
        (Str(_), Number(_)) | (Number(_), Str(_)) => false,
        _ => equal(left, right).unwrap_or(false),
    }
}

/// Go's `reflect.DeepEqual`: the type counts too, so that a number of a secret is no string, nor an `int64` an `int`.
pub(crate) fn identical(left: &Val, right: &Val) -> bool {
    match (left, right) {
        (Val::List(a), Val::List(b)) => {
            let alike = a.elem() == b.elem() && a.is_nil() == b.is_nil() && a.len() == b.len();
            alike && a.iter().zip(b.iter()).all(|(a, b)| identical(a, b))
        }
        (Val::Map(a), Val::Map(b)) => {
            let (one, other) = (a.borrow(), b.borrow());
            let alike = a.go_type() == b.go_type() && one.len() == other.len();
            alike && one.iter().zip(other.iter()).all(|(a, b)| a.0 == b.0 && identical(a.1, b.1))
        }
        _ => left.go_type() == right.go_type() && equal(left, right).unwrap_or(false),
    }
}

/// `deepEqual A B`.
pub(crate) fn deep_equal(args: &[Val]) -> Out {
    Ok(Val::Bool(identical(&args[0], &args[1])))
}

/// Go's `eq` of two: numbers of secrets are strings, signed and unsigned compare by size, other mixtures are errors.
fn equal(left: &Val, right: &Val) -> Result<bool, Failure> {
    use Val::{Absent, Bool, Float, Int, List, Long, Map, Nil, Number, Object, Str, Struct, Uint, Void};
    Ok(match (left, right) {
        (Absent | Nil | Void, Absent | Nil | Void) => true,
        (Absent | Nil | Void, _) | (_, Absent | Nil | Void) => false,
        (Bool(a), Bool(b)) => a == b,
        (Float(a), Float(b)) => a.total_cmp(b) == Ordering::Equal || a.abs().max(b.abs()) == 0.0,
        (Int(_) | Long(_) | Uint(_), Int(_) | Long(_) | Uint(_)) => wide(left) == wide(right),
        (Str(a) | Number(a), Str(b) | Number(b)) => a == b,
        (Object(a), Object(b)) => a.go_type() == b.go_type() && a.text() == b.text(),
        (List(_) | Map(_) | Struct(_), _) | (_, List(_) | Map(_) | Struct(_)) => {
            return Err(Failure::new(format!("{} and {} cannot be compared", left.kind(), right.kind())));
        }
        _ => return Err(mixed(left, right)),
    })
}

fn wide(value: &Val) -> i128 {
    match value {
        Val::Int(n) | Val::Long(n) => i128::from(*n),
        Val::Uint(n) => i128::from(*n),
        _ => 0,
    }
}

fn mixed(left: &Val, right: &Val) -> Failure {
    let failure = Failure::new(format!("{} cannot be compared with {}", left.kind(), right.kind()));
    let number = |value: &Val| matches!(value, Val::Number(_) | Val::Str(_));
    if number(left) == number(right) {
        failure
    } else {
        failure.hint("compare with a string, such as eq .port \"5432\"")
    }
}

/// `eq A B …`: whether A equals any of the others.
pub(crate) fn eq(args: &[Val]) -> Out {
    for other in &args[1..] {
        if equal(&args[0], other)? {
            return Ok(Val::Bool(true));
        }
    }
    Ok(Val::Bool(false))
}

pub(crate) fn ne(args: &[Val]) -> Out {
    equal(&args[0], &args[1]).map(|same| Val::Bool(!same))
}

fn order(args: &[Val]) -> Result<Ordering, Failure> {
    match (&args[0], &args[1]) {
        (Val::Int(_) | Val::Long(_) | Val::Uint(_), Val::Int(_) | Val::Long(_) | Val::Uint(_)) => {
            Ok(wide(&args[0]).cmp(&wide(&args[1])))
        }
        (Val::Float(a), Val::Float(b)) => Ok(a.partial_cmp(b).unwrap_or(Ordering::Greater)),
        (Val::Str(a) | Val::Number(a), Val::Str(b) | Val::Number(b)) => Ok(a.cmp(b)),
        (left, right) => Err(mixed(left, right)),
    }
}

pub(crate) fn lt(args: &[Val]) -> Out {
    order(args).map(|order| Val::Bool(order.is_lt()))
}

pub(crate) fn le(args: &[Val]) -> Out {
    order(args).map(|order| Val::Bool(order.is_le()))
}

pub(crate) fn gt(args: &[Val]) -> Out {
    order(args).map(|order| Val::Bool(order.is_gt()))
}

pub(crate) fn ge(args: &[Val]) -> Out {
    order(args).map(|order| Val::Bool(order.is_ge()))
}

pub(crate) fn not(args: &[Val]) -> Out {
    Ok(Val::Bool(!args[0].truth()))
}

pub(crate) fn len(args: &[Val]) -> Out {
    let count = match &args[0] {
        Val::Str(bytes) | Val::Number(bytes) => bytes.len(),
        Val::List(items) => items.len(),
        Val::Map(entries) => entries.len(),
        other => return Err(Failure::new(format!("{} has no length", other.kind()))),
    };
    Ok(Val::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

/// `index COLLECTION KEY …`: a missing key of a map is nothing, a place beyond a list an error.
pub(crate) fn index(args: &[Val]) -> Out {
    let mut value = args[0].clone();
    if value.is_nothing() {
        return Err(Failure::new("nothing has no elements"));
    }
    for key in &args[1..] {
        value = match (&value, key) {
            (Val::Map(entries), key) if entries.is_of_yaml() => entries.by(key).unwrap_or(Val::Nil),
            (Val::Map(entries), Val::Str(name)) => {
                let found = std::str::from_utf8(name).ok().and_then(|name| entries.get(name));
                found.unwrap_or_else(|| entries.zero())
            }
            (Val::Map(_), key) => return Err(Failure::new(format!("a map's key is a string, not {}", key.kind()))),
            (Val::List(items), _) => items.get(place(key, items.len())?).cloned().unwrap_or(Val::Nil),
            (Val::Str(bytes) | Val::Number(bytes), _) => {
                bytes.get(place(key, bytes.len())?).map_or(Val::Nil, |byte| Val::Uint(u64::from(*byte)))
            }
            (other, _) => return Err(Failure::new(format!("{} has no elements", other.kind()))),
        };
    }
    Ok(if matches!(value, Val::Nil) { Val::Void } else { value })
}

fn place(key: &Val, length: usize) -> Result<usize, Failure> {
    match key {
        Val::Int(_) | Val::Long(_) | Val::Uint(_) => usize::try_from(wide(key))
            .ok()
            .filter(|place| *place < length)
            .ok_or_else(|| Failure::new(format!("index out of range: there are {length} elements"))),
        other => Err(Failure::new(format!("an index is an integer, not {}", other.kind()))),
    }
}

/// `slice VALUE [FROM [TO [MOST]]]`, of a string's bytes or a list, which `MOST` bounds too.
pub(crate) fn slice(args: &[Val]) -> Out {
    let length = match &args[0] {
        Val::Str(bytes) | Val::Number(bytes) if args.len() < 4 => bytes.len(),
        Val::List(items) => items.len(),
        other => return Err(Failure::new(format!("{} cannot be sliced", other.kind()))),
    };
    let bound = |index: usize, default: usize| {
        if args.len() <= index {
            return Ok(default);
        }
        if !matches!(args[index], Val::Int(_) | Val::Long(_) | Val::Uint(_)) {
            return Err(Failure::new(format!("an index is an integer, not {}", args[index].kind())));
        }
        let bound = usize::try_from(int(args, index)?).ok().filter(|bound| *bound <= length);
        bound.ok_or_else(|| Failure::new(format!("slice out of range: there are {length} elements")))
    };
    let (from, to) = (bound(1, 0)?, bound(2, length)?);
    if from > to || to > bound(3, length)? {
        return Err(Failure::new("slice out of range: it ends before it begins"));
    }
    Ok(match &args[0] {
        Val::Str(bytes) => Val::str(&bytes[from..to]),
        Val::Number(text) => Val::number(&text[from..to]),
        Val::List(items) => Val::List(List::new(items.elem(), items[from..to].to_vec())),
        _ => Val::Nil,
    })
}
