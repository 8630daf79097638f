//! What would ask the clock or chance: answered from what is frozen with the data, so the same data gives the same bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Run;
use crate::failure::Failure;
use crate::helpers::{Out, bytes, cipher, date, int, password, text, time};
use crate::value::Val;

/// What a hash costs of a rendering's steps: a tenth of a second of computing, so at most twenty of them.
const HASH_STEPS: u32 = 50_000;

/// What a derived password costs: some three quarters of a second, so at most three of them.
const DERIVE_STEPS: u32 = 300_000;

/// Longest text drawn by lot.
const MAX_RANDOM: usize = 1 << 20;

/// What is drawn for one of a rendering's steps.
const RANDOM_A_STEP: usize = 16;

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

/// `now`: the moment of the data, in whole seconds.
pub(crate) fn now(run: &mut Run<'_>, _: &[Val]) -> Out {
    Ok(date::at(run.unix_seconds()))
}

/// `date LAYOUT DATE`.
pub(crate) fn date(run: &mut Run<'_>, args: &[Val]) -> Out {
    date::shown_in(run.unix_seconds(), text(args, 0)?, &args[1], "")
}

/// `dateInZone LAYOUT DATE ZONE`.
pub(crate) fn date_in_zone(run: &mut Run<'_>, args: &[Val]) -> Out {
    date::shown_in(run.unix_seconds(), text(args, 0)?, &args[1], text(args, 2)?)
}

/// `htmlDate DATE`.
pub(crate) fn html_date(run: &mut Run<'_>, args: &[Val]) -> Out {
    date::shown_in(run.unix_seconds(), date::HTML, &args[0], "")
}

/// `htmlDateInZone DATE ZONE`.
pub(crate) fn html_date_in_zone(run: &mut Run<'_>, args: &[Val]) -> Out {
    date::shown_in(run.unix_seconds(), date::HTML, &args[0], text(args, 1)?)
}

/// `randAlpha COUNT`.
pub(crate) fn rand_alpha(run: &mut Run<'_>, args: &[Val]) -> Out {
    drawn(run, int(args, 0)?, &alphabet(|byte| byte.is_ascii_alphabetic()))
}

/// `randAlphaNum COUNT`.
pub(crate) fn rand_alpha_num(run: &mut Run<'_>, args: &[Val]) -> Out {
    drawn(run, int(args, 0)?, &alphabet(|byte| byte.is_ascii_alphanumeric()))
}

/// `randNumeric COUNT`.
pub(crate) fn rand_numeric(run: &mut Run<'_>, args: &[Val]) -> Out {
    drawn(run, int(args, 0)?, &alphabet(|byte| byte.is_ascii_digit()))
}

/// `randAscii COUNT`.
pub(crate) fn rand_ascii(run: &mut Run<'_>, args: &[Val]) -> Out {
    drawn(run, int(args, 0)?, &alphabet(|byte| (b' '..=b'~').contains(&byte)))
}

fn alphabet(has: impl Fn(u8) -> bool) -> Vec<u8> {
    (0..=u8::MAX).filter(|byte| has(*byte)).collect()
}

/// So many characters, each as likely as the next; a negative count is none, as in sprig.
fn drawn(run: &mut Run<'_>, count: i64, alphabet: &[u8]) -> Out {
    let mut text = filled(run, count.max(0))?;
    let mut chance = source(run)?;
    // The bytes beyond the last whole alphabet would favour its first characters.
    let fair = 256 - 256 % alphabet.len();
    for byte in text.iter_mut() {
        while usize::from(*byte) >= fair {
            chance.fill_bytes(std::slice::from_mut(byte));
        }
        *byte = alphabet[usize::from(*byte) % alphabet.len()];
    }
    Ok(Val::str(text.as_slice()))
}

/// `randBytes COUNT`: so many bytes, in base 64.
pub(crate) fn rand_bytes(run: &mut Run<'_>, args: &[Val]) -> Out {
    let bytes = filled(run, int(args, 0)?)?;
    Ok(Val::str(STANDARD.encode(bytes.as_slice())))
}

/// `uuidv4`.
pub(crate) fn uuid(run: &mut Run<'_>, _: &[Val]) -> Out {
    let mut bytes = filled(run, 16)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode(bytes.as_slice());
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Ok(Val::str(parts.join("-")))
}

/// So many bytes of chance.
fn filled(run: &mut Run<'_>, count: i64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let count = usize::try_from(count).map_err(|_| Failure::new("the count is negative"))?;
    if count > MAX_RANDOM {
        return Err(Failure::new(format!("more than {MAX_RANDOM} characters drawn by lot")));
    }
    run.spend(u32::try_from(count / RANDOM_A_STEP).unwrap_or(u32::MAX))?;
    let mut bytes = Zeroizing::new(vec![0; count]);
    source(run)?.fill_bytes(&mut bytes);
    Ok(bytes)
}

/// Chance of its own for the next thing to be made.
///
/// # Errors
/// Without a seed there is none: what is made may be a secret.
pub(super) fn source(run: &mut Run<'_>) -> Result<ChaCha20Rng, Failure> {
    let drawn = run.chance();
    let seed = run.seed();
    if *seed == [0; 32] {
        return Err(Failure::new("the system has no random numbers to make this of"));
    }
    let digest = Sha256::new().chain_update(b"sidekey key").chain_update(seed).chain_update(drawn.to_be_bytes());
    Ok(ChaCha20Rng::from_seed(*Zeroizing::new(digest.finalize().into())))
}
