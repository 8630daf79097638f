//! The wire form of an admission review (Kubernetes API, `admission.k8s.io/v1`; `v1beta1` has the same fields).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sidekey_core::Cause;

/// A review as an API server posts it. The object stays text until it is known that it is needed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Review<'a> {
    /// Echoed in the answer.
    #[serde(borrow)]
    pub api_version: Cow<'a, str>,
    /// `AdmissionReview`.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// Absent in an answer.
    #[serde(borrow)]
    pub request: Request<'a>,
}

/// What is to be admitted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// Echoed in the answer.
    #[serde(borrow)]
    pub uid: Cow<'a, str>,
    /// What kind of object it is.
    #[serde(borrow)]
    pub kind: Kind<'a>,
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT`.
    #[serde(borrow)]
    pub operation: Cow<'a, str>,
    /// Empty for the object itself.
    #[serde(borrow, default)]
    pub sub_resource: Cow<'a, str>,
    /// The request's namespace; the object's own field may be empty.
    #[serde(borrow, default)]
    pub namespace: Cow<'a, str>,
    /// The object; absent on deletion.
    #[serde(borrow, default)]
    pub object: Option<&'a RawValue>,
}

/// Group, version and kind.
#[derive(Debug, Deserialize)]
pub struct Kind<'a> {
    /// Empty for the core group.
    #[serde(borrow, default)]
    pub group: Cow<'a, str>,
    /// Such as `Pod`.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
}

impl Request<'_> {
    /// Whether it is what the webhook is registered for.
    pub fn creates_pod(&self) -> bool {
        self.operation == "CREATE"
            && self.kind.kind == "Pod"
            && self.kind.group.is_empty()
            && self.sub_resource.is_empty()
    }
}

/// The verdict of a review.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Let it in as it is.
    Allow,
    /// Let it in with these changes; the bytes of an RFC 6902 document.
    Patch(&'a [u8]),
    /// Refuse it.
    Deny(&'a Cause),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answered<'a> {
    api_version: &'a str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

/// `metav1.Status`, as much of it as a refusal needs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    kind: &'static str,
    api_version: &'static str,
    status: &'static str,
    /// What a person sees.
    message: String,
    reason: &'static str,
    code: u16,
}

impl Status {
    /// A failure; `reason` is one of Kubernetes' own words for `code`.
    pub fn failure(code: u16, reason: &'static str, message: String) -> Self {
        Self { kind: "Status", api_version: "v1", status: "Failure", message, reason, code }
    }
}

/// The answer's bytes. A denial is `403 Forbidden` to whoever creates the pod.
///
/// # Errors
/// Never for these types; serde's signature.
pub fn answer(review: &Review<'_>, verdict: &Verdict<'_>, warnings: &[String]) -> serde_json::Result<Vec<u8>> {
    let patch = if let Verdict::Patch(bytes) = verdict { Some(STANDARD.encode(bytes)) } else { None };
    let status = if let Verdict::Deny(cause) = verdict {
        Some(Status::failure(403, "Forbidden", cause.to_string()))
    } else {
        None
    };
    serde_json::to_vec(&Answered {
        api_version: &review.api_version,
        kind: "AdmissionReview",
        response: Response {
            uid: &review.request.uid,
            allowed: status.is_none(),
            patch_type: patch.is_some().then_some("JSONPatch"),
            patch,
            status,
            warnings,
        },
    })
}
