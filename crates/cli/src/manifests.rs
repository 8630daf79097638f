//! `sidekey manifests`: the manifests of `deploy/base`, with names and images filled in.

use serde_json::{Value, json};
use sidekey_core::{Cause, Code};
use sidekey_inject::Settings;
use sidekey_inject::registry::{Field, NATIVE, OPENBAO, VAULT};
use sidekey_inject::settings::Prefix;

use crate::args::{ManifestsArgs, Version};
use crate::documents;
use crate::error::Error;
use crate::ordered::Document;

/// The first version that has `matchConditions`: without them every pod of the cluster would depend on the webhook.
const OLDEST: Version = Version { major: 1, minor: 28 };

const SHIPPED: [&str; 7] = [
    include_str!("../../../deploy/base/namespace.yaml"),
    include_str!("../../../deploy/base/rbac.yaml"),
    include_str!("../../../deploy/base/settings.yaml"),
    include_str!("../../../deploy/base/service.yaml"),
    include_str!("../../../deploy/base/deployment.yaml"),
    include_str!("../../../deploy/base/disruption.yaml"),
    include_str!("../../../deploy/base/webhook.yaml"),
];

/// The namespace in the shipped files.
const NAMESPACE: &str = "sidekey";

pub(crate) fn run(args: &ManifestsArgs) -> Result<(), Error> {
    if let Some(version) = args.kubernetes_version.filter(|version| *version < OLDEST) {
        let answer = format!("Kubernetes {}.{} has no matchConditions", version.major, version.minor);
        let cause =
            Cause::new(Code::NotSupported, "printing the manifests", answer).with_fix("Use Kubernetes 1.28 or later.");
        return Err(Error::Failed(cause.to_string()));
    }
    crate::write(&documents::print(&render(args)?)?)
}

fn render(args: &ManifestsArgs) -> Result<Vec<Document>, Error> {
    let (text, settings) = settings(args)?;
    let mut documents = Vec::new();
    for text in SHIPPED {
        documents.extend(documents::parse(text).map_err(Error::Failed)?);
    }
    for Document { value, .. } in &mut documents {
        rename(value, &args.namespace);
        match value["kind"].as_str() {
            Some("ConfigMap") => value["data"]["settings.yaml"] = json!(text),
            Some("MutatingWebhookConfiguration") => {
                value["webhooks"][0]["matchConditions"][0]["expression"] = json!(asks(&settings.dialects));
            }
            Some("Deployment") => deployment(value, args),
            _ => {}
        }
    }
    Ok(documents)
}

/// In CEL, a pod with the switch of a dialect that is served; the chart writes the same. Pods of another injector must not
/// depend on this webhook.
fn asks(served: &[Prefix]) -> String {
    let row = Field::Inject.row();
    let name = |prefix: Prefix| match prefix {
        Prefix::Native => (NATIVE, row.native),
        Prefix::Vault => (VAULT, row.vault),
        Prefix::Openbao => (OPENBAO, row.vault),
    };
    let switch = |prefix| {
        let (prefix, key) = name(prefix);
        key.map(|key| format!("'{prefix}{}' in object.metadata.annotations", key.name))
    };
    let all = [Prefix::Native, Prefix::Vault, Prefix::Openbao];
    let switches: Vec<_> = all.into_iter().filter(|prefix| served.contains(prefix)).filter_map(switch).collect();
    let any = if switches.is_empty() { "false".to_owned() } else { switches.join(" || ") };
    format!("has(object.metadata.annotations) && ( {any})")
}

/// The settings file to install, and what it says: the user's own, checked, or the shipped one with what the flags say.
fn settings(args: &ManifestsArgs) -> Result<(String, Settings), Error> {
    if let Some(path) = &args.settings {
        let settings = sidekey_webhook::settings::load(path).map_err(Error::Input)?;
        let text = std::fs::read_to_string(path).map_err(|error| Error::Failed(error.to_string()))?;
        return Ok((text, settings));
    }
    let defaults = Settings::default();
    let image = args.agent_image.as_ref().unwrap_or(&defaults.agent_image);
    let address = args.vault_address.as_ref().unwrap_or(&defaults.vault_address);
    let mut text = format!("agentImage: {}\nvaultAddress: {}\n", quoted(image), quoted(address));
    if let Some(policy) = &args.image_pull_policy {
        text.push_str(&format!("imagePullPolicy: {}\n", quoted(policy)));
    }
    let settings = Settings::from_yaml(&text).map_err(|error| Error::Input(error.into()))?;
    Ok((text, settings))
}

/// Plain where YAML reads it back as it is; every JSON string is YAML.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "./:-_@".contains(c);
    let is_plain =
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain) && !text.ends_with(':');
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}

fn deployment(value: &mut Value, args: &ManifestsArgs) {
    let container = &mut value["spec"]["template"]["spec"]["containers"][0];
    if let Some(image) = &args.image {
        container["image"] = json!(image);
    }
    if let Some(policy) = &args.image_pull_policy {
        container["imagePullPolicy"] = json!(policy);
    }
    if let Some(replicas) = args.replicas {
        value["spec"]["replicas"] = json!(replicas);
    }
}

