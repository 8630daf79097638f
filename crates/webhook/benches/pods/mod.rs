//! The pods that are measured, and what is expected of each.

use serde_json::{Value, json};

use crate::support::pod;

/// One pod.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) pod: fn() -> Value,
    /// Whether it gets a patch.
    pub(crate) patched: bool,
    /// Reviews a second while the latency is measured.
    pub(crate) rate: u32,
    /// Admissions per CPU-second that are wanted.
    pub(crate) budget: f64,
    /// The fewest that may ever be.
    pub(crate) floor: f64,
    /// Longest p99, in milliseconds.
    pub(crate) wait: f64,
}

const SMALL: Case = Case { name: "", pod, patched: true, rate: 500, budget: 15_000.0, floor: 9_000.0, wait: 2.0 };

pub(crate) const CASES: [Case; 4] = [
    Case { name: "sidekey.dev, one format", ..SMALL },
    Case { name: "vault.hashicorp.com, one Go template", pod: vault_pod, ..SMALL },
    Case {
        name: "20 containers, 30 secrets",
        pod: large,
        rate: 100,
        budget: 1_500.0,
        floor: 1_000.0,
        wait: 5.0,
        ..SMALL
    },
    Case { name: "not annotated", pod: plain, patched: false, ..SMALL },
];

fn vault_pod() -> Value {
    let mut pod = pod();
    pod["metadata"]["annotations"] = json!({
        "vault.hashicorp.com/agent-inject": "true",
        "vault.hashicorp.com/role": "web",
        "vault.hashicorp.com/agent-inject-secret-db": "database/creds/app",
        "vault.hashicorp.com/agent-inject-template-db":
            "{{ with secret \"database/creds/app\" }}postgres://{{ .Data.username }}:{{ .Data.password }}@db{{ end }}",
    });
    pod
}

/// As large as pods come: every third file has a template, every fifth a directory of its own.
fn large() -> Value {
    let mut pod = pod();
    let annotations = pod["metadata"]["annotations"].as_object_mut().unwrap();
    for number in 0..30 {
        let (name, path) = (format!("file-{number}.env"), format!("secret/data/team/app-{number}"));
        if number % 3 == 0 {
            let template = format!(
                "{{{{#with (secret \"{path}\")}}}}URL=https://{{{{data.user}}}}:{{{{data.password}}}}@host{{{{/with}}}}"
            );
            annotations.insert(format!("sidekey.dev/template-{name}"), template.into());
        }
        if number % 5 == 0 {
            annotations.insert(format!("sidekey.dev/path-{name}"), format!("/run/files/{number}").into());
        }
        annotations.insert(format!("sidekey.dev/secret-{name}"), path.into());
    }
    let containers = pod["spec"]["containers"].as_array_mut().unwrap();
    let first = containers[0].clone();
    for number in 1..20 {
        let mut container = first.clone();
        container["name"] = format!("app-{number}").into();
        container["env"] = (0..10).map(|at| json!({"name": format!("NAME_{at}"), "value": "some value"})).collect();
        containers.push(container);
    }
    pod
}

fn plain() -> Value {
    let mut pod = pod();
    pod["metadata"]["annotations"] = json!({"prometheus.io/scrape": "true"});
    pod
}
