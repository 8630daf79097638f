//! Logins by certificate and by AWS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::answer::Answer;
use crate::ask::Ask;
use crate::auth::{AuthMount, bound};
use crate::spec::RoleSpec;
use crate::state::State;

/// What AWS answers to keys it does not know.
const UNKNOWN_KEY: &str = "error making upstream request: received error code 403 from STS: <ErrorResponse><Error>\
                           <Code>InvalidClientTokenId</Code></Error></ErrorResponse>";

impl State {
    /// The connection's certificate must be one that this server gave out.
    pub(crate) fn check_cert(&self, auth: &AuthMount, ask: &Ask) -> Result<(String, RoleSpec), Answer> {
        let refuse = |text: &str| Answer::error(400, text);
        let Some(certificate) = &ask.certificate else { return Err(refuse("client certificate must be supplied")) };
        let name = ask.text("name");
        let (role, spec) = auth
            .roles
            .iter()
            .find(|(role, _)| name.is_none_or(|name| name == *role))
            .ok_or_else(|| refuse("no chain matching all constraints could be found for this login certificate"))?;
        if !self.client_certificates.contains(certificate) {
            return Err(refuse("invalid certificate or no client certificate supplied"));
        }
        Ok((role.clone(), spec.clone()))
    }

    /// The key's owner must be bound to the role: `service_accounts` holds the principals here.
    pub(crate) fn check_aws(&self, auth: &AuthMount, role: &str, ask: &Ask) -> Result<(String, RoleSpec), Answer> {
        let refuse = |text: String| Answer::error(400, text);
        let Some(spec) = auth.roles.get(role) else {
            return Err(refuse(format!("entry for role \"{role}\" not found")));
        };
        let decode = |field: &str| STANDARD.decode(ask.text(field).unwrap_or_default()).unwrap_or_default();
        let text = |field: &str| String::from_utf8(decode(field)).unwrap_or_default();
        if !text("iam_request_url").starts_with("https://sts.")
            || !text("iam_request_body").contains("GetCallerIdentity")
        {
            return Err(refuse("missing iam_request_url".to_owned()));
        }
        let headers: Value = serde_json::from_slice(&decode("iam_request_headers")).unwrap_or_default();
        if let Some(wanted) = &self.aws_server_id
            && headers["X-Vault-Aws-Iam-Server-Id"][0] != wanted.as_str()
        {
            let text = format!("error validating X-Vault-AWS-IAM-Server-ID header: expected \"{wanted}\" but got \"\"");
            return Err(refuse(text));
        }
        let authorization = headers["Authorization"][0].as_str().unwrap_or_default();
        let key = authorization.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next());
        let Some(principal) = key.and_then(|key| self.aws_keys.get(key)) else {
            return Err(refuse(UNKNOWN_KEY.to_owned()));
        };
        if !bound(&spec.service_accounts, principal) {
            return Err(refuse(format!("IAM Principal \"{principal}\" does not belong to the role \"{role}\"")));
        }
        Ok((role.to_owned(), spec.clone()))
    }
}