/// Every place where a manifest names the namespace.
fn rename(value: &mut Value, namespace: &str) {
    if value["kind"] == "Namespace" {
        value["metadata"]["name"] = json!(namespace);
    }
    each(value, &mut |key, member| match key {
        "namespace" if member == NAMESPACE => *member = json!(namespace),
        "values" => {
            for excluded in member.as_array_mut().into_iter().flatten().filter(|value| *value == NAMESPACE) {
                *excluded = json!(namespace);
            }
        }
        _ => {}
    });
}

fn each(value: &mut Value, change: &mut impl FnMut(&str, &mut Value)) {
    match value {
        Value::Object(map) => {
            for (key, member) in map {
                change(key, member);
                each(member, change);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, change)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use sidekey_inject::registry::TABLE;

    use super::*;
    use crate::args::{Cli, Command};

    fn rendered(flags: &[&str]) -> Vec<Value> {
        let line = ["sidekey", "manifests"].iter().chain(flags);
        let Command::Manifests(args) = Cli::try_parse_from(line).unwrap().command else { panic!() };
        render(&args).unwrap().into_iter().map(|document| document.value).collect()
    }

    fn find(documents: &[Value], kind: &str) -> Value {
        documents.iter().find(|document| document["kind"] == kind).unwrap().clone()
    }

    #[test]
    fn prints_the_shipped_files_unless_told_otherwise() {
        let shipped: Vec<_> =
            SHIPPED.iter().flat_map(|text| documents::parse(text).unwrap()).map(|document| document.value).collect();
        assert_eq!(rendered(&[]), shipped);
    }

    #[test]
    fn no_object_is_left_in_another_namespace() {
        let documents = rendered(&["--namespace", "platform"]);
        for document in &documents {
            let mut each_namespace = Vec::new();
            each(&mut document.clone(), &mut |key, value| {
                if key == "namespace" {
                    each_namespace.push(value.clone());
                }
            });
            assert!(each_namespace.iter().all(|namespace| namespace == "platform"), "{document:#}");
        }
        assert_eq!(find(&documents, "Namespace")["metadata"]["name"], "platform");
        let hooks = find(&documents, "MutatingWebhookConfiguration");
        let excluded = &hooks["webhooks"][0]["namespaceSelector"]["matchExpressions"][0]["values"];
        assert!(excluded.as_array().unwrap().contains(&json!("platform")));
    }

    #[test]
    fn flags_reach_deployment_and_settings() {
        let flags = ["--image", "r.test/sidekey:1", "--agent-image", "r.test/agent:1", "--replicas", "3"];
        let documents =
            rendered(&[&flags[..], &["--vault-address", "https://v:1", "--image-pull-policy", "Always"]].concat());
        let deployment = find(&documents, "Deployment");
        assert_eq!(deployment["spec"]["replicas"], 3);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            (&container["image"], &container["imagePullPolicy"]),
            (&json!("r.test/sidekey:1"), &json!("Always"))
        );
        let settings = find(&documents, "ConfigMap")["data"]["settings.yaml"].as_str().unwrap().to_owned();
        let settings = Settings::from_yaml(&settings).unwrap();
        assert_eq!((&*settings.agent_image, &*settings.vault_address), ("r.test/agent:1", "https://v:1"));
    }

    #[test]
    fn the_webhook_is_called_for_the_switch_of_every_dialect_and_for_nothing_else() {
        let hooks = find(&rendered(&[]), "MutatingWebhookConfiguration");
        let conditions = hooks["webhooks"][0]["matchConditions"].as_array().unwrap();
        let expression = conditions[0]["expression"].as_str().unwrap();
        let mut named: Vec<_> = expression.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
        named.sort();
        let switch = TABLE.iter().find(|row| row.native.is_some_and(|key| key.pattern == "inject")).unwrap();
        let vault = switch.vault.unwrap().pattern;
        let mut wanted = vec![format!("{NATIVE}inject"), format!("{VAULT}{vault}"), format!("{OPENBAO}{vault}")];
        wanted.sort();
        assert_eq!((conditions.len(), named), (1, wanted));
        assert!(expression.starts_with("has(object.metadata.annotations) && ("));
    }

    #[test]
    fn pods_of_a_dialect_that_is_not_served_are_not_sent() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let condition = |dialects: &str| {
            std::fs::write(file.path(), format!("dialects: {dialects}\n")).unwrap();
            let hooks = find(&rendered(&["--settings", file.path().to_str().unwrap()]), "MutatingWebhookConfiguration");
            hooks["webhooks"][0]["matchConditions"][0]["expression"].as_str().unwrap().to_owned()
        };
        let native = "has(object.metadata.annotations) && ( 'sidekey.dev/inject' in object.metadata.annotations)";
        assert_eq!(condition("[sidekey.dev]"), native);
        let both = "has(object.metadata.annotations) && ( 'sidekey.dev/inject' in object.metadata.annotations || \
                    'openbao.org/agent-inject' in object.metadata.annotations)";
        assert_eq!(condition("[openbao.org, sidekey.dev]"), both);
        assert_eq!(condition("[]"), "has(object.metadata.annotations) && ( false)");
    }
}
