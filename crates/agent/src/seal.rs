//! Encryption of a token file to its reader, in Vault Agent's form: Curve25519, then AES-256-GCM, as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use sidekey_core::Sensitive;

/// Longest file of a public key, in bytes.
const MAX_FILE: u64 = 4 * 1024;

/// A reader's public key.
pub(crate) struct Reader(Vec<u8>);

impl Reader {
    /// Reads `{"curve25519_public_key": "…"}`.
    ///
    /// # Errors
    /// Words for a person.
    pub(crate) fn read(path: &str) -> Result<Self, String> {
        let length = std::fs::metadata(path).map_err(|error| format!("{path}: {}", error.kind()))?.len();
        let bytes = if length > MAX_FILE { Ok(Vec::new()) } else { std::fs::read(path) };
        let bytes = bytes.map_err(|error| format!("{path}: {}", error.kind()))?;
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let key = json["curve25519_public_key"].as_str().and_then(|text| STANDARD.decode(text).ok());
        key.filter(|key| key.len() == 32).map(Self).ok_or_else(|| format!("{path} holds no curve25519_public_key"))
    }

    /// The envelope for this reader, with a key of its own each time.
    ///
    /// # Errors
    /// Words for a person.
    pub(crate) fn seal(&self, text: &Sensitive<String>, aad: &[u8], derive: bool) -> Result<String, String> {
        let broken = |_| "the encryption failed: is the key one of Curve25519?".to_owned();
        let random = SystemRandom::new();
        let own = EphemeralPrivateKey::generate(&X25519, &random).map_err(broken)?;
        let public = own.compute_public_key().map_err(broken)?;
        let theirs = UnparsedPublicKey::new(&X25519, &self.0);
        let key = agree_ephemeral(own, &theirs, |secret| {
            let raw = Sensitive::new(secret.to_vec());
            if derive { derived(raw.expose(), public.as_ref(), &self.0) } else { Ok(raw) }
        });
        let key = key.map_err(broken)?.map_err(broken)?;
        let mut nonce = [0; 12];
        random.fill(&mut nonce).map_err(broken)?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).map_err(broken)?);
        // Encrypted in place: nothing of the token is left in it.
        let mut payload = text.expose().as_bytes().to_vec();
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce_used, Aad::from(aad), &mut payload).map_err(broken)?;
        let envelope = serde_json::json!({
            "curve25519_public_key": STANDARD.encode(public.as_ref()),
            "nonce": STANDARD.encode(nonce),
            "encrypted_payload": STANDARD.encode(payload),
        });
        Ok(envelope.to_string())
    }
}

/// HKDF with the smaller public key as salt and the other as info, so that both sides come to the same.
fn derived(secret: &[u8], one: &[u8], other: &[u8]) -> Result<Sensitive<Vec<u8>>, ring::error::Unspecified> {
    let (salt, info) = if one < other { (one, other) } else { (other, one) };
    let mut key = Sensitive::new(vec![0; 32]);
    Salt::new(HKDF_SHA256, salt).extract(secret).expand(&[info], HKDF_SHA256)?.fill(key.expose_mut())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader does with its own private key.
    fn open(own: EphemeralPrivateKey, public: &[u8], envelope: &str, aad: &[u8], derive: bool) -> Option<String> {
        let json: serde_json::Value = serde_json::from_str(envelope).unwrap();
        let part = |name: &str| STANDARD.decode(json[name].as_str().unwrap()).unwrap();
        let theirs = part("curve25519_public_key");
        let key = agree_ephemeral(own, &UnparsedPublicKey::new(&X25519, &theirs), |secret| match derive {
            true => derived(secret, public, &theirs).unwrap().expose().clone(),
            false => secret.to_vec(),
        });
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key.unwrap()).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(&part("nonce")).unwrap();
        let mut payload = part("encrypted_payload");
        let plain = key.open_in_place(nonce, Aad::from(aad), &mut payload).ok()?;
        Some(String::from_utf8(plain.to_vec()).unwrap())
    }

    #[test]
    fn its_reader_and_nobody_else_opens_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        for (derive, aad, theirs, opens) in
            [(false, "", "", true), (true, "pod", "pod", true), (true, "pod", "other", false)]
        {
            let own = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
            let public = own.compute_public_key().unwrap();
            let text = serde_json::json!({"curve25519_public_key": STANDARD.encode(public.as_ref())}).to_string();
            std::fs::write(&path, text).unwrap();
            let reader = Reader::read(path.to_str().unwrap()).unwrap();
            let envelope = reader.seal(&"hvs.token".into(), aad.as_bytes(), derive).unwrap();
            assert!(!envelope.contains("hvs.token"));
            let opened = open(own, public.as_ref(), &envelope, theirs.as_bytes(), derive);
            assert_eq!(opened.as_deref(), opens.then_some("hvs.token"));
        }
    }

    /// By HKDF as RFC 5869 has it, reckoned elsewhere: readers must come to the same key.
    #[test]
    fn derives_the_key_that_vault_agent_derives() {
        let want = "d1afdc4de949d8adf51a883bc567fadc875a07a4ce3554bfaa2e2e3461f4993f";
        for (one, other) in [([2; 32], [3; 32]), ([3; 32], [2; 32])] {
            let key = derived(&[1; 32], &one, &other).unwrap();
            assert_eq!(key.expose().iter().map(|byte| format!("{byte:02x}")).collect::<String>(), want);
        }
    }

    #[test]
    fn refuses_what_is_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        let path = path.to_str().unwrap();
        assert!(Reader::read(path).is_err());
        for text in ["", "{}", r#"{"curve25519_public_key": "AAAA"}"#] {
            std::fs::write(path, text).unwrap();
            assert!(Reader::read(path).is_err(), "{text}");
        }
        std::fs::write(path, format!(r#"{{"curve25519_public_key": "{}"}}"#, STANDARD.encode([0; 32]))).unwrap();
        assert!(Reader::read(path).unwrap().seal(&"t".into(), b"", false).is_err(), "a key of small order");
    }
}
