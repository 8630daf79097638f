//! Which kubelets the cluster has: a native sidecar needs 1.29 (KEP-753, on by default there) on every node.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sidekey_core::Code;
use tokio::time::sleep;

use crate::admit::Admission;
use crate::api::{Api, ApiError};
use crate::metrics::Metrics;

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(60);

/// The first minor version of Kubernetes 1 whose kubelet runs native sidecars unasked.
const NATIVE: u32 = 29;

/// The rows that kubectl prints, from the API server's cache and without the objects: a node's object is a hundred times
/// its row.
const PATH: &str = "/api/v1/nodes?includeObject=None&resourceVersion=0";
const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";

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

/// Asks once whether every node has native sidecars. No nodes, or a version that cannot be read, is a no: the classic
/// pair runs everywhere.
///
/// # Errors
/// [`ApiError`].
pub async fn native_sidecars(api: &Api) -> Result<bool, ApiError> {
    api.get::<Table>(PATH, TABLE).await.map(|table| all_native(&table))
}

/// Keeps the admission's knowledge fresh, for ever. What was known stays when the API does not answer.
pub async fn follow(api: Api, admission: Arc<Admission>, metrics: Metrics, mut known: Option<bool>) {
    loop {
        metrics.native_sidecars.set(i64::from(known == Some(true)));
        sleep(if known.is_some() { FRESH } else { FRESH / 10 }).await;
        match native_sidecars(&api).await {
            Ok(now) if known != Some(now) => {
                tracing::info!(native_sidecars = now, "the nodes' kubelets have been looked at");
                admission.set_native_sidecars(now);
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

fn all_native(table: &Table) -> bool {
    let Some(column) = table.column_definitions.iter().position(|column| column.name == "Version") else {
        return false;
    };
    let native = |row: &Row| row.cells.get(column).and_then(Value::as_str).is_some_and(is_native);
    !table.rows.is_empty() && table.rows.iter().all(native)
}

/// Reads `v1.29.3`, `v1.30.1+k3s1`, `v1.29.0-gke.1000`; a release candidate counts as its release.
fn is_native(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
        digits.parse::<u32>().ok()
    });
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(1), Some(minor)) => minor >= NATIVE,
        (Some(major), Some(_)) => major > 1,
        _ => false,
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
            assert_eq!(all_native(&table(versions)), native, "{versions:?}");
        }
    }

    #[test]
    fn a_table_without_versions_is_a_no() {
        let table =
            serde_json::from_value(json!({"columnDefinitions": [{"name": "Name"}], "rows": [{"cells": ["v1.34.0"]}]}));
        assert!(!all_native(&table.unwrap()));
    }
}
