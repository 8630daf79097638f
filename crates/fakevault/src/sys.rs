//! `sys/*`: health, seal status, capabilities, mounts.

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::ask::{Ask, Operation};
use crate::mount::Mount;
use crate::spec::{Flavour, Standing};
use crate::state::State;
use crate::ttl;

const CLUSTER: &str = "vault-cluster-fake";

impl State {
    const fn version(&self) -> &'static str {
        match self.flavour {
            Flavour::Vault => "1.21.0",
            Flavour::OpenBao => "2.4.4",
        }
    }

    /// What is answered without a token, whatever the state of the server.
    pub(crate) fn open_route(&self, ask: &Ask) -> Option<Answer> {
        match ask.path.as_str() {
            "sys/health" if ask.operation != Operation::Read => Some(Answer::errors(405, [""; 0])),
            "sys/health" => Some(self.health(ask)),
            "sys/seal-status" => Some(self.seal_status()),
            "sys/leader" => Some(Answer::bare(200, self.leader())),
            _ => None,
        }
    }

    fn health(&self, ask: &Ask) -> Answer {
        let sealed = matches!(self.standing, Standing::Sealed | Standing::Uninitialised);
        let standby = matches!(self.standing, Standing::Standby | Standing::PerformanceStandby) || sealed;
        let mut body = json!({
            "initialized": self.standing != Standing::Uninitialised,
            "sealed": sealed,
            "standby": standby,
            "replication_performance_mode": if sealed { "unknown" } else { "disabled" },
            "replication_dr_mode": match self.standing {
                Standing::DrSecondary => "secondary",
                _ if sealed => "unknown",
                _ => "disabled",
            },
            "server_time_utc": self.clock.unix(self.clock.now()),
            "version": self.version(),
        });
        if let Some(fields) = body.as_object_mut() {
            if self.flavour == Flavour::Vault {
                fields.insert("performance_standby".to_owned(), (self.standing == Standing::PerformanceStandby).into());
                fields.insert("enterprise".to_owned(), false.into());
                fields.insert("echo_duration_ms".to_owned(), 0.into());
                fields.insert("clock_skew_ms".to_owned(), 0.into());
                fields.insert("replication_primary_canary_age_ms".to_owned(), 0.into());
            }
            if !sealed {
                fields.insert("cluster_name".to_owned(), CLUSTER.into());
                fields.insert("cluster_id".to_owned(), "00000000-0000-4000-8000-000000000000".into());
            }
        }
        Answer::bare(self.health_status(ask), body)
    }

    /// developer.hashicorp.com/vault/api-docs/system/health#parameters: each status has a parameter that changes it.
    fn health_status(&self, ask: &Ask) -> u16 {
        let flag = |name: &str| ask.query.get(name).is_some_and(|value| value != "false");
        let code = |name: &str, usual: u16| ask.query.get(name).and_then(|text| text.parse().ok()).unwrap_or(usual);
        match self.standing {
            Standing::Standby if flag("standbyok") => code("activecode", 200),
            Standing::PerformanceStandby if flag("perfstandbyok") => code("activecode", 200),
            Standing::Active => code("activecode", 200),
            Standing::Standby => code("standbycode", 429),
            Standing::PerformanceStandby => code("performancestandbycode", 473),
            Standing::DrSecondary => code("drsecondarycode", 472),
            Standing::Uninitialised => code("uninitcode", 501),
            Standing::Sealed => code("sealedcode", 503),
        }
    }

    fn seal_status(&self) -> Answer {
        let sealed = matches!(self.standing, Standing::Sealed | Standing::Uninitialised);
        let mut body = json!({
            "type": "shamir",
            "initialized": self.standing != Standing::Uninitialised,
            "sealed": sealed,
            "t": 1,
            "n": 1,
            "progress": 0,
            "nonce": "",
            "version": self.version(),
            "build_date": "2025-11-22T13:19:31Z",
            "migration": false,
            "recovery_seal": false,
            "storage_type": "inmem",
        });
        if !sealed && let Some(fields) = body.as_object_mut() {
            fields.insert("cluster_name".to_owned(), CLUSTER.into());
            fields.insert("cluster_id".to_owned(), "00000000-0000-4000-8000-000000000000".into());
        }
        Answer::bare(200, body)
    }

    fn leader(&self) -> Value {
        json!({
            "ha_enabled": self.active_address.is_some(),
            "is_self": self.standing == Standing::Active,
            "active_time": "0001-01-01T00:00:00Z",
            "leader_address": self.active_address.clone().unwrap_or_default(),
            "leader_cluster_address": "",
            "performance_standby": self.standing == Standing::PerformanceStandby,
        })
    }

    /// The rest of `sys/`, for a token that may.
    pub(crate) fn sys_route(&mut self, path: &str, token: &str, ask: &Ask) -> Answer {
        if let Some(action) = path.strip_prefix("leases/") {
            return self.lease_route(action, ask);
        }
        match (path, ask.operation) {
            ("capabilities-self", Operation::Write) => self.capabilities_self(token, ask),
            ("mounts", Operation::Read) => {
                let list: Map<_, _> =
                    self.mounts.iter().map(|(path, mount)| (format!("{path}/"), describe(path, mount))).collect();
                self.data(list.into(), "system")
            }
            ("auth", Operation::Read) => {
                let one = |(path, mount): (&String, &crate::auth::AuthMount)| {
                    let path = path.strip_prefix("auth/").unwrap_or(path);
                    (format!("{path}/"), json!({ "type": mount.kind.name(), "description": "", "options": {} }))
                };
                let list: Map<_, _> = self.auths.iter().map(one).collect();
                self.data(list.into(), "system")
            }
            ("seal", Operation::Write) => {
                self.standing = Standing::Sealed;
                Answer::no_content()
            }
            (older, Operation::Write) if older.starts_with("renew") || older.starts_with("revoke") => {
                self.lease_route(older, ask)
            }
            ("capabilities-self" | "mounts" | "auth" | "seal", _) => Answer::unsupported_operation(),
            _ => Answer::unsupported_path(),
        }
    }

    fn capabilities_self(&mut self, token: &str, ask: &Ask) -> Answer {
        let mut paths: Vec<String> = match ask.body.get("paths") {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
            _ => Vec::new(),
        };
        paths.extend(ask.text("path").map(ToOwned::to_owned));
        if paths.is_empty() {
            return Answer::error(400, "paths must be supplied");
        }
        let policies = self.tokens.get(token).map(|token| token.policies.clone()).unwrap_or_default();
        let granted = |path: &String| json!(self.policies.capabilities(&policies, path.trim_start_matches('/')));
        let mut data: Map<String, Value> = paths.iter().map(|path| (path.clone(), granted(path))).collect();
        if let [only] = paths.as_slice() {
            data.insert("capabilities".to_owned(), granted(only));
        }
        let mut answer = self.data(data.clone().into(), "system");
        // Older clients read them beside `data`.
        if let Some(Value::Object(body)) = &mut answer.body {
            body.extend(data);
        }
        answer
    }

    /// `sys/internal/ui/mounts/<path>`: any token that has a rule below the mount may ask.
    pub(crate) fn mount_of(&mut self, path: &str, token: &str) -> Answer {
        let policies = self.tokens.get(token).map(|token| token.policies.clone()).unwrap_or_default();
        let found = self.find_mount(path).filter(|(mount, _)| self.policies.concern(&policies, mount));
        let Some((mount, _)) = found else {
            let text = format!(
                "preflight capability check returned 403, please ensure client's policies grant access to path \"{path}/\""
            );
            return Answer::error(403, text);
        };
        let data = self.mounts.get(&mount).map_or(Value::Null, |engine| describe(&mount, engine));
        self.data(data, "")
    }
}

fn describe(path: &str, mount: &Mount) -> Value {
    json!({
        "path": format!("{path}/"),
        "type": mount.kind(),
        "description": "",
        "accessor": format!("{}_00000000", mount.kind()),
        "config": {
            "default_lease_ttl": ttl::SYSTEM.as_secs(),
            "max_lease_ttl": ttl::SYSTEM.as_secs(),
            "force_no_cache": false,
        },
        "options": match mount {
            Mount::Kv1(_) => json!({ "version": "1" }),
            Mount::Kv2(_) => json!({ "version": "2" }),
            Mount::Database(_) | Mount::Pki => Value::Null,
        },
        "external_entropy_access": false,
        "local": false,
        "seal_wrap": false,
        "uuid": "00000000-0000-4000-8000-000000000001",
    })
}
