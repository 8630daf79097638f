//! Who may do what on which path (developer.hashicorp.com/vault/docs/concepts/policies).

use std::collections::{BTreeMap, BTreeSet};

use crate::ask::Operation;

/// Paths and capabilities of one policy.
pub(crate) type Policy = Vec<(String, BTreeSet<String>)>;

/// What a token with the built-in `default` policy may do here.
const DEFAULT: &[(&str, &[&str])] = &[
    ("auth/token/lookup-self", &["read"]),
    ("auth/token/renew-self", &["update"]),
    ("auth/token/revoke-self", &["update"]),
    ("sys/capabilities-self", &["update"]),
    ("sys/internal/ui/resultant-acl", &["read"]),
    ("sys/renew", &["update"]),
    ("sys/leases/renew", &["update"]),
    ("sys/leases/lookup", &["update"]),
    ("cubbyhole/*", &["create", "read", "update", "delete", "list"]),
];

/// All policies by name.
pub(crate) struct Policies(BTreeMap<String, Policy>);

impl Policies {
    pub(crate) fn new() -> Self {
        let mut policies = Self(BTreeMap::new());
        policies.set("default", DEFAULT);
        policies
    }

    pub(crate) fn set(&mut self, name: &str, rules: &[(&str, &[&str])]) {
        let rule = |(path, capabilities): &(&str, &[&str])| {
            ((*path).to_owned(), capabilities.iter().map(|capability| (*capability).to_owned()).collect())
        };
        self.0.insert(name.to_owned(), rules.iter().map(rule).collect());
    }

    /// Sorted capabilities on an API path; `["deny"]` for none, `["root"]` for the root policy.
    pub(crate) fn capabilities(&self, names: &BTreeSet<String>, path: &str) -> Vec<String> {
        if names.contains("root") {
            return vec!["root".to_owned()];
        }
        let rules = names.iter().filter_map(|name| self.0.get(name)).flatten();
        let matching: Vec<_> = rules.filter(|(pattern, _)| matches(pattern, path)).collect();
        let best = matching.iter().map(|(pattern, _)| rank(pattern)).max();
        let granted: BTreeSet<String> = matching
            .iter()
            .filter(|(pattern, _)| Some(rank(pattern)) == best)
            .flat_map(|(_, capabilities)| capabilities.iter().cloned())
            .collect();
        if granted.is_empty() || granted.contains("deny") {
            vec!["deny".to_owned()]
        } else {
            granted.into_iter().collect()
        }
    }

    /// Whether the operation is allowed.
    pub(crate) fn allow(&self, names: &BTreeSet<String>, operation: Operation, path: &str) -> bool {
        let has = |path: &str, wanted: &[&str]| {
            self.capabilities(names, path).iter().any(|has| has == "root" || wanted.contains(&has.as_str()))
        };
        match operation {
            Operation::Read => has(path, &["read"]),
            Operation::Write => has(path, &["create", "update"]),
            Operation::Delete => has(path, &["delete"]),
            Operation::List => has(path, &["list"]) || has(&format!("{path}/"), &["list"]),
            Operation::Other => has(path, &["patch"]),
        }
    }

    /// Whether any rule of these policies can concern something below a mount.
    pub(crate) fn concern(&self, names: &BTreeSet<String>, mount: &str) -> bool {
        let below = format!("{mount}/");
        let within = |pattern: &str| {
            let plain = pattern.split(['*', '+']).next().unwrap_or_default();
            plain.starts_with(&below) || (pattern.len() > plain.len() && below.starts_with(plain))
        };
        names.contains("root")
            || names
                .iter()
                .filter_map(|name| self.0.get(name))
                .flatten()
                .any(|(pattern, capabilities)| !capabilities.contains("deny") && within(pattern))
    }
}

/// `*` at the end is any rest, `+` is one whole segment.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, open) = pattern.strip_suffix('*').map_or((pattern, false), |start| (start, true));
    let (mut wanted, mut seen) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), seen.next()) {
            (None, None) => return true,
            (None, Some(_)) => return false,
            (Some(last), Some(segment)) if open && wanted.clone().next().is_none() => {
                return last == "+" || segment.starts_with(last);
            }
            (Some(part), Some(segment)) if part == "+" || part == segment => {}
            _ => return false,
        }
    }
}

/// Order of Vault's documentation: a later first wildcard, no glob at the end, fewer `+`, a longer pattern wins.
fn rank(pattern: &str) -> (usize, bool, std::cmp::Reverse<usize>, usize, &str) {
    let first = pattern.find(['*', '+']).unwrap_or(usize::MAX);
    (first, !pattern.ends_with('*'), std::cmp::Reverse(pattern.matches('+').count()), pattern.len(), pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_most_specific_pattern_decides_and_deny_wins_in_it() {
        let mut policies = Policies::new();
        policies.set("a", &[("kv/*", &["read"]), ("kv/data/+/deep", &["read", "update"]), ("kv/secret*", &["list"])]);
        policies.set("b", &[("kv/data/x/deep", &["deny"]), ("kv/*", &["list"])]);
        for (held, path, want) in [
            (names(&["a"]), "kv/x", vec!["read"]),
            (names(&["a", "b"]), "kv/x", vec!["list", "read"]),
            (names(&["a"]), "kv/data/y/deep", vec!["read", "update"]),
            (names(&["a", "b"]), "kv/data/x/deep", vec!["deny"]),
            (names(&["a"]), "kv/secrets/x", vec!["list"]),
            (names(&["a"]), "other", vec!["deny"]),
            (names(&["missing"]), "kv/x", vec!["deny"]),
            (names(&["root"]), "kv/x", vec!["root"]),
        ] {
            assert_eq!(policies.capabilities(&held, path), want, "{held:?} {path}");
        }
        assert!(policies.allow(&names(&["a"]), Operation::Read, "kv/x"));
        assert!(!policies.allow(&names(&["a"]), Operation::Write, "kv/x"));
    }

    #[test]
    fn a_mount_is_visible_to_whoever_has_a_rule_below_it() {
        let mut policies = Policies::new();
        policies.set("a", &[("kv/data/x", &["read"]), ("+/data/y", &["read"])]);
        policies.set("b", &[("kv/data/x", &["read"])]);
        assert!(policies.concern(&names(&["b"]), "kv"));
        assert!(!policies.concern(&names(&["b"]), "k"));
        assert!(!policies.concern(&names(&["default"]), "kv"));
        assert!(policies.concern(&names(&["a"]), "other"));
    }
}
