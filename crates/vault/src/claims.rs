//! What a service account token says of itself. Read to explain failures, never to decide who somebody is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sidekey_core::Sensitive;

/// Uid of the service account that a bound token says it is of.
pub fn account_uid(jwt: &Sensitive<String>) -> Option<String> {
    Claims::read(jwt.expose())?.account_uid().map(str::to_owned)
}

/// The payload of a JWT. No `Debug`: ids of pods are nobody's business.
pub(crate) struct Claims(Value);

impl Claims {
    /// Decodes the middle of three parts; the signature is not looked at.
    pub(crate) fn read(jwt: &str) -> Option<Self> {
        let mut parts = jwt.trim().split('.');
        let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&bytes).ok().filter(Value::is_object).map(Self)
    }

    pub(crate) fn audiences(&self) -> Vec<&str> {
        match &self.0["aud"] {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn issuer(&self) -> Option<&str> {
        self.0["iss"].as_str()
    }

    /// Unix seconds.
    pub(crate) fn expires(&self) -> Option<u64> {
        self.0["exp"].as_u64()
    }

    /// Namespace and service account, of bound tokens and of the older ones kept in Secrets.
    pub(crate) fn account(&self) -> Option<(&str, &str)> {
        let bound = &self.0["kubernetes.io"];
        let pair = (bound["namespace"].as_str(), bound["serviceaccount"]["name"].as_str());
        if let (Some(namespace), Some(name)) = pair {
            return Some((namespace, name));
        }
        self.0["sub"].as_str()?.strip_prefix("system:serviceaccount:")?.split_once(':')
    }

    /// Uid of the service account that a bound token is of.
    pub(crate) fn account_uid(&self) -> Option<&str> {
        self.0["kubernetes.io"]["serviceaccount"]["uid"].as_str()
    }

    /// A token with these claims but another identity, and nobody's signature. Vault's Kubernetes auth compares names
    /// before it has a token reviewed, so the answer tells which names a role takes; nobody can log in with it.
    pub(crate) fn unsigned(&self, namespace: &str, account: &str) -> String {
        let mut claims = self.0.clone();
        if let Some(claims) = claims.as_object_mut() {
            claims.remove("jti");
        }
        claims["sub"] = json!(format!("system:serviceaccount:{namespace}:{account}"));
        claims["kubernetes.io"] = json!({
            "namespace": namespace,
            "serviceaccount": { "name": account, "uid": "00000000-0000-0000-0000-000000000000" },
        });
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let header = encode(br#"{"alg":"RS256","kid":"sidekey-probe"}"#);
        format!("{header}.{}.{}", encode(claims.to_string().as_bytes()), encode(&[0; 256]))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn jwt(claims: &Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn reads_bound_and_older_tokens() {
        let bound = Claims::read(&jwt(&json!({
            "aud": ["vault", "api"], "exp": 100, "iss": "https://k", "sub": "system:serviceaccount:shop:web",
            "kubernetes.io": { "namespace": "shop", "serviceaccount": { "name": "web", "uid": "u" } },
        })))
        .unwrap();
        assert_eq!(
            (bound.audiences(), bound.account(), bound.expires()),
            (vec!["vault", "api"], Some(("shop", "web")), Some(100))
        );
        let older = Claims::read(&jwt(&json!({ "aud": "one", "sub": "system:serviceaccount:shop:web" }))).unwrap();
        assert_eq!((older.audiences(), older.account(), older.expires()), (vec!["one"], Some(("shop", "web")), None));
    }

    #[test]
    fn refuses_what_is_no_token() {
        for text in ["", "a.b", "a.b.c", "a.e30.c.d", &jwt(&json!([1]))] {
            assert!(Claims::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn keeps_audience_and_dates_but_neither_identity_nor_signature_in_a_probe() {
        let real = jwt(&json!({
            "aud": ["vault"], "exp": 100, "jti": "unique", "sub": "system:serviceaccount:shop:web",
            "kubernetes.io": { "namespace": "shop", "pod": { "name": "p", "uid": "pod-uid" },
                               "serviceaccount": { "name": "web", "uid": "sa-uid" } },
        }));
        let probe = Claims::read(&real).unwrap().unsigned("shop", "\"*\"");
        let claims = Claims::read(&probe).unwrap();
        assert_eq!(
            (claims.audiences(), claims.expires(), claims.account()),
            (vec!["vault"], Some(100), Some(("shop", "\"*\"")))
        );
        let text = claims.0.to_string();
        assert!(!text.contains("unique") && !text.contains("pod-uid") && !text.contains("sa-uid"), "{text}");
        assert!(!probe.ends_with(".c2ln"));
    }
}
