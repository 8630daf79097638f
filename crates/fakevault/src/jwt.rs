//! Service account tokens in their real form, signed with a word the server knows in place of a key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What the checks read of a token.
pub(crate) struct Claims {
    pub audience: Vec<String>,
    pub not_before: u64,
    pub expires: u64,
    pub namespace: String,
    pub service_account: String,
    pub uid: String,
    /// Whether it was made by this server.
    pub signed: bool,
}

/// A projected token as the kubelet mounts it: one hour, bound to namespace and service account.
pub(crate) fn make(key: &str, namespace: &str, service_account: &str, audience: &str, now: u64) -> String {
    let uid = uid(namespace, service_account);
    let header = json!({ "alg": "RS256", "kid": "fake" });
    let claims = json!({
        "aud": [audience],
        "exp": now + 3600,
        "iat": now,
        "nbf": now,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "kubernetes.io": { "namespace": namespace, "serviceaccount": { "name": service_account, "uid": uid } },
        "sub": format!("system:serviceaccount:{namespace}:{service_account}"),
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(&header), part(&claims), URL_SAFE_NO_PAD.encode(key))
}

/// Reads a token; `None` when it is none.
pub(crate) fn read(key: &str, token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let audience = match claims.get("aud")? {
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
        one => vec![one.as_str()?.to_owned()],
    };
    let text = |pointer: &str| claims.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
    Some(Claims {
        audience,
        not_before: claims.get("nbf").and_then(Value::as_u64).unwrap_or(0),
        expires: claims.get("exp").and_then(Value::as_u64)?,
        namespace: text("/kubernetes.io/namespace")?,
        service_account: text("/kubernetes.io/serviceaccount/name")?,
        uid: text("/kubernetes.io/serviceaccount/uid").unwrap_or_default(),
        signed: URL_SAFE_NO_PAD.decode(signature).is_ok_and(|bytes| bytes == key.as_bytes()),
    })
}

/// The same uid for the same account, every time.
fn uid(namespace: &str, service_account: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in format!("{namespace}/{service_account}").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{:08x}-0000-4000-8000-{:012x}", hash >> 32, hash & 0xffff_ffff_ffff)
}
