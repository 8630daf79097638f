//! What would ask the clock or chance: answered from what is frozen with the data, so the same data gives the same bytes.

use super::Run;
use crate::failure::Failure;
use crate::helpers::{Out, date, int, text, time};
use crate::value::Val;

/// `timestamp [LAYOUT]`.
pub(crate) fn timestamp(run: &mut Run<'_>, args: &[Val]) -> Out {
    let layout = if args.is_empty() { None } else { Some(text(args, 0)?) };
    Ok(Val::str(time::timestamp(run.unix_seconds(), layout)))
}

/// `ago DATE`.
pub(crate) fn ago(run: &mut Run<'_>, args: &[Val]) -> Out {
    date::ago(run.unix_seconds(), args)
}

/// `durationRound DURATION`.
pub(crate) fn duration_round(run: &mut Run<'_>, args: &[Val]) -> Out {
    date::duration_round(run.unix_seconds(), args)
}

/// `randInt FROM TO`.
pub(crate) fn rand_int(run: &mut Run<'_>, args: &[Val]) -> Out {
    let (from, to) = (int(args, 0)?, int(args, 1)?);
    let span = to.checked_sub(from).and_then(|span| u64::try_from(span).ok()).filter(|span| *span > 0);
    let span = span.ok_or_else(|| Failure::new("the end is not above the start"))?;
    Ok(Val::Int(from.wrapping_add((run.chance() % span).cast_signed())))
}

/// `shuffle TEXT`.
pub(crate) fn shuffle(run: &mut Run<'_>, args: &[Val]) -> Out {
    let mut chars: Vec<char> = text(args, 0)?.chars().collect();
    for left in (1..chars.len()).rev() {
        let other = run.chance() % (left as u64 + 1);
        chars.swap(left, usize::try_from(other).unwrap_or(0));
    }
    Ok(Val::str(chars.into_iter().collect::<String>()))
}
