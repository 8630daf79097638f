//! What a VaultPKISecret needs next, and what a certificate looks like in its Secret.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;
use sidekey_core::lookup::Verb;
use sidekey_core::{Cause, Lookup, Sensitive, Value};

use super::auth::invalid;
use super::data::Data;
use super::duration;
use crate::types::object::Key;
use crate::types::pki_secret::{VaultPkiSecretSpec, VaultPkiSecretStatus};

/// Share of the lifetime that is left when a certificate without `expiryOffset` is replaced.
const LEFT: f64 = 0.1;

/// The request for a certificate.
///
/// # Errors
/// Mount or role is empty.
pub fn lookup(key: &Key, spec: &VaultPkiSecretSpec) -> Result<Lookup, Cause> {
    let (mount, role) = (spec.mount.trim_matches('/'), spec.role.trim_matches('/'));
    if mount.is_empty() || role.is_empty() {
        return Err(invalid(key, "mount and role must not be empty"));
    }
    let path = match spec.issuer_ref.as_deref().filter(|issuer| !issuer.is_empty()) {
        Some(issuer) => format!("{mount}/issuer/{issuer}/issue/{role}"),
        None => format!("{mount}/issue/{role}"),
    };
    let mut params: BTreeMap<String, String> = [("remove_roots_from_chain".to_owned(), "true".to_owned())].into();
    let texts = [
        ("common_name", spec.common_name.clone()),
        ("alt_names", joined(&spec.alt_names)),
        ("ip_sans", joined(&spec.ip_sans)),
        ("uri_sans", joined(&spec.uri_sans)),
        ("other_sans", joined(&spec.other_sans)),
        ("user_ids", joined(&spec.user_ids)),
        ("ttl", spec.ttl.as_deref().map(seconds)),
        ("not_after", spec.not_after.clone()),
        ("format", spec.format.clone()),
        ("private_key_format", spec.private_key_format.clone()),
        ("exclude_cn_from_sans", spec.exclude_cn_from_sans.then(|| "true".to_owned())),
    ];
    for (name, text) in texts {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            params.insert(name.to_owned(), text);
        }
    }
    Ok(Lookup { path, verb: Verb::Write, query: BTreeMap::new(), params })
}

fn joined(list: &[String]) -> Option<String> {
    Some(list.join(","))
}

/// Older servers know no days.
fn seconds(text: &str) -> String {
    match duration::read(Some(text)) {
        Some(duration) if text.ends_with('d') => format!("{}s", duration.as_secs()),
        _ => text.to_owned(),
    }
}

/// When to replace a certificate: strictly before its end, as long before as `expiryOffset` says. An offset as long as the
/// whole lifetime would ask for one certificate after the other.
pub fn due(spec: &VaultPkiSecretSpec, status: &VaultPkiSecretStatus, now: i64) -> Duration {
    let end = status.expiration.unwrap_or(0);
    let life = u64::try_from(end.saturating_sub(status.last_rotation)).unwrap_or(0);
    let life = Duration::from_secs(life);
    let wanted = duration::read(spec.expiry_offset.as_deref()).unwrap_or_else(|| life.mul_f64(LEFT));
    let before = wanted.min(life.mul_f64(0.9));
    let left = Duration::from_secs(u64::try_from(end.saturating_sub(now)).unwrap_or(0));
    left.saturating_sub(before)
}

/// What a spec asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asks<'a> {
    /// The spec's generation.
    pub generation: i64,
    /// Digest of what makes a certificate another one.
    pub request: &'a str,
}

impl Asks<'_> {
    /// Whether the spec was edited so that the certificate is not the one it asks for. A status without a digest cannot tell.
    fn otherwise(&self, status: &VaultPkiSecretStatus) -> bool {
        status.last_generation != self.generation && status.request_digest.as_deref() != Some(self.request)
    }
}

/// Why a new certificate is needed, as events have it; none when there is time.
pub fn reason(
    spec: &VaultPkiSecretSpec,
    status: &VaultPkiSecretStatus,
    asks: Asks<'_>,
    mac: Option<&str>,
    now: i64,
) -> Option<&'static str> {
    let expected = status.secret_mac.as_deref().filter(|mac| !mac.is_empty());
    match () {
        () if status.serial_number.as_ref().is_none_or(String::is_empty) => Some("InitialSync"),
        () if asks.otherwise(status) => Some("ResourceUpdated"),
        () if mac.is_none() => Some("InexistentDestination"),
        () if expected.is_some() && mac != expected => Some("SecretDataDrift"),
        () if due(spec, status, now).is_zero() => Some("InRenewalWindow"),
        () => None,
    }
}

