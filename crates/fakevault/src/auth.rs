//! Login mounts: kubernetes in the plugin's own order of checks, jwt, and the way to the other methods.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::answer::{Answer, Envelope};
use crate::ask::{Ask, Operation};
use crate::jwt::{self, Claims};
use crate::spec::RoleSpec;
use crate::state::State;
use crate::token::Bearer;

/// Seconds a token may be used before and after its time.
const LEEWAY: u64 = 150;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthKind {
    Kubernetes,
    Jwt,
    AppRole,
    Cert,
    Aws,
}

impl AuthKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Jwt => "jwt",
            Self::AppRole => "approle",
            Self::Cert => "cert",
            Self::Aws => "aws",
        }
    }
}

pub(crate) struct AuthMount {
    pub kind: AuthKind,
    pub configured: bool,
    /// Whether the token review works: the reviewer's rights, the API server's address, its CA.
    pub reviewer: bool,
    pub roles: BTreeMap<String, RoleSpec>,
}

impl AuthMount {
    pub(crate) const fn new(kind: AuthKind) -> Self {
        Self { kind, configured: true, reviewer: true, roles: BTreeMap::new() }
    }
}

impl State {
    /// The mount a path belongs to, and the rest of the path.
    pub(crate) fn auth_mount<'p>(&self, path: &'p str) -> Option<(String, &'p str)> {
        self.auths.keys().rev().find_map(|mount| {
            let rest = path.strip_prefix(mount.as_str())?.strip_prefix('/')?;
            Some((mount.clone(), rest))
        })
    }

    /// `<mount>/login`, which needs no token.
    pub(crate) fn login(&mut self, mount: &str, ask: &Ask) -> Answer {
        if ask.operation != Operation::Write {
            return Answer::error(405, "unsupported operation");
        }
        let Some(auth) = self.auths.get(mount) else { return Answer::error(403, "permission denied") };
        let role_name = ask.text("role").unwrap_or_default();
        let by_claims = |checked: Result<(RoleSpec, Claims), Answer>| {
            checked.map(|(spec, claims)| (spec, bearer(auth.kind, mount, role_name, &claims)))
        };
        let by_role = |checked: Result<(String, RoleSpec), Answer>| {
            checked.map(|(role, spec)| (spec, plain_bearer(auth.kind, mount, &role)))
        };
        let checked = match auth.kind {
            AuthKind::Kubernetes => by_claims(self.check_kubernetes(auth, role_name, ask)),
            AuthKind::Jwt => by_claims(self.check_jwt(auth, role_name, ask)),
            AuthKind::AppRole => by_role(self.check_approle(auth, mount, ask)),
            AuthKind::Cert => by_role(self.check_cert(auth, ask)),
            AuthKind::Aws => by_role(self.check_aws(auth, role_name, ask)),
        };
        let (spec, bearer) = match checked {
            Ok(checked) => checked,
            Err(refused) => return refused,
        };
        let (id, ttl, warnings) = self.issue_token(&spec, bearer);
        let auth = self.tokens.get(&id).map_or(Value::Null, |token| token.auth(ttl, true, self.flavour));
        self.envelope(Envelope { auth, warnings, ..Envelope::default() })
    }

    fn check_kubernetes(&self, auth: &AuthMount, role: &str, ask: &Ask) -> Result<(RoleSpec, Claims), Answer> {
        if role.is_empty() {
            return Err(Answer::error(400, "missing role"));
        }
        let Some(token) = ask.text("jwt") else { return Err(Answer::error(400, "missing jwt")) };
        let Some(spec) = auth.roles.get(role) else {
            return Err(Answer::error(400, format!("invalid role name \"{role}\"")));
        };
        if !auth.configured {
            return Err(Answer::error(500, "could not load backend configuration"));
        }
        let refuse = |text: &str| Answer::error(403, text);
        let claims = jwt::read(&self.jwt_key, token).ok_or_else(|| refuse("permission denied"))?;
        if spec.audience.as_ref().is_some_and(|wanted| !claims.audience.contains(wanted)) {
            return Err(refuse("invalid audience (aud) claim: audience claim does not match any expected audience"));
        }
        let now = self.clock.unix(self.clock.now());
        if claims.expires + LEEWAY < now {
            return Err(refuse("invalid expiration time (exp) claim: token is expired"));
        }
        if claims.not_before > now + LEEWAY {
            return Err(refuse("invalid not before (nbf) claim: token not yet valid"));
        }
        if !bound(&spec.service_accounts, &claims.service_account) {
            return Err(refuse("service account name not authorized"));
        }
        if !bound(&spec.namespaces, &claims.namespace) {
            return Err(refuse("namespace not authorized"));
        }
        if !auth.reviewer || !claims.signed || self.deleted(&claims) {
            return Err(refuse("permission denied"));
        }
        Ok((spec.clone(), claims))
    }

    fn check_jwt(&self, auth: &AuthMount, role: &str, ask: &Ask) -> Result<(RoleSpec, Claims), Answer> {
        let refuse = |text: &str| Answer::error(400, text);
        if role.is_empty() {
            return Err(refuse("missing role"));
        }
        let Some(spec) = auth.roles.get(role) else {
            return Err(Answer::error(400, format!("role \"{role}\" could not be found")));
        };
        let Some(token) = ask.text("jwt") else { return Err(refuse("missing token")) };
        if !auth.configured {
            return Err(refuse("could not load configuration"));
        }
        let now = self.clock.unix(self.clock.now());
        let claims = jwt::read(&self.jwt_key, token)
            .filter(|claims| claims.signed)
            .ok_or_else(|| refuse("error validating token: no known key successfully validated the token signature"))?;
        if claims.expires + LEEWAY < now {
            return Err(refuse("error validating token: invalid expiration time (exp) claim: token is expired"));
        }
        match &spec.audience {
            None if !claims.audience.is_empty() => {
                return Err(refuse("audience claim found in JWT but no audiences bound to the role"));
            }
            Some(wanted) if !claims.audience.contains(wanted) => {
                let text = "error validating token: invalid audience (aud) claim: audience claim does not match any expected audience";
                return Err(refuse(text));
            }
            _ => {}
        }
        if !bound(&spec.service_accounts, &claims.service_account) || !bound(&spec.namespaces, &claims.namespace) {
            return Err(refuse(
                "error validating claims: claim \"sub\" does not match any associated bound claim values",
            ));
        }
        Ok((spec.clone(), claims))
    }

    fn deleted(&self, claims: &Claims) -> bool {
        self.deleted_accounts.contains(&(claims.namespace.clone(), claims.service_account.clone()))
    }

    /// What an operator may read of a login mount.
    pub(crate) fn auth_route(&mut self, mount: &str, rest: &str, operation: Operation) -> Answer {
        let Some(auth) = self.auths.get(mount) else { return Answer::unsupported_path() };
        let kind = auth.kind.name();
        match (rest.split_once('/').unwrap_or((rest, "")), operation) {
            (("role", ""), Operation::List) => {
                let names: BTreeSet<_> = auth.roles.keys().cloned().collect();
                self.keys(&names, kind)
            }
            (("role", name), Operation::Read) if !name.is_empty() => match auth.roles.get(name) {
                Some(role) => {
                    let data = describe(role);
                    self.data(data, kind)
                }
                None => Answer::nothing(),
            },
            (("config", ""), Operation::Read) if !auth.configured => Answer::nothing(),
            (("config", ""), Operation::Read) => {
                let data = json!({ "disable_iss_validation": true, "kubernetes_host": "https://kubernetes.default.svc", "token_reviewer_jwt_set": false });
                self.data(data, kind)
            }
            (("role" | "config" | "login", _), _) => Answer::unsupported_operation(),
            _ => Answer::unsupported_path(),
        }
    }
}

