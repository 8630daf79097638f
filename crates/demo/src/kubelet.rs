//! The kubelet's part: a container's environment, and the values of its projected tokens.

use std::path::PathBuf;

use serde_json::Value;

use crate::failure::{Doing as _, Failure};

/// The audience of a projected token that names none: the API server's own.
const API_AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// A token the kubelet puts into a volume.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProjectedToken {
    /// Where the container sees it.
    pub path: PathBuf,
    pub audience: String,
}

/// Finds a container, init or not.
pub(crate) fn container<'p>(pod: &'p Value, name: &str) -> Option<&'p Value> {
    containers(pod).find(|container| container["name"] == name)
}

/// All containers, init ones first.
pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"].into_iter().filter_map(|list| pod["spec"][list].as_array()).flatten()
}

/// The container's variables in their order, each value expanded with those before it.
///
/// # Errors
/// A variable whose value comes from elsewhere: the agent's never do.
pub(crate) fn environment(container: &Value) -> Result<Vec<(String, String)>, Failure> {
    let mut known: Vec<(String, String)> = Vec::new();
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().doing("reading a variable's name")?;
        if variable.get("valueFrom").is_some_and(|from| !from.is_null()) {
            return Err(Failure::of(format!("setting {name}"), &"this kubelet knows no valueFrom"));
        }
        let value = expand(variable["value"].as_str().unwrap_or_default(), &known);
        known.push((name.to_owned(), value));
    }
    Ok(known)
}

/// `$(NAME)` is replaced when it is known, `$$` is `$`, and everything else stays (Kubernetes API, `EnvVar.value`).
fn expand(value: &str, known: &[(String, String)]) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let name = from.strip_prefix("$(").and_then(|tail| tail.split_once(')')).map(|(name, _)| name);
        let length = match name {
            _ if from.starts_with("$$") => {
                out.push('$');
                2
            }
            Some(name) => {
                let whole = name.len() + 3;
                match known.iter().rev().find(|(key, _)| key == name) {
                    Some((_, found)) => out.push_str(found),
                    None => out.push_str(from.get(..whole).unwrap_or_default()),
                }
                whole
            }
            None => {
                out.push('$');
                1
            }
        };
        rest = from.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Mount paths of a container, with the pod's volume of each.
pub(crate) fn mounts<'p>(pod: &'p Value, container: &'p Value) -> Vec<(PathBuf, &'p Value)> {
    let volumes = pod["spec"]["volumes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mount = |mount: &'p Value| {
        let path = PathBuf::from(mount["mountPath"].as_str()?);
        Some((path, volumes.iter().find(|volume| volume["name"] == mount["name"])?))
    };
    container["volumeMounts"].as_array().into_iter().flatten().filter_map(mount).collect()
}

/// The service account tokens among a container's mounts.
pub(crate) fn tokens(pod: &Value, container: &Value) -> Vec<ProjectedToken> {
    let mut tokens = Vec::new();
    for (path, volume) in mounts(pod, container) {
        let sources = volume["projected"]["sources"].as_array().into_iter().flatten();
        for token in sources.filter_map(|source| source.get("serviceAccountToken")) {
            tokens.push(ProjectedToken {
                path: path.join(token["path"].as_str().unwrap_or("token")),
                audience: token["audience"].as_str().unwrap_or(API_AUDIENCE).to_owned(),
            });
        }
    }
    tokens
}

/// Uid and gid of a container: its own, else the pod's, else 65532.
pub(crate) fn identity(pod: &Value, container: &Value) -> (u64, u64) {
    let id = |field: &str| {
        let own = container["securityContext"][field].as_u64();
        own.or_else(|| pod["spec"]["securityContext"][field].as_u64()).unwrap_or(65_532)
    };
    (id("runAsUser"), id("runAsGroup"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expands_as_the_kubelet_does() {
        let known = [("A".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())];
        for (value, want) in [
            ("$(A)", "2"),
            ("$$(A)", "$(A)"),
            ("$(B)", "$(B)"),
            ("$", "$"),
            ("a$b$(A)c", "a$b2c"),
            ("$$$$", "$$"),
            ("$(A", "$(A"),
            ("{\"x\":\"\\u0024(A)\"}", "{\"x\":\"\\u0024(A)\"}"),
        ] {
            assert_eq!(expand(value, &known), want, "{value}");
        }
    }

    #[test]
    fn reads_environment_tokens_and_identity() {
        let pod = json!({ "spec": {
            "securityContext": { "runAsGroup": 7 },
            "volumes": [{ "name": "t", "projected": { "sources": [{ "serviceAccountToken": { "path": "token", "audience": "vault" } }] } }],
            "initContainers": [{
                "name": "a",
                "env": [{ "name": "X", "value": "1" }, { "name": "Y", "value": "$(X)2" }],
                "securityContext": { "runAsUser": 5 },
                "volumeMounts": [{ "name": "t", "mountPath": "/run/t" }],
            }],
        } });
        let one = container(&pod, "a").unwrap();
        assert_eq!(environment(one).unwrap(), [("X".into(), "1".into()), ("Y".into(), "12".into())]);
        assert_eq!(tokens(&pod, one), [ProjectedToken { path: "/run/t/token".into(), audience: "vault".into() }]);
        assert_eq!(identity(&pod, one), (5, 7));
    }
}
