//! A signed `sts:GetCallerIdentity` (AWS Signature Version 4; docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html).
//!
//! Vault sends the request on and takes AWS's answer for who logs in: the keys themselves never leave the pod.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac};
use sidekey_core::Sensitive;

use crate::date;

/// What is signed and sent.
const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// The header that binds a signed request to one Vault.
const SERVER_ID: &str = "x-vault-aws-iam-server-id";

/// AWS keys. No `Debug`.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: Sensitive<String>,
    /// Of temporary keys.
    pub(crate) session: Option<Sensitive<String>>,
}

/// A request that AWS takes for a quarter of an hour. No `Debug`: whoever has it can log in.
#[derive(Clone)]
pub struct Signed {
    host: String,
    headers: Sensitive<String>,
}

impl Signed {
    /// In base64, as Vault wants all of it.
    pub(crate) fn url(&self) -> String {
        STANDARD.encode(format!("https://{}/", self.host))
    }

    pub(crate) fn body(&self) -> String {
        STANDARD.encode(BODY)
    }

    pub(crate) fn headers(&self) -> String {
        STANDARD.encode(self.headers.expose())
    }
}

/// The host of STS that answers for a region; `us-east-1` is that of the global endpoint, as in Vault's own client.
pub(crate) fn host(region: &str) -> String {
    match region {
        "" | "us-east-1" => "sts.amazonaws.com".to_owned(),
        china if china.starts_with("cn-") => format!("sts.{china}.amazonaws.com.cn"),
        other => format!("sts.{other}.amazonaws.com"),
    }
}

/// Signs for `region` at a moment in Unix seconds.
pub(crate) fn sign(keys: &Keys, region: &str, server_id: Option<&str>, now: u64) -> Signed {
    let host = host(region);
    let date = date::basic(now);
    let mut headers = BTreeMap::from([("content-type", CONTENT_TYPE), ("host", &host), ("x-amz-date", &date)]);
    if let Some(session) = &keys.session {
        headers.insert("x-amz-security-token", session.expose());
    }
    if let Some(id) = server_id {
        headers.insert(SERVER_ID, id);
    }
    let authorization = authorization(keys, (region, "sts"), &date, &headers, BODY);
    headers.remove("host");
    headers.insert("authorization", authorization.expose());
    let named: BTreeMap<String, [&str; 1]> = headers.iter().map(|(name, value)| (title(name), [*value])).collect();
    let headers = Sensitive::new(serde_json::to_string(&named).unwrap_or_default());
    Signed { host, headers }
}

/// Of a `POST` to the root.
fn authorization(
    keys: &Keys,
    (region, service): (&str, &str),
    date: &str,
    headers: &BTreeMap<&str, &str>,
    body: &str,
) -> Sensitive<String> {
    let canonical: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let names = headers.keys().copied().collect::<Vec<_>>().join(";");
    let request = Sensitive::new(format!("POST\n/\n\n{canonical}\n{names}\n{}", sha256(body)));
    let day = date.get(..8).unwrap_or(date);
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(request.expose()));
    let first = Sensitive::new(format!("AWS4{}", keys.secret.expose()).into_bytes());
    let key = [day, region, service, "aws4_request"].iter().fold(first, |key, part| hmac(&key, part));
    let signature = hex::encode(hmac(&key, &text).expose());
    Sensitive::new(format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.id
    ))
}

fn sha256(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

fn hmac(key: &Sensitive<Vec<u8>>, text: &str) -> Sensitive<Vec<u8>> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), text.as_bytes());
    Sensitive::new(tag.as_ref().to_vec())
}

/// `X-Amz-Date` of `x-amz-date`: Vault compares some names by their case.
fn title(name: &str) -> String {
    let mut start = true;
    let upper = |c: char| {
        let out = if start { c.to_ascii_uppercase() } else { c };
        start = c == '-';
        out
    };
    name.chars().map(upper).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWS's own example of a derived key (docs.aws.amazon.com, "Create a signed AWS API request", IAM).
    #[test]
    fn derives_the_key_of_awss_example() {
        let first = Sensitive::new(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec());
        let key = ["20120215", "us-east-1", "iam", "aws4_request"].iter().fold(first, |key, part| hmac(&key, part));
        assert_eq!(hex::encode(key.expose()), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
    }

    /// `post-vanilla` of AWS's signature test suite.
    #[test]
    fn signs_as_awss_test_suite_does() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into();
        let keys = Keys { id: "AKIDEXAMPLE".to_owned(), secret, session: None };
        let date = "20150830T123600Z";
        let headers = BTreeMap::from([("host", "example.amazonaws.com"), ("x-amz-date", date)]);
        assert_eq!(
            authorization(&keys, ("us-east-1", "service"), date, &headers, "").expose(),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
    }

    #[test]
    fn signs_every_header_but_those_it_cannot_know() {
        let keys = Keys { id: "AKIDEXAMPLE".to_owned(), secret: "secret".into(), session: Some("session".into()) };
        let signed = sign(&keys, "eu-west-1", Some("vault.example"), 1_440_938_160);
        let headers: serde_json::Value = serde_json::from_str(signed.headers.expose()).unwrap();
        let authorization = headers["Authorization"][0].as_str().unwrap();
        let (start, signature) = authorization.split_once("Signature=").unwrap();
        assert_eq!(
            start,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/sts/aws4_request, SignedHeaders=content-type;\
             host;x-amz-date;x-amz-security-token;x-vault-aws-iam-server-id, "
        );
        assert_eq!(signature.len(), 64);
        assert_eq!(headers["X-Vault-Aws-Iam-Server-Id"][0], "vault.example");
        assert_eq!(STANDARD.decode(signed.url()).unwrap(), b"https://sts.eu-west-1.amazonaws.com/");
        let other = sign(&keys, "eu-west-1", Some("vault.example"), 1_440_938_161);
        assert!(other.headers != signed.headers);
    }

    #[test]
    fn knows_the_hosts() {
        assert_eq!(host("us-east-1"), "sts.amazonaws.com");
        assert_eq!(host("cn-north-1"), "sts.cn-north-1.amazonaws.com.cn");
    }
}
