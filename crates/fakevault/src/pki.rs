//! Certificates: `<mount>/issue/<role>`, signed by the server's own CA, without a lease; `<mount>/revoke` takes any serial number.

use std::time::Duration;

use serde_json::json;

use crate::answer::Answer;
use crate::ask::{Ask, Operation};
use crate::state::State;
use crate::ttl;

/// Life of a certificate when the request names none.
const USUAL: Duration = Duration::from_secs(72 * 3600);

impl State {
    pub(crate) fn pki_route(&mut self, rest: &str, ask: &Ask) -> Answer {
        match (rest.split_once('/').unwrap_or((rest, "")), ask.operation) {
            (("issue", role), Operation::Write) if !role.is_empty() => self.issue_certificate(ask),
            (("revoke", ""), Operation::Write) => match ask.text("serial_number") {
                Some(_) => {
                    let data = json!({ "revocation_time": self.clock.unix(self.clock.now()), "state": "revoked" });
                    self.data(data, "pki")
                }
                None => Answer::error(400, "The serial number or certificate to revoke must be provided"),
            },
            (("ca", "pem") | ("cert", "ca"), Operation::Read) => {
                let data = json!({ "certificate": self.authority.ca_pem() });
                self.data(data, "pki")
            }
            (("issue" | "revoke", _), _) => Answer::unsupported_operation(),
            _ => Answer::unsupported_path(),
        }
    }

    fn issue_certificate(&mut self, ask: &Ask) -> Answer {
        let Some(name) = ask.text("common_name") else {
            return Answer::error(
                400,
                "the common_name field is required, or must be provided in a CSR with \"use_csr_common_name\" set to true, unless \"require_cn\" is set to false",
            );
        };
        let life = ask.body.get("ttl").and_then(ttl::parse).unwrap_or(USUAL);
        let start = if self.pki_by_wall { self.clock.wall_unix() } else { self.clock.unix(self.clock.now()) };
        let end = start + life.as_secs();
        let serial = self.ids.hex(1);
        let Ok(pair) = self.authority.issue(name, &serial, start, end) else {
            return Answer::error(500, "1 error occurred:\n\t* error signing certificate\n\n");
        };
        let digits: Vec<String> =
            serial.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect();
        let form = ask.text("format").unwrap_or("pem");
        let ca = formed(form, &self.authority.ca_pem());
        let (certificate, key) = (formed(form, &pair.certificate), formed(form, &pair.key));
        let certificate = if form == "pem_bundle" { [&*key, &*certificate, &*ca].join("\n") } else { certificate };
        let data = json!({
            "certificate": certificate,
            "private_key": key,
            "private_key_type": "ec",
            "issuing_ca": ca,
            "ca_chain": [ca],
            "serial_number": digits.join(":"),
            "expiration": end,
        });
        self.data(data, "pki")
    }
}

/// A PEM text in the form that was asked for; `der` is its base64 alone, on one line.
fn formed(form: &str, pem: &str) -> String {
    match form {
        "der" => pem.lines().filter(|line| !line.starts_with("-----")).collect(),
        _ => pem.trim_end().to_owned(),
    }
}
