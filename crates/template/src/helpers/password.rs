//! `derivePassword`: a site's password from one master password (Master Password's algorithm, version 0).

use zeroize::Zeroizing;

use super::scrypt::scrypt;
use super::{Out, bytes, digest, text};
use crate::failure::Failure;
use crate::value::Val;

const SCOPE: &[u8] = b"com.lyndir.masterpassword";

/// Patterns of each kind of password, one letter a class of characters.
const KINDS: [(&str, &[&str]); 6] = [
    ("maximum", &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"]),
    (
        "long",
        &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
    ),
    ("medium", &["CvcnoCvc", "CvcCvcno"]),
    ("short", &["Cvcn"]),
    ("basic", &["aaanaaan", "aannaaan", "aaannaaa"]),
    ("pin", &["nnnn"]),
];

/// The characters of a class.
const fn class(letter: u8) -> &'static [u8] {
    match letter {
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// `derivePassword COUNTER KIND PASSWORD USER SITE`; the counter has been admitted as an unsigned number.
pub(crate) fn derive(args: &[Val]) -> Out {
    let Some(Val::Uint(counter)) = args.first() else { return Err(Failure::new("the counter is no number")) };
    let kind = text(args, 1)?;
    let Some((_, patterns)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        return Ok(Val::str(format!("cannot find password template {kind}")));
    };
    let (password, user, site) = (bytes(args, 2)?, bytes(args, 3)?, bytes(args, 4)?);
    let key = scrypt(password, &[SCOPE, &length(user), user].concat());
    let counter = u32::try_from(*counter & 0xffff_ffff).unwrap_or(0).to_be_bytes();
    let seed = digest::mac(&key, &[SCOPE, &length(site), site, &counter].concat());
    let pattern = patterns[usize::from(seed[0]) % patterns.len()];
    let pick = |(letter, byte): (u8, &u8)| class(letter)[usize::from(*byte) % class(letter).len()];
    let derived: Zeroizing<Vec<u8>> = Zeroizing::new(pattern.bytes().zip(&seed[1..]).map(pick).collect());
    Ok(Val::str(derived.as_slice()))
}

/// Bytes, as the algorithm's first version counts them.
fn length(text: &[u8]) -> [u8; 4] {
    u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes()
}
