//! A stand-in of vault-k8s, whose agents start without the image of Vault: it reads switch and mark and writes containers and mark
//! as vault-k8s does (`agent-inject`, `agent-inject-status`, `vault-agent-init`, `vault-agent`), and renders nothing.

use serde_json::{Value, json};

use crate::stand_in::{StandIn, add};

/// The name of its webhook.
pub(crate) const HOOK: &str = "vault.hashicorp.com";

const SWITCH: &str = "vault.hashicorp.com/agent-inject";
const MARK: &str = "vault.hashicorp.com/agent-inject-status";

/// Its containers have this image, which has `probe`, or they do not start.
pub(crate) fn stand_in(image: &str) -> StandIn {
    let image = image.to_owned();
    StandIn::new(move |pod| inject(pod, &image))
}

fn inject(pod: &Value, image: &str) -> Vec<Value> {
    let annotation = |key: &str| pod["metadata"]["annotations"][key].as_str().unwrap_or_default();
    if annotation(SWITCH) != "true" || annotation(MARK) == "injected" {
        return Vec::new();
    }
    let append = |list: &str, name: &str, args: &[&str]| {
        let container = json!({"name": name, "image": image, "imagePullPolicy": "IfNotPresent", "args": args});
        add(pod, list, false, &container)
    };
    let mark =
        json!({"op": "add", "path": format!("/metadata/annotations/{}", MARK.replace('/', "~1")), "value": "injected"});
    let first = append("initContainers", "vault-agent-init", &["cat", "/etc/hostname"]);
    vec![first, append("containers", "vault-agent", &["sleep"]), mark]
}

/// Containers of the stand-in, and of Sidekey.
pub(crate) fn injectors(pod: &Value, image: &str) -> (usize, usize) {
    let lists = ["initContainers", "containers"].into_iter().flat_map(|list| pod["spec"][list].as_array());
    let agents = lists.flatten().filter(|it| it["name"].as_str().is_some_and(|name| name.contains("-agent")));
    let images: Vec<&str> = agents.filter_map(|it| it["image"].as_str()).collect();
    let count = |is: &dyn Fn(&str) -> bool| images.iter().filter(|image| is(image)).count();
    (count(&|it| it == image), count(&|it| it.contains("sidekey-agent")))
}
