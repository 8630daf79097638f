//! A finding in words, with the names filled in and the command to type.

use sidekey_core::contract::AuthMethod;
use sidekey_core::{Cause, Code};

use super::keys::Keys;
use super::login::{Finding, Scene, Star};
use super::server;
use crate::claims::Claims;
use crate::error::{Class, VaultError};

pub(super) fn cause(scene: &Scene<'_>, error: &VaultError, finding: &Finding) -> Cause {
    let server = scene.client.server();
    let dialect = scene.dialect;
    match finding {
        Finding::Server => server::cause(error, server, dialect, attempted(scene)),
        Finding::ServerNow(now) => server::cause(now, server, dialect, attempted(scene)),
        Finding::Other if error.class == Class::Internal => server::cause(error, server, dialect, attempted(scene)),
        _ => {
            let (code, fix) = fix(scene, finding);
            Cause::new(code, attempted(scene), answer(error, finding))
                .with_fix(fix.unwrap_or_else(|| code.advice().to_owned()))
        }
    }
}

fn attempted(scene: &Scene<'_>) -> String {
    let (namespace, account) = scene.account();
    let server = scene.client.server();
    let vault =
        server.namespace.as_ref().map_or_else(String::new, |namespace| format!(" in Vault namespace {namespace}"));
    format!(
        "logging in at {} of {}{vault} as role {} (service account {account} of namespace {namespace})",
        scene.mount(),
        server.address,
        scene.auth.role,
    )
}

fn answer(error: &VaultError, finding: &Finding) -> String {
    let said = error.answer();
    match finding {
        Finding::MountAbsent if error.class == Class::Denied => format!("{said}, to a login without credentials too"),
        Finding::Review { sure: true } => format!("{said}, though mount, role and names are right"),
        Finding::Review { sure: false } => format!("{said}, though mount and role are right"),
        Finding::Dates if error.class == Class::Denied && !error.says("claim") => {
            format!("{said}; the token has expired")
        }
        Finding::Token if error.class == Class::Denied => format!("{said}; the token file holds no JWT"),
        _ => said,
    }
}

fn fix(scene: &Scene<'_>, finding: &Finding) -> (Code, Option<String>) {
    match finding {
        Finding::MountAbsent => (Code::AuthMountAbsent, Some(mount_absent(scene))),
        Finding::MountOther => (Code::AuthMethodOther, Some(mount_other(scene))),
        Finding::Unconfigured => (Code::AuthMountUnconfigured, Some(unconfigured(scene))),
        Finding::RoleMissing => (Code::AuthRoleMissing, Some(role_missing(scene))),
        Finding::Account { star: Star::Yes } => (Code::AuthLiteralStar, Some(literal_star(scene, NAMES))),
        Finding::Namespace { star: Star::Yes } => (Code::AuthLiteralStar, Some(literal_star(scene, NAMESPACES))),
        Finding::Account { star } => {
            (Code::AuthServiceAccount, Some(not_bound(scene, NAMES, scene.account().1, *star)))
        }
        Finding::Namespace { star } => {
            (Code::AuthNamespace, Some(not_bound(scene, NAMESPACES, scene.account().0, *star)))
        }
        Finding::Audience => (Code::AuthAudience, Some(audience(scene))),
        Finding::Dates => (Code::AuthToken, Some(dates())),
        Finding::Issuer => (Code::AuthToken, Some(issuer(scene))),
        Finding::Token => {
            (Code::AuthToken, Some(format!("Check that {} is a service account token.", scene.auth.token_file)))
        }
        Finding::Review { sure } => (Code::AuthReviewer, Some(review(scene, *sure))),
        Finding::Other | Finding::Server | Finding::ServerNow(_) => (Code::AuthDenied, None),
    }
}

const NAMES: &str = "bound_service_account_names";
const NAMESPACES: &str = "bound_service_account_namespaces";

/// `-namespace=team ` for Vault's CLI, or nothing.
fn flag(scene: &Scene<'_>) -> String {
    scene.client.server().namespace.as_ref().map_or_else(String::new, |namespace| format!("-namespace={namespace} "))
}

fn role_path(scene: &Scene<'_>) -> String {
    format!("{}{}/role/{}", flag(scene), scene.mount(), scene.auth.role)
}

