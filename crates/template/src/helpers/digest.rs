//! Checksums, in hexadecimal.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::{Out, bytes};
use crate::value::Val;

fn hexed<D: Digest>(args: &[Val]) -> Out {
    Ok(Val::str(hex::encode(D::digest(bytes(args, 0)?))))
}

pub(crate) fn md5(args: &[Val]) -> Out {
    hexed::<md5::Md5>(args)
}

pub(crate) fn sha1(args: &[Val]) -> Out {
    hexed::<Sha1>(args)
}

pub(crate) fn sha256(args: &[Val]) -> Out {
    hexed::<Sha256>(args)
}

pub(crate) fn sha512(args: &[Val]) -> Out {
    hexed::<Sha512>(args)
}

/// Adler-32, as a decimal number.
pub(crate) fn adler32(args: &[Val]) -> Out {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes(args, 0)? {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    Ok(Val::str(((b << 16) | a).to_string()))
}

/// `hmacSHA256Hex MESSAGE KEY`.
pub(crate) fn hmac_sha256(args: &[Val]) -> Out {
    Ok(Val::str(hex::encode(mac(bytes(args, 1)?, bytes(args, 0)?))))
}

/// HMAC-SHA256 (RFC 2104).
pub(super) fn mac(key: &[u8], message: &[u8]) -> zeroize::Zeroizing<[u8; 32]> {
    let mut block = zeroize::Zeroizing::new([0_u8; 64]);
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |byte: u8| zeroize::Zeroizing::new(block.map(|b| b ^ byte));
    let inner = Sha256::new().chain_update(pad(0x36).as_slice()).chain_update(message).finalize();
    zeroize::Zeroizing::new(Sha256::new().chain_update(pad(0x5c).as_slice()).chain_update(inner).finalize().into())
}
