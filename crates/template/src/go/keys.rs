//! sprig's functions that make keys and certificates. What they draw by lot comes from the seed that is frozen with the data,
//! so the same data gives the same key; the seed has 256 bits and is as secret as the data.

use chacha20::rand_core::Rng;

use super::Run;
use super::frozen::source;
use crate::failure::Failure;
use crate::fields::{Fields, Shape};
use crate::helpers::certificate::{Request, Signer, others};
use crate::helpers::keys::{Key, dsa};
use crate::helpers::{Out, bytes, int, list, text};
use crate::value::Val;

/// What making a key costs of a rendering's steps, by the time it takes: at most thirteen certificates in a rendering.
const STEPS_2048: u32 = 50_000;
const STEPS_4096: u32 = 250_000;
const STEPS_DSA: u32 = 750_000;
const STEPS_CURVE: u32 = 5_000;

/// Reading a key, and signing with it.
const STEPS_SIGN: u32 = 25_000;

/// `genPrivateKey KIND`.
pub(crate) fn private_key(run: &mut Run<'_>, args: &[Val]) -> Out {
    let kind = text(args, 0)?;
    let steps = match kind {
        "" | "rsa" => STEPS_4096,
        "dsa" => STEPS_DSA,
        "ecdsa" | "ed25519" => STEPS_CURVE,
        other => return Ok(Val::str(format!("Unknown type {other}"))),
    };
    run.spend(steps)?;
    let mut chance = source(run)?;
    let pem = match kind {
        "dsa" => dsa(&mut chance)?,
        "ecdsa" => Key::p256(&mut chance)?.to_pem()?,
        "ed25519" => Key::ed25519(&mut chance).to_pem()?,
        _ => Key::rsa(&mut chance, 4096)?.to_pem()?,
    };
    Ok(Val::str(pem.as_bytes()))
}

/// `genCA NAME DAYS`.
pub(crate) fn authority(run: &mut Run<'_>, args: &[Val]) -> Out {
    let key = fresh(run)?;
    certify(run, &key, &args[..1], int(args, 1)?, true, &Signer::Itself)
}

/// `genCAWithKey NAME DAYS KEY`.
pub(crate) fn authority_with_key(run: &mut Run<'_>, args: &[Val]) -> Out {
    certify(run, &Key::read(bytes(args, 2)?)?, &args[..1], int(args, 1)?, true, &Signer::Itself)
}

/// `genSelfSignedCert NAME IPS HOSTS DAYS`.
pub(crate) fn self_signed(run: &mut Run<'_>, args: &[Val]) -> Out {
    let key = fresh(run)?;
    certify(run, &key, &args[..3], int(args, 3)?, false, &Signer::Itself)
}

/// `genSelfSignedCertWithKey NAME IPS HOSTS DAYS KEY`.
pub(crate) fn self_signed_with_key(run: &mut Run<'_>, args: &[Val]) -> Out {
    certify(run, &Key::read(bytes(args, 4)?)?, &args[..3], int(args, 3)?, false, &Signer::Itself)
}

/// `genSignedCert NAME IPS HOSTS DAYS CA`.
pub(crate) fn signed(run: &mut Run<'_>, args: &[Val]) -> Out {
    let key = fresh(run)?;
    certify(run, &key, &args[..3], int(args, 3)?, false, &signer(args)?)
}

/// `genSignedCertWithKey NAME IPS HOSTS DAYS CA KEY`.
pub(crate) fn signed_with_key(run: &mut Run<'_>, args: &[Val]) -> Out {
    certify(run, &Key::read(bytes(args, 5)?)?, &args[..3], int(args, 3)?, false, &signer(args)?)
}

fn fresh(run: &mut Run<'_>) -> Result<Key, Failure> {
    run.spend(STEPS_2048)?;
    Key::rsa(&mut source(run)?, 2048)
}

/// The certificate that is the fifth argument.
fn signer(args: &[Val]) -> Result<Signer, Failure> {
    let Some(Val::Struct(authority)) = args.get(4) else { return Err(Failure::new("argument 5 is no certificate")) };
    let part = |name| authority.get(name).and_then(Val::bytes).unwrap_or_default();
    Signer::read(part("Cert"), part("Key"))
}

/// `subject`: the name, and lists of addresses and host names.
fn certify(run: &mut Run<'_>, key: &Key, subject: &[Val], days: i64, authority: bool, signer: &Signer) -> Out {
    run.spend(STEPS_SIGN)?;
    let others = if subject.len() == 3 { others(list(subject, 1)?, list(subject, 2)?)? } else { Vec::new() };
    let mut serial = [0; 16];
    source(run)?.fill_bytes(&mut serial);
    let request =
        Request { name: text(subject, 0)?, others, authority, serial, unix_seconds: run.unix_seconds(), days };
    let (cert, key) = (request.sign(key, signer)?, key.to_pem()?);
    let parts = vec![("Cert", Val::str(cert.as_bytes())), ("Key", Val::str(key.as_bytes()))];
    Ok(Val::Struct(Fields::new(Shape::Certificate, parts)))
}