fn mount_absent(scene: &Scene<'_>) -> String {
    let (keys, mount) = (Keys(scene.dialect), scene.mount());
    let name = mount.strip_prefix("auth/").unwrap_or(&mount);
    if name.starts_with("auth/") || name.ends_with("/login") {
        return format!(
            "Write {} as auth/NAME, with one auth/ and without /login (now {}).",
            keys.auth_path(),
            scene.auth.mount
        );
    }
    let namespace = scene.client.server().namespace.as_deref().unwrap_or("none");
    format!(
        "Enable it: `vault auth enable {}-path={name} {}`; or correct {} (now {mount}) or {} (now {namespace}).",
        flag(scene),
        scene.auth.method.name(),
        keys.auth_path(),
        keys.namespace(),
    )
}

fn mount_other(scene: &Scene<'_>) -> String {
    let keys = Keys(scene.dialect);
    format!(
        "Point {} (now {}) at a mount of type {}: `vault auth list` shows them.",
        keys.auth_path(),
        scene.mount(),
        scene.auth.method.name()
    )
}

fn unconfigured(scene: &Scene<'_>) -> String {
    let setting = match scene.auth.method {
        AuthMethod::Jwt => "oidc_discovery_url=https://kubernetes.default.svc.cluster.local",
        _ => "kubernetes_host=https://kubernetes.default.svc",
    };
    format!(
        "Configure it: `vault write {}{}/config {setting}`, with the API server's URL as Vault reaches it.",
        flag(scene),
        scene.mount()
    )
}

fn role_missing(scene: &Scene<'_>) -> String {
    let (namespace, account) = scene.account();
    let audience = match scene.claims().map(Claims::audiences).as_deref() {
        Some([one]) => format!(" audience={one}"),
        _ => String::new(),
    };
    format!(
        "Create it: `vault write {} {NAMES}={account} {NAMESPACES}={namespace}{audience} token_policies=POLICY`; or correct {} (now {}).",
        role_path(scene),
        Keys(scene.dialect).role(),
        scene.auth.role,
    )
}

fn not_bound(scene: &Scene<'_>, field: &str, name: &str, star: Star) -> String {
    let quoted = match star {
        Star::Unknown => " (a role that holds \"*\" with its quotes is bound to nobody)",
        _ => "",
    };
    format!("Add {name} to {field} of the role: `vault read {}` shows who is bound{quoted}.", role_path(scene))
}

fn literal_star(scene: &Scene<'_>, field: &str) -> String {
    format!(
        "The role holds \"*\" with its quotes, which is no wildcard. Write it bare: `vault write {} {field}='*'`.",
        role_path(scene)
    )
}

fn audience(scene: &Scene<'_>) -> String {
    let wanted = format!("`vault read {}` shows what the role wants", role_path(scene));
    let keys = Keys(scene.dialect);
    match scene.claims().map(Claims::audiences).as_deref() {
        Some([one]) => format!(
            "The token's audience is {one}; {wanted}. Change the role: `vault write {} audience={one}`; or the token's, by {}.",
            role_path(scene),
            keys.audience()
        ),
        Some(several) => format!(
            "The token's audiences are {}; {wanted}. Make them meet, by the role or by {}.",
            list(several),
            keys.audience()
        ),
        None => format!("{wanted}. Make the token's the same, by {}.", keys.audience()),
    }
}

fn dates() -> String {
    "Compare the clocks of node and Vault, and check that the kubelet renews the token volume.".to_owned()
}

fn issuer(scene: &Scene<'_>) -> String {
    let issuer = scene.claims().and_then(Claims::issuer).unwrap_or("unknown");
    format!(
        "The token's issuer is {issuer}. Make the method take it: `vault write {}{}/config issuer={issuer}`, with its other fields.",
        flag(scene),
        scene.mount()
    )
}

fn review(scene: &Scene<'_>, sure: bool) -> String {
    let own = scene.claims().map(Claims::audiences).map_or_else(String::new, |audiences| {
        format!(
            " Without token_reviewer_jwt the pod's own token reviews, and needs the API server's audience; it has {}.",
            list(&audiences)
        )
    });
    let cidr = if sure { "" } else { " If the role has token_bound_cidrs, the pod's address must be in them." };
    format!(
        "Vault could not have the token reviewed by Kubernetes. `vault read {}{}/config`: kubernetes_host must be the API server's URL as \
         Vault reaches it, kubernetes_ca_cert its CA, and the reviewer may create tokenreviews (ClusterRole system:auth-delegator).{own}{cidr}",
        flag(scene),
        scene.mount()
    )
}

fn list(items: &[&str]) -> String {
    format!("[{}]", items.join(", "))
}
