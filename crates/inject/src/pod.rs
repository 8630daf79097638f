//! A pod as raw JSON, and the few questions that are asked of it. What is absent, null or of another shape is empty.

use serde_json::{Map, Value};
use sidekey_core::contract::{Dialect, ENV};

const NULL: Value = Value::Null;

/// A view that copies nothing.
#[derive(Clone, Copy)]
pub(crate) struct Pod<'a> {
    root: &'a Value,
    spec: &'a Value,
    regular: &'a [Value],
    init: &'a [Value],
    volumes: &'a [Value],
}

/// One of the two lists of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Regular,
    Init,
}

impl List {
    /// Its name below `spec`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Regular => "containers",
            Self::Init => "initContainers",
        }
    }
}

/// Names of our containers in a dialect.
pub(crate) struct Names {
    /// The native sidecar, and the classic one.
    pub(crate) agent: &'static str,
    /// The one-shot init container.
    pub(crate) init: &'static str,
}

impl Names {
    pub(crate) const fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Vault => Self { agent: "vault-agent", init: "vault-agent-init" },
            Dialect::Native => Self { agent: "sidekey-agent", init: "sidekey-agent-init" },
        }
    }

    fn has(&self, name: &str) -> bool {
        name == self.agent || name == self.init
    }
}

impl<'a> Pod<'a> {
    pub(crate) fn new(root: &'a Value) -> Self {
        let spec = root.get("spec").unwrap_or(&NULL);
        let (regular, init) = (items(spec, List::Regular.name()), items(spec, List::Init.name()));
        Self { root, spec, regular, init, volumes: items(spec, "volumes") }
    }

    pub(crate) fn annotations(&self) -> Option<&'a Map<String, Value>> {
        self.root.get("metadata")?.get("annotations")?.as_object()
    }

    pub(crate) fn phase(&self) -> &'a str {
        self.root.get("status").map_or("", |status| text(status, "phase"))
    }

    pub(crate) const fn containers(&self, list: List) -> &'a [Value] {
        match list {
            List::Regular => self.regular,
            List::Init => self.init,
        }
    }

    /// Both lists with their indexes, init containers first.
    pub(crate) fn all(&self) -> impl Iterator<Item = (List, usize, &'a Value)> {
        let of = |list: List| self.containers(list).iter().enumerate().map(move |(index, one)| (list, index, one));
        of(List::Init).chain(of(List::Regular))
    }

    pub(crate) const fn volumes(&self) -> &'a [Value] {
        self.volumes
    }

    pub(crate) fn pull_secrets(&self) -> &'a [Value] {
        items(self.spec, "imagePullSecrets")
    }

    pub(crate) fn service_account(&self) -> &'a str {
        let name = text(self.spec, "serviceAccountName");
        if name.is_empty() { "default" } else { name }
    }

    pub(crate) fn share_processes(&self) -> Option<bool> {
        self.spec.get("shareProcessNamespace")?.as_bool()
    }

    pub(crate) fn host_network(&self) -> bool {
        self.spec.get("hostNetwork").and_then(Value::as_bool).unwrap_or(false)
    }

    /// Whether the pod as a whole has a request or a limit for `what`.
    pub(crate) fn budgets(&self, what: &str) -> bool {
        let all = self.spec.get("resources");
        ["requests", "limits"].iter().any(|kind| all.and_then(|all| all.get(kind)?.get(what)).is_some())
    }

    pub(crate) fn windows(&self) -> bool {
        let os = self.spec.get("os").map_or("", |os| text(os, "name"));
        let selected = self.spec.get("nodeSelector").map_or("", |labels| text(labels, "kubernetes.io/os"));
        os == "windows" || selected == "windows"
    }

    /// The pod's own security context, for what a container does not say.
    pub(crate) fn security(&self, field: &str) -> Option<&'a Value> {
        self.spec.get("securityContext")?.get(field).filter(|value| !value.is_null())
    }

    pub(crate) fn fs_group(&self) -> Option<i64> {
        self.security("fsGroup")?.as_i64()
    }

    /// The id a container runs as, as far as it is declared.
    pub(crate) fn declared(&self, container: &Value, field: &str) -> Option<i64> {
        let own = container.get("securityContext").and_then(|context| context.get(field)).and_then(Value::as_i64);
        own.or_else(|| self.security(field)?.as_i64())
    }

    /// Where a container of ours is: named so, and with our contract in its environment.
    pub(crate) fn ours(&self, name: &str) -> Option<(List, usize)> {
        self.all()
            .find(|(_, _, one)| text(one, "name") == name && carries_contract(one))
            .map(|(list, index, _)| (list, index))
    }

    /// A container with a name of ours that is not ours.
    pub(crate) fn impostor(&self, names: &Names) -> Option<&'a str> {
        let mut all = self.all().map(|(_, _, one)| (text(one, "name"), one));
        all.find(|(name, one)| names.has(name) && !carries_contract(one)).map(|(name, _)| name)
    }
}

fn carries_contract(container: &Value) -> bool {
    items(container, "env").iter().any(|variable| text(variable, "name").starts_with(ENV))
}

/// Whether a container is one of ours, by name.
pub(crate) fn is_ours(container: &Value, names: &Names) -> bool {
    names.has(text(container, "name"))
}

/// A field's text, or nothing.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A field's items, or none.
pub(crate) fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
