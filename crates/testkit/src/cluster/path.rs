//! A URL's path, taken apart.

/// `/apis/GROUP/VERSION[/namespaces/NAMESPACE]/PLURAL[/NAME[/SUBRESOURCE]]`, or the same below `/api/v1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    pub(super) root: String,
    /// Empty for all namespaces.
    pub(super) namespace: String,
    pub(super) plural: String,
    /// Empty for a collection.
    pub(super) name: String,
    pub(super) subresource: String,
}

impl Place {
    pub(super) fn parse(path: &str) -> Self {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let depth = if parts.first() == Some(&"apis") { 3 } else { 2 };
        let (root, rest) = parts.split_at(depth.min(parts.len()));
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let part = |index: usize| rest.get(index).map(|part| (*part).to_owned()).unwrap_or_default();
        Self {
            root: format!("/{}", root.join("/")),
            namespace: namespace.to_owned(),
            plural: part(0),
            name: part(1),
            subresource: part(2),
        }
    }

    /// The path of one object of this collection; of one of the whole cluster without a namespace.
    pub(super) fn object(&self, namespace: &str, name: &str) -> String {
        if namespace.is_empty() {
            return format!("{}/{}/{name}", self.root, self.plural);
        }
        format!("{}/namespaces/{namespace}/{}/{name}", self.root, self.plural)
    }

    /// Whether an object's path lies in this collection.
    pub(super) fn holds(&self, path: &str) -> bool {
        let other = Self::parse(path);
        other.root == self.root
            && other.plural == self.plural
            && (self.namespace.is_empty() || other.namespace == self.namespace)
    }
}
