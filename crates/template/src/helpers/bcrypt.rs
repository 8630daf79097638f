//! Password hashes as Go's `bcrypt` makes them (`$2a$10$…`); the salt is frozen with the data.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use blowfish::Blowfish;
use zeroize::Zeroizing;

/// sprig's, and the library's default: 2^10 rounds.
const COST: u32 = 10;

/// What bcrypt reads of a password.
const MAX_PASSWORD: usize = 72;

const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);

/// The hash of a password.
///
/// # Errors
/// Go's words for a password that is longer than what is read of it.
pub(crate) fn hash(password: &[u8], salt: [u8; 16]) -> Result<String, &'static str> {
    if password.len() > MAX_PASSWORD {
        return Err("bcrypt: password length exceeds 72 bytes");
    }
    let key = Zeroizing::new([password, &[0]].concat());
    let mut state: Blowfish = Blowfish::bc_init_state();
    state.salted_expand_key(&salt, &key);
    for _ in 0..1_u32 << COST {
        state.bc_expand_key(&key);
        state.bc_expand_key(&salt);
    }
    let mut digest = Zeroizing::new([0_u8; 24]);
    for (out, text) in digest.chunks_exact_mut(8).zip(b"OrpheanBeholderScryDoubt".chunks_exact(8)) {
        let half = |at: usize| text[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        let block = (0..64).fold([half(0), half(4)], |block, _| state.bc_encrypt(block));
        out[..4].copy_from_slice(&block[0].to_be_bytes());
        out[4..].copy_from_slice(&block[1].to_be_bytes());
    }
    // The last byte has never been a part of it.
    Ok(format!("$2a${COST:02}${}{}", BASE64.encode(salt), BASE64.encode(&digest[..23])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of golang.org/x/crypto/bcrypt and of OpenBSD, with their own salts.
    #[test]
    fn hashes_as_gos_library_does() {
        let cases = [
            ("allmine", "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga"),
            ("", "$2a$10$k1wbIrmNyFAPwPVPSVa/zecw2BCEnBwVS2GbrmgzxFUOqW9dk4TCW"),
            ("abc", "$2a$10$WvvTPHKwdBJ3uk0Z37EMR.hLA2W6N9AEBhEgrAOljy2Ae5MtaSIUi"),
        ];
        for (password, want) in cases {
            let salt: [u8; 16] = BASE64.decode(&want[7..29]).unwrap().try_into().unwrap();
            assert_eq!(hash(password.as_bytes(), salt).as_deref(), Ok(want), "{password}");
        }
        assert!(hash(&[b'x'; 73], [0; 16]).is_err());
    }
}