fn bearer(kind: AuthKind, mount: &str, role: &str, claims: &Claims) -> Bearer {
    let metadata = [
        ("role", role),
        ("service_account_name", &claims.service_account),
        ("service_account_namespace", &claims.namespace),
        ("service_account_secret_name", ""),
        ("service_account_uid", &claims.uid),
    ];
    Bearer {
        path: format!("{mount}/login"),
        display_name: format!("{}-{}-{}", kind.name(), claims.namespace, claims.service_account),
        metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        entity_id: claims.uid.clone(),
        role: Some((mount.to_owned(), role.to_owned())),
    }
}

fn plain_bearer(kind: AuthKind, mount: &str, role: &str) -> Bearer {
    Bearer {
        path: format!("{mount}/login"),
        display_name: format!("{}-{role}", kind.name()),
        role: Some((mount.to_owned(), role.to_owned())),
        ..Bearer::default()
    }
}

/// `*` as the only entry is everything; else each entry is a name or a glob with `*` at its start or end.
pub(crate) fn bound(entries: &[String], name: &str) -> bool {
    let glob = |entry: &String| match (entry.strip_prefix('*'), entry.strip_suffix('*')) {
        _ if entry == "*" => false,
        (Some(middle), Some(_)) => name.contains(middle.trim_end_matches('*')),
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => entry == name,
    };
    matches!(entries, [only] if only == "*") || entries.iter().any(glob)
}

fn describe(role: &RoleSpec) -> Value {
    json!({
        "alias_name_source": "serviceaccount_uid",
        "audience": role.audience,
        "bound_service_account_names": role.service_accounts,
        "bound_service_account_namespace_selector": "",
        "bound_service_account_namespaces": role.namespaces,
        "token_explicit_max_ttl": role.explicit_max_ttl.as_secs(),
        "token_max_ttl": role.max_ttl.as_secs(),
        "token_no_default_policy": role.no_default_policy,
        "token_num_uses": role.num_uses,
        "token_period": role.period.as_secs(),
        "token_policies": role.policies,
        "token_ttl": role.ttl.as_secs(),
        "token_type": if role.batch { "batch" } else { "default" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lone_star_binds_everything() {
        let entries = |list: &[&str]| list.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
        for (list, name, want) in [
            (&["*"][..], "web", true),
            (&["\"*\""], "web", false),
            (&["api", "*"], "web", false),
            (&["web-*"], "web-1", true),
            (&["*-web"], "my-web", true),
            (&[], "web", false),
        ] {
            assert_eq!(bound(&entries(list), name), want, "{list:?} {name}");
        }
    }
}
