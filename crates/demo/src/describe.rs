//! A patch as a person reads it: what the pod has now that it had not, by kind and name.

use serde_json::{Value, json};

use crate::kubelet;

/// Lines under a label, in the order a pod is read.
pub(crate) struct Change {
    pub label: String,
    pub lines: Vec<String>,
}

/// What `after` has that `before` had not.
pub(crate) fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut all = Vec::new();
    for list in ["initContainers", "containers"] {
        for container in added(&before["spec"][list], &after["spec"][list]) {
            all.push(Change { label: "+ container".to_owned(), lines: describe_container(list, container) });
        }
    }
    let volumes: Vec<_> = added(&before["spec"]["volumes"], &after["spec"]["volumes"]).map(describe_volume).collect();
    all.push(Change { label: "+ volumes".to_owned(), lines: aligned(volumes) });
    let mut mounts = Vec::new();
    for old in kubelet::containers(before) {
        let name = text(&old["name"]);
        let new = kubelet::container(after, name).map_or(&Value::Null, |new| &new["volumeMounts"]);
        mounts.extend(
            added(&old["volumeMounts"], new).map(describe_mount).map(|(path, what)| (format!("{name}: {path}"), what)),
        );
    }
    all.push(Change { label: "+ mounts".to_owned(), lines: aligned(mounts) });
    let (old, new) = (&before["metadata"]["annotations"], &after["metadata"]["annotations"]);
    let notes = new.as_object().into_iter().flatten().filter(|(key, value)| old.get(key) != Some(value));
    let notes = notes.map(|(key, value)| format!("{key}: {}", text(value))).collect();
    all.push(Change { label: "+ annotation".to_owned(), lines: notes });
    all.push(Change { label: "other".to_owned(), lines: other(before, after) });
    all.retain(|change| !change.lines.is_empty());
    all
}

/// Pointers of what changed besides what [`changes`] shows; a person must not be kept in the dark.
fn other(before: &Value, after: &Value) -> Vec<String> {
    let mut rest = after.clone();
    for list in ["initContainers", "containers", "volumes"] {
        keep_known(&mut rest["spec"], &before["spec"], list);
    }
    for list in ["initContainers", "containers"] {
        for container in rest["spec"][list].as_array_mut().into_iter().flatten() {
            let name = text(&container["name"]).to_owned();
            if let Some(old) = kubelet::container(before, &name) {
                keep_known(container, old, "volumeMounts");
            }
        }
    }
    rest["metadata"]["annotations"] = before["metadata"]["annotations"].clone();
    prune(&mut rest);
    let mut plain = before.clone();
    prune(&mut plain);
    json_patch::diff(&plain, &rest).0.iter().map(|operation| operation.path().to_string()).collect()
}

/// Drops from a list what `old` had not.
fn keep_known(new: &mut Value, old: &Value, list: &str) {
    let known = old[list].as_array().cloned().unwrap_or_default();
    if let Some(entries) = new.get_mut(list).and_then(Value::as_array_mut) {
        entries.retain(|entry| known.iter().any(|one| same(one, entry)));
    }
}

/// Removes empty lists and nulls, which mean the same as nothing.
fn prune(value: &mut Value) {
    let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|_, field| !empty(field));
        }
        Value::Array(list) => list.iter_mut().for_each(prune),
        _ => {}
    }
}

fn added<'v>(before: &'v Value, after: &'v Value) -> impl Iterator<Item = &'v Value> {
    let known = before.as_array().map(Vec::as_slice).unwrap_or_default();
    after.as_array().into_iter().flatten().filter(|entry| !known.iter().any(|one| same(one, entry)))
}

/// Containers and volumes are the same by name, mounts by path.
fn same(one: &Value, other: &Value) -> bool {
    if one.get("mountPath").is_some() { one["mountPath"] == other["mountPath"] } else { one["name"] == other["name"] }
}

