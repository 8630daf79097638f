//! Causes that lie with the server as a whole, or between it and the pod.

use sidekey_core::contract::{Dialect, Server};
use sidekey_core::{Cause, Code};

use super::keys::Keys;
use crate::address::Address;
use crate::error::{Class, TlsFault, VaultError};

/// Whether `error` says nothing of what was asked, only of who was asked.
pub(super) const fn is_about_server(error: &VaultError) -> bool {
    match error.class {
        Class::Address | Class::Refused | Class::Files | Class::Dns | Class::Tcp | Class::Tls(_) => true,
        Class::Timeout
        | Class::Protocol
        | Class::Sealed
        | Class::Standby
        | Class::StandbyRead
        | Class::Uninitialised
        | Class::RateLimited
        | Class::Stale => true,
        Class::Denied | Class::InvalidToken | Class::Missing | Class::Deleted | Class::BadRequest => false,
        Class::MethodNotAllowed | Class::Internal | Class::Shape => false,
    }
}

pub(super) fn cause(error: &VaultError, server: &Server, dialect: Option<Dialect>, attempted: String) -> Cause {
    let keys = Keys(dialect);
    let cause = Cause::new(code(error.class), attempted, error.answer());
    match fix(error, server, keys) {
        Some(fix) => cause.with_fix(fix),
        None => cause,
    }
}

const fn code(class: Class) -> Code {
    match class {
        Class::Address => Code::ConfigMalformed,
        Class::Refused => Code::AddressRefused,
        Class::Files => Code::CaUnreadable,
        Class::Dns => Code::VaultDns,
        Class::Tcp => Code::VaultTcp,
        Class::Tls(_) => Code::VaultTls,
        Class::Timeout => Code::VaultTimeout,
        Class::Protocol => Code::VaultProtocol,
        Class::Sealed => Code::VaultSealed,
        Class::Standby | Class::StandbyRead => Code::VaultStandby,
        Class::Uninitialised => Code::VaultUninitialised,
        Class::RateLimited => Code::VaultRateLimited,
        Class::Internal => Code::VaultInternal,
        Class::Stale => Code::StaleRead,
        Class::Denied => Code::PolicyDenied,
        Class::InvalidToken => Code::TokenDead,
        Class::Missing => Code::SecretNotFound,
        Class::Deleted => Code::SecretDeleted,
        Class::BadRequest => Code::SecretRefused,
        Class::MethodNotAllowed => Code::SecretMethod,
        Class::Shape => Code::SecretShape,
    }
}

/// What to do, where more can be said than the code's own advice.
fn fix(error: &VaultError, server: &Server, keys: Keys) -> Option<String> {
    let address = &server.address;
    Some(match error.class {
        Class::Address => {
            format!("Correct {} (now {address}): a URL such as https://vault.vault.svc:8200.", keys.address())
        }
        Class::Dns => format!("Check the host in {} (now {address}) and the cluster's DNS.", keys.address()),
        Class::Tcp if server.proxy.is_some() => format!("Check the proxy, and that it may reach {address}."),
        Class::Tcp => {
            format!(
                "Check that Vault listens at {address} and that no NetworkPolicy or mesh stands between the pod and it."
            )
        }
        Class::Timeout => format!("Check Vault's load, and the network between the pod and {address}."),
        Class::Protocol => protocol(error, server, keys),
        Class::Tls(fault) => handshake(fault, server, keys),
        _ => return None,
    })
}

fn protocol(error: &VaultError, server: &Server, keys: Keys) -> String {
    let address = &server.address;
    if error.detail.as_ref().is_some_and(|detail| detail.contains("speaks HTTPS")) {
        return format!("Write https:// in {} (now {address}).", keys.address());
    }
    match error.status {
        Some(502..=504) => {
            format!("A proxy or load balancer answers in Vault's place: check what stands behind {address}.")
        }
        _ => format!("Check that {address} is Vault's API: {} wants its scheme, host and port.", keys.address()),
    }
}

fn handshake(fault: TlsFault, server: &Server, keys: Keys) -> String {
    let address = &server.address;
    let authority = Address::parse(address).map_or_else(|_| address.clone(), |address| address.origin.authority());
    match fault {
        TlsFault::UnknownIssuer => format!(
            "Give the CA that signed Vault's certificate in {}; `openssl s_client -connect {authority} -showcerts` shows the chain.",
            keys.ca()
        ),
        TlsFault::Name => {
            format!("Reach Vault by a name of its certificate, or write one of them in {}.", keys.server_name())
        }
        TlsFault::Expired => format!("Renew the certificate that {address} serves."),
        TlsFault::NotYetValid => {
            format!("Compare the clocks of node and CA: {address} serves a certificate of the future.")
        }
        TlsFault::ClientCertificate => {
            format!("Give {} that the listener of {address} accepts.", keys.client_certificate())
        }
        TlsFault::PlainHttp => {
            format!("Write http:// in {} (now {address}), or give Vault's listener a certificate.", keys.address())
        }
        TlsFault::Other => {
            format!("Check the listener's TLS settings: `openssl s_client -connect {authority}` shows what it does.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_stage_and_what_to_do_in_the_pods_own_dialect() {
        let server = Server { address: "https://vault.vault.svc:8200".to_owned(), ..Server::default() };
        let cases = [
            (Class::Dns, Code::VaultDns, "vault.hashicorp.com/service"),
            (Class::Tcp, Code::VaultTcp, "NetworkPolicy"),
            (Class::Tls(TlsFault::UnknownIssuer), Code::VaultTls, "vault.hashicorp.com/ca-cert"),
            (Class::Tls(TlsFault::Name), Code::VaultTls, "vault.hashicorp.com/tls-server-name"),
            (Class::Tls(TlsFault::Expired), Code::VaultTls, "Renew"),
            (Class::Tls(TlsFault::ClientCertificate), Code::VaultTls, "client-cert"),
            (Class::Tls(TlsFault::PlainHttp), Code::VaultTls, "http://"),
            (Class::Sealed, Code::VaultSealed, "Unseal"),
            (Class::Timeout, Code::VaultTimeout, "load"),
        ];
        for (class, code, words) in cases {
            let error = VaultError::new("GET", "secret/data/web", class);
            let cause = cause(&error, &server, Some(Dialect::Vault), "asking".to_owned());
            assert_eq!(cause.code, code, "{class:?}");
            assert!(cause.fix.contains(words), "{class:?}: {}", cause.fix);
            assert!(!cause.to_string().contains('\n'));
        }
    }

    #[test]
    fn sees_a_load_balancer_in_vaults_place() {
        let server = Server { address: "https://vault.example".to_owned(), ..Server::default() };
        let error = VaultError::answered("GET", "secret/data/web", 503, None);
        let cause = super::super::transport(&error, &server);
        assert_eq!(cause.code, Code::VaultProtocol);
        assert_eq!(
            cause.to_string(),
            "SK3005 asking https://vault.example for GET secret/data/web: 503 the body is not Vault's JSON. \
             A proxy or load balancer answers in Vault's place: check what stands behind https://vault.example."
        );
    }
}
