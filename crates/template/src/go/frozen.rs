//! What would ask the clock or chance: answered from what is frozen with the data, so the same data gives the same bytes.

use super::Run;
use crate::failure::Failure;
use crate::helpers::{Out, bytes, cipher, date, int, password, text, time};
use crate::value::Val;

/// What a hash costs of a rendering's steps: a tenth of a second of computing, so at most twenty of them.
const HASH_STEPS: u32 = 50_000;

/// What a derived password costs: some three quarters of a second, so at most three of them.
const DERIVE_STEPS: u32 = 300_000;

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

/// `bcrypt PASSWORD`: the same hash until the data changes.
pub(crate) fn bcrypt(run: &mut Run<'_>, args: &[Val]) -> Out {
    hashed(run, bytes(args, 0)?).map(Val::str)
}

/// `htpasswd USER PASSWORD`: a line of Apache's password file.
pub(crate) fn htpasswd(run: &mut Run<'_>, args: &[Val]) -> Out {
    let user = bytes(args, 0)?;
    if user.contains(&b':') {
        return Ok(Val::str([b"invalid username: ", user].concat()));
    }
    let hash = hashed(run, bytes(args, 1)?)?;
    Ok(Val::str([user, b":", hash.as_bytes()].concat()))
}

fn hashed(run: &mut Run<'_>, password: &[u8]) -> Result<String, Failure> {
    run.spend(HASH_STEPS)?;
    let hash = crate::helpers::bcrypt::hash(password, salt(run));
    Ok(hash.unwrap_or_else(|error| format!("failed to encrypt string with bcrypt: {error}")))
}

/// `encryptAES PASSWORD TEXT`: the initial vector is frozen.
pub(crate) fn encrypt_aes(run: &mut Run<'_>, args: &[Val]) -> Out {
    let vector = salt(run);
    Ok(cipher::encrypt(bytes(args, 0)?, bytes(args, 1)?, vector))
}

/// `derivePassword COUNTER KIND PASSWORD USER SITE`.
pub(crate) fn derive_password(run: &mut Run<'_>, args: &[Val]) -> Out {
    run.spend(DERIVE_STEPS)?;
    password::derive(args)
}

const fn salt(run: &mut Run<'_>) -> [u8; 16] {
    let high = (run.chance() as u128) << 64;
    (high | run.chance() as u128).to_be_bytes()
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