fn describe_container(list: &str, container: &Value) -> Vec<String> {
    let kind = match (list, text(&container["restartPolicy"])) {
        ("initContainers", "Always") => "native sidecar: starts before the app, ends after it",
        ("initContainers", _) => "init container: runs to its end before the app",
        _ => "sidecar beside the app",
    };
    let mut rows = vec![("image", text(&container["image"]).to_owned())];
    rows.push(("runs", words(&container["args"])));
    let env = container["env"].as_array().into_iter().flatten();
    let env: Vec<_> = env.map(|one| format!("{} ({} bytes)", text(&one["name"]), text(&one["value"]).len())).collect();
    rows.push(("env", env.join(", ")));
    rows.push(("identity", security(&container["securityContext"])));
    rows.push(("resources", resources(&container["resources"])));
    rows.push(("startup", words(&container["startupProbe"]["exec"]["command"])));
    let mounts: Vec<_> = container["volumeMounts"].as_array().into_iter().flatten().map(describe_mount).collect();
    let mut lines = vec![format!("{}: {kind}", text(&container["name"]))];
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    lines.extend(filled.map(|(key, value)| format!("  {key:9}  {value}")));
    for (index, mount) in aligned(mounts).into_iter().enumerate() {
        lines.push(format!("  {:9}  {mount}", if index == 0 { "mounts" } else { "" }));
    }
    lines
}

fn security(context: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(user) = context["runAsUser"].as_u64() {
        parts.push(format!("uid {user}, gid {}", context["runAsGroup"].as_u64().unwrap_or(0)));
    }
    let facts = [
        (context["readOnlyRootFilesystem"] == true, "read-only root"),
        (context["allowPrivilegeEscalation"] == false, "no escalation"),
        (context["capabilities"]["drop"] == json!(["ALL"]), "no capabilities"),
        (context["seccompProfile"]["type"] == "RuntimeDefault", "seccomp"),
    ];
    parts.extend(facts.iter().filter(|(holds, _)| *holds).map(|(_, name)| (*name).to_owned()));
    parts.join(", ")
}

fn resources(resources: &Value) -> String {
    let one = |name: &str| {
        let (request, limit) = (text(&resources["requests"][name]), text(&resources["limits"][name]));
        (!(request.is_empty() && limit.is_empty())).then(|| format!("{name} {request} to {limit}"))
    };
    ["cpu", "memory"].into_iter().filter_map(one).collect::<Vec<_>>().join(", ")
}

fn describe_volume(volume: &Value) -> (String, String) {
    let empty = &volume["emptyDir"];
    let what = if empty["medium"] == "Memory" {
        format!("memory, at most {}", text(&empty["sizeLimit"]))
    } else if let Some(token) = volume.pointer("/projected/sources/0/serviceAccountToken") {
        let audience = token["audience"].as_str().unwrap_or("the API server");
        format!("service account token for {audience}, {} s", token["expirationSeconds"])
    } else {
        volume.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).filter(|key| *key != "name").collect()
    };
    (text(&volume["name"]).to_owned(), what)
}

fn describe_mount(mount: &Value) -> (String, String) {
    let mode = if mount["readOnly"] == true { ", read-only" } else { "" };
    (text(&mount["mountPath"]).to_owned(), format!("{}{mode}", text(&mount["name"])))
}

fn aligned(rows: Vec<(String, String)>) -> Vec<String> {
    let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
    rows.into_iter().map(|(left, right)| format!("{left:width$}  {right}")).collect()
}

fn words(list: &Value) -> String {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_additions_by_kind_and_names_whatever_else_changed() {
        let before = json!({
            "metadata": { "annotations": { "a": "b" } },
            "spec": { "containers": [{ "name": "app", "volumeMounts": [{ "name": "x", "mountPath": "/x" }] }] },
        });
        let mut after = before.clone();
        after["metadata"]["annotations"]["status"] = json!("injected");
        after["spec"]["initContainers"] =
            json!([{ "name": "agent", "restartPolicy": "Always", "image": "i", "args": ["run"] }]);
        after["spec"]["volumes"] = json!([{ "name": "s", "emptyDir": { "medium": "Memory", "sizeLimit": "16Mi" } }]);
        let mount = json!({ "name": "s", "mountPath": "/secrets", "readOnly": true });
        after["spec"]["containers"][0]["volumeMounts"].as_array_mut().unwrap().push(mount);
        let labels = |after: &Value| changes(&before, after).into_iter().map(|change| change.label).collect::<Vec<_>>();
        assert_eq!(labels(&after), ["+ container", "+ volumes", "+ mounts", "+ annotation"]);
        let all = changes(&before, &after);
        assert_eq!(all[1].lines, ["s  memory, at most 16Mi"]);
        assert_eq!(all[2].lines, ["app: /secrets  s, read-only"]);

        after["spec"]["hostNetwork"] = json!(true);
        after["spec"]["containers"][0]["image"] = json!("other");
        let last = changes(&before, &after).pop().unwrap();
        assert_eq!(
            (last.label.as_str(), last.lines),
            ("other", vec!["/spec/containers/0/image".into(), "/spec/hostNetwork".into()])
        );
    }
}