/// Serial number and end of an issued certificate.
///
/// # Errors
/// The answer lacks one of them.
pub fn issued(answer: &Value) -> Result<(String, i64), String> {
    let serial = answer.get("serial_number").and_then(Value::as_text).filter(|serial| !serial.is_empty());
    let end = answer.get("expiration").and_then(Value::as_u64).and_then(|end| i64::try_from(end).ok());
    match (serial, end) {
        (Some(serial), Some(end)) => Ok((serial.to_owned(), end)),
        _ => Err("the answer has no serial number or no end".to_owned()),
    }
}

/// The fields of an answer as a Secret has them: the chain is one text.
pub fn fields(answer: &Value) -> Value {
    let mut map = answer.as_map().cloned().unwrap_or_default();
    if map.contains_key("ca_chain") {
        map.insert("ca_chain".to_owned(), Value::text(chain(answer).join("\n")));
    }
    Value::Map(map)
}

fn chain(answer: &Value) -> Vec<&str> {
    match answer.get("ca_chain") {
        Some(Value::List(items)) => items.iter().filter_map(Value::as_text).collect(),
        _ => Vec::new(),
    }
}

/// The three files that readers of `kubernetes.io/tls` know, beside Vault's own fields; no filter takes them away. `ca.crt` is
/// there also when there is a chain: whoever checks the other side needs it.
pub fn tls(answer: &Value) -> Data {
    let text = |name: &str| answer.get(name).and_then(Value::as_text).unwrap_or_default();
    let (issuer, chain) = (text("issuing_ca"), chain(answer));
    let above = if chain.is_empty() { vec![issuer] } else { chain };
    let certificate: Vec<_> =
        [leaf(text("certificate"))].into_iter().chain(above).filter(|part| !part.is_empty()).collect();
    let files = [
        ("tls.crt", certificate.join("\n")),
        ("tls.key", text("private_key").to_owned()),
        ("ca.crt", issuer.to_owned()),
    ];
    let files = files.into_iter().filter(|(_, text)| !text.is_empty());
    Data(files.map(|(name, text)| (name.to_owned(), Sensitive::new(text.into_bytes()))).collect())
}

/// The certificate alone: a `pem_bundle` has its key and those above it in the same text.
fn leaf(text: &str) -> &str {
    const END: &str = "-----END CERTIFICATE-----";
    let from = text.find("-----BEGIN CERTIFICATE-----").unwrap_or_default();
    let to = text.find(END).map_or(text.len(), |end| end + END.len());
    text.get(from..to).unwrap_or(text)
}

/// A Secret emptied but for its metadata, for `clear`.
pub fn cleared() -> Json {
    serde_json::json!({ "data": null })
}

