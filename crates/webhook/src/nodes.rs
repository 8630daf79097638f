//! Which kubelets the cluster has: a native sidecar needs 1.29 (KEP-753, on by default there) on every node, and env files are read
//! in one form or another.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sidekey_cluster::api::{Api, ApiError};
use sidekey_core::Code;
use sidekey_core::contract::EnvSyntax;
use tokio::time::sleep;

use crate::admit::Admission;
use crate::metrics::Metrics;

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(60);

/// The first minor version of Kubernetes 1 whose kubelet runs native sidecars unasked.
const NATIVE: u32 = 29;

/// The rows that kubectl prints, from the API server's cache and without the objects: a node's object is a hundred times
/// its row.
const PATH: &str = "/api/v1/nodes?includeObject=None&resourceVersion=0";
const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";

/// What all nodes have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// Native sidecars.
    pub native_sidecars: bool,
    /// Env files in this form.
    pub env_files: Option<EnvSyntax>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    column_definitions: Vec<Column>,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

#[derive(Deserialize)]
struct Row {
    cells: Vec<Value>,
}

/// Asks once. No nodes, or a version that cannot be read, is a no: the classic pair runs everywhere.
///
/// # Errors
/// [`ApiError`].
pub async fn look(api: &Api) -> Result<Nodes, ApiError> {
    api.get::<Table>(PATH, TABLE).await.map(|table| of(&table))
}

/// Keeps the admission's knowledge fresh, for ever. What was known stays when the API does not answer.
pub async fn follow(api: Api, admission: Arc<Admission>, metrics: Metrics, mut known: Option<Nodes>) {
    loop {
        metrics.native_sidecars.set(i64::from(known.is_some_and(|nodes| nodes.native_sidecars)));
        sleep(if known.is_some() { FRESH } else { FRESH / 10 }).await;
        match look(&api).await {
            Ok(now) if known != Some(now) => {
                let Nodes { native_sidecars, env_files } = now;
                tracing::info!(native_sidecars, ?env_files, "the nodes' kubelets have been looked at");
                admission.set_nodes(now);
                known = Some(now);
            }
            Ok(_) => {}
            Err(error) => {
                metrics.api_failed();
                tracing::warn!(cause = %error.cause(Code::KubernetesApi), "keeping what is known of the nodes");
            }
        }
    }
}

fn of(table: &Table) -> Nodes {
    let Some(column) = table.column_definitions.iter().position(|column| column.name == "Version") else {
        return Nodes::default();
    };
    let version = |row: &Row| row.cells.get(column).and_then(Value::as_str).and_then(minor).unwrap_or(0);
    let (oldest, newest) = (table.rows.iter().map(version).min(), table.rows.iter().map(version).max());
    let (oldest, newest) = (oldest.unwrap_or(0), newest.unwrap_or(0));
    Nodes { native_sidecars: oldest >= NATIVE, env_files: sidekey_inject::env_files(oldest, newest) }
}

/// Of Kubernetes 1; what comes after 1 is newer than all of it. Reads `v1.29.3`, `v1.30.1+k3s1`, `v1.29.0-gke.1000`; a release
/// candidate counts as its release.
fn minor(version: &str) -> Option<u32> {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
        digits.parse::<u32>().ok()
    });
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(1), Some(minor)) => Some(minor),
        (Some(2..), Some(_)) => Some(u32::MAX),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(versions: &[&str]) -> Table {
        let rows: Vec<_> =
            versions.iter().map(|version| json!({"cells": ["node", "Ready", "<none>", "1d", version]})).collect();
        let columns: Vec<_> =
            ["Name", "Status", "Roles", "Age", "Version"].iter().map(|name| json!({"name": name})).collect();
        serde_json::from_value(json!({"columnDefinitions": columns, "rows": rows})).unwrap()
    }

    #[test]
    fn the_oldest_kubelet_decides() {
        let cases: [(&[&str], bool); 9] = [
            (&["v1.34.4"], true),
            (&["v1.29.0", "v1.33.1+k3s1", "v1.30.2-gke.1587003"], true),
            (&["v1.34.4", "v1.28.15"], false),
            (&["v1.28.15-eks-12345"], false),
            (&["v2.0.0"], true),
            (&["v0.99.0"], false),
            (&["unknown"], false),
            (&["v1"], false),
            (&[], false),
        ];
        for (versions, native) in cases {
            assert_eq!(of(&table(versions)).native_sidecars, native, "{versions:?}");
        }
    }

    #[test]
    fn env_files_have_the_form_that_every_kubelet_reads() {
        let cases: [(&[&str], Option<EnvSyntax>); 6] = [
            (&["v1.33.9"], None),
            (&["v1.34.4", "v1.34.0"], Some(EnvSyntax::Plain)),
            (&["v1.34.4", "v1.35.0"], None),
            (&["v1.35.0", "v1.37.1"], Some(EnvSyntax::Quoted)),
            (&["v1.35.0", "unknown"], None),
            (&[], None),
        ];
        for (versions, syntax) in cases {
            assert_eq!(of(&table(versions)).env_files, syntax, "{versions:?}");
        }
    }

    #[test]
    fn a_table_without_versions_is_a_no() {
        let table =
            serde_json::from_value(json!({"columnDefinitions": [{"name": "Name"}], "rows": [{"cells": ["v1.34.0"]}]}));
        assert_eq!(of(&table.unwrap()), Nodes::default());
    }
}
