//! AES-256 in CBC mode with PKCS #7 padding, as sprig writes it: base 64 of the initial vector and what is encrypted.

use aes::Aes256;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Out, bytes};
use crate::failure::Failure;
use crate::value::Val;

const BLOCK: usize = 16;

/// The key is the password itself: its first 32 bytes, filled up with zeros.
fn cipher(password: &[u8]) -> Aes256 {
    let mut key = Zeroizing::new([0_u8; 32]);
    let length = password.len().min(key.len());
    key[..length].copy_from_slice(&password[..length]);
    Aes256::new(&Array(*key))
}

/// `encryptAES PASSWORD TEXT`, with an initial vector that must not come twice. An empty text stays empty.
pub(crate) fn encrypt(password: &[u8], text: &[u8], vector: [u8; BLOCK]) -> Val {
    if text.is_empty() {
        return Val::str("");
    }
    let cipher = cipher(password);
    let padding = BLOCK - text.len() % BLOCK;
    let padded = Zeroizing::new([text, &vec![u8::try_from(padding).unwrap_or(0); padding]].concat());
    let mut out = vector.to_vec();
    let mut last = vector;
    for block in padded.as_chunks::<BLOCK>().0 {
        last.iter_mut().zip(block).for_each(|(byte, text)| *byte ^= text);
        let mut array = Array(last);
        cipher.encrypt_block(&mut array);
        last = array.0;
        out.extend_from_slice(&last);
    }
    Val::str(STANDARD.encode(out))
}

/// `decryptAES PASSWORD TEXT`.
pub(crate) fn decrypt(args: &[Val]) -> Out {
    let (password, text) = (bytes(args, 0)?, bytes(args, 1)?);
    if text.is_empty() {
        return Ok(Val::str(""));
    }
    let text: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let sealed = STANDARD.decode(text).map_err(|_| Failure::new("what is to be decrypted is no base 64"))?;
    let (blocks, rest) = sealed.as_chunks::<BLOCK>();
    if blocks.len() < 2 || !rest.is_empty() {
        return Err(Failure::new("what is to be decrypted is not of whole blocks behind an initial vector"));
    }
    let cipher = cipher(password);
    let mut out = Zeroizing::new(Vec::with_capacity(sealed.len()));
    for pair in blocks.windows(2) {
        let mut array = Array(pair[1]);
        cipher.decrypt_block(&mut array);
        out.extend(array.0.iter().zip(pair[0]).map(|(byte, before)| byte ^ before));
    }
    // The last byte says how many to take off, and nothing proves it: a wrong password may go unnoticed.
    let padding = out.last().map_or(0, |byte| usize::from(*byte));
    let length = out.len().checked_sub(padding);
    let length = length.ok_or_else(|| Failure::new("it does not decrypt: the password is another one"))?;
    Ok(Val::str(&out[..length]))
}