/// Whether the data is the pair that a TLS Secret must have.
pub fn is_pair(data: &Data) -> bool {
    let filled = |name: &str| data.0.get(name).map(Sensitive::expose).is_some_and(|bytes| !bytes.is_empty());
    filled("tls.crt") && filled("tls.key")
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "a table of json! reads better without ampersands")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::types::Kind;

    fn spec(more: Json) -> VaultPkiSecretSpec {
        let mut spec = json!({ "mount": "pki", "role": "web", "destination": { "name": "tls" } });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn asks_the_role_or_the_issuer_for_what_the_spec_says() {
        let key = Key::new(Kind::VaultPkiSecret, "app", "tls");
        let plain = lookup(&key, &spec(json!({}))).unwrap();
        assert_eq!((plain.path.as_str(), plain.params.len(), plain.verb), ("pki/issue/web", 1, Verb::Write));
        let full = json!({ "issuerRef": "x", "commonName": "a", "altNames": ["a", "b"], "ipSans": ["1.2.3.4", "::1"], "ttl": "2d",
            "uriSans": ["spiffe://a/b", "urn:c"], "notAfter": "2030-01-01T00:00:00Z", "otherSans": ["o", "1.2;UTF8:x"], "userIDs": ["u"], "excludeCNFromSans": true, "format": "pem", "privateKeyFormat": "pkcs8" });
        let full = lookup(&key, &spec(full)).unwrap();
        assert_eq!(full.path, "pki/issuer/x/issue/web");
        let params: Vec<_> = full.params.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            params.join(" "),
            "alt_names=a,b common_name=a exclude_cn_from_sans=true format=pem ip_sans=1.2.3.4,::1 not_after=2030-01-01T00:00:00Z other_sans=o,1.2;UTF8:x private_key_format=pkcs8 remove_roots_from_chain=true ttl=172800s uri_sans=spiffe://a/b,urn:c user_ids=u"
        );
    }

    #[test]
    fn a_certificate_is_replaced_strictly_before_its_end() {
        let status = VaultPkiSecretStatus { expiration: Some(11_000), last_rotation: 1_000, ..Default::default() };
        let cases = [
            (json!({}), 1_000, 9_000),
            (json!({}), 10_000, 0),
            (json!({ "expiryOffset": "1000s" }), 1_000, 9_000),
            (json!({ "expiryOffset": "4000s" }), 2_000, 5_000),
            (json!({ "expiryOffset": "4000s" }), 7_000, 0),
            (json!({ "expiryOffset": "100h" }), 1_000, 1_000),
            (json!({}), 99_000, 0),
        ];
        for (more, now, want) in cases {
            assert_eq!(due(&spec(more.clone()), &status, now).as_secs(), want, "{more} at {now}");
        }
    }

    #[test]
    fn each_reason_for_a_new_certificate() {
        let status = VaultPkiSecretStatus {
            serial_number: Some("s".into()),
            expiration: Some(11_000),
            last_rotation: 1_000,
            last_generation: 2,
            secret_mac: Some("m".into()),
            ..Default::default()
        };
        let why = |status: &VaultPkiSecretStatus, mac, now| {
            reason(&spec(json!({})), status, Asks { generation: 2, request: "same" }, mac, now)
        };
        let edited = |request: &str| VaultPkiSecretStatus {
            last_generation: 1,
            request_digest: Some(request.to_owned()),
            ..status.clone()
        };
        assert_eq!(why(&edited("other"), Some("m"), 1_000), Some("ResourceUpdated"));
        assert_eq!(why(&edited("same"), Some("m"), 1_000), None);
        assert_eq!(why(&edited("same"), Some("m"), 10_000), Some("InRenewalWindow"));
        assert_eq!(why(&VaultPkiSecretStatus::default(), None, 0), Some("InitialSync"));
        assert_eq!(
            why(&VaultPkiSecretStatus { last_generation: 1, ..status.clone() }, Some("m"), 1_000),
            Some("ResourceUpdated")
        );
        assert_eq!(why(&status, None, 1_000), Some("InexistentDestination"));
        assert_eq!(why(&status, Some("x"), 1_000), Some("SecretDataDrift"));
        assert_eq!(why(&status, Some("m"), 10_000), Some("InRenewalWindow"));
        assert_eq!(why(&status, Some("m"), 9_999), None);
    }

    #[test]
    fn a_tls_secret_has_its_three_files_and_others_vaults_own_names() {
        let answer = Value::parse(r#"{"certificate":"C","private_key":"K","issuing_ca":"I","ca_chain":["I","R"],"serial_number":"1","expiration":5}"#).unwrap();
        let files = |answer: &Value| {
            let files = tls(answer).0.into_iter();
            files.map(|(name, text)| format!("{name}={}", String::from_utf8_lossy(text.expose()))).collect::<Vec<_>>()
        };
        assert_eq!(files(&answer), ["ca.crt=I", "tls.crt=C\nI\nR", "tls.key=K"]);
        let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
        let bundle = format!("-----BEGIN KEY-----K-----END KEY-----\n{begin}C{end}\n{begin}I{end}");
        assert_eq!([leaf(&bundle), leaf("MIIC"), leaf("")], [&format!("{begin}C{end}"), "MIIC", ""]);
        let bare = Value::parse(r#"{"certificate":"C","private_key":"K","issuing_ca":"I"}"#).unwrap();
        assert_eq!(files(&bare), ["ca.crt=I", "tls.crt=C\nI", "tls.key=K"]);
        assert_eq!(fields(&answer).get("ca_chain").and_then(Value::as_text), Some("I\nR"));
        assert_eq!(issued(&answer), Ok(("1".to_owned(), 5)));
        assert!(issued(&bare).is_err());
    }
}
