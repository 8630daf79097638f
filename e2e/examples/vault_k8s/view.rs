//! What an injected pod comes to for its owner: containers, mounts, files and what they are made of, the login. Each side in
//! its own words, put into the same ones.

use std::collections::BTreeMap;
use std::fmt::Debug;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

const AGENTS: [(&str, &str); 2] = [("initContainers", "vault-agent-init"), ("containers", "vault-agent")];

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Names of all containers, in order.
    containers: Vec<String>,
    /// Of each container that is not ours: path and volume.
    mounts: BTreeMap<String, Vec<(String, String)>>,
    shares_processes: bool,
    /// User and group of each agent.
    users: Vec<(Value, Value)>,
    agents: BTreeMap<&'static str, Agent>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Agent {
    /// By path.
    files: BTreeMap<String, File>,
    login: Vec<(&'static str, Value)>,
}

#[derive(Debug, PartialEq, Eq)]
struct File {
    source: String,
    mode: Option<u64>,
    delimiters: (String, String),
    strict: bool,
    has_command: bool,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn or<'a>(value: &'a Value, usual: &'a str) -> String {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or(usual).to_owned()
}

fn filled(value: &Value) -> Value {
    if text(value).is_empty() { Value::Null } else { value.clone() }
}

/// Without `.` and `..`, and never relative.
fn path(parts: &str) -> String {
    let mut whole: Vec<&str> = Vec::new();
    for part in parts.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(whole.pop()),
            part => whole.push(part),
        }
    }
    format!("/{}", whole.join("/"))
}

fn named<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    pod["spec"][list].as_array().into_iter().flatten().map(|container| (text(&container["name"]), container))
}

impl Seen {
    fn of(pod: &Value) -> Self {
        let mut seen = Self { shares_processes: pod["spec"]["shareProcessNamespace"] == true, ..Self::default() };
        for (list, agent) in AGENTS {
            for (name, container) in named(pod, list) {
                seen.containers.push(name.to_owned());
                if name == agent {
                    let user = &container["securityContext"];
                    seen.users.push((user["runAsUser"].clone(), user["runAsGroup"].clone()));
                } else {
                    let mounts = container["volumeMounts"].as_array().into_iter().flatten();
                    let mut mounts: Vec<_> = mounts
                        .map(|mount| (path(text(&mount["mountPath"])), text(&mount["name"]).to_owned()))
                        .collect();
                    mounts.sort();
                    seen.mounts.insert(name.to_owned(), mounts);
                }
            }
        }
        seen
    }

    fn agent<'a>(pod: &'a Value, (list, agent): (&str, &str)) -> Option<&'a Value> {
        named(pod, list).find(|(name, _)| *name == agent).map(|(_, container)| container)
    }

    /// Of vault-k8s, by the configuration that it writes for Vault Agent; one of a ConfigMap is not seen.
    pub(crate) fn of_vault(pod: &Value) -> Self {
        let mut seen = Self::of(pod);
        for place in AGENTS {
            let Some(container) = Self::agent(pod, place) else { continue };
            let env: BTreeMap<&str, &Value> = container["env"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| (text(&one["name"]), &one["value"]))
                .collect();
            let Some(config) = env.get("VAULT_CONFIG") else { continue };
            let config: Value = serde_json::from_slice(&STANDARD.decode(text(config)).unwrap()).unwrap();
            let files = config["template"].as_array().into_iter().flatten();
            let files = files.map(|file| (path(text(&file["destination"])), File::of_vault(file))).collect();
            let method = &config["auto_auth"]["method"];
            let (vault, namespace) = (&config["vault"], env.get("VAULT_NAMESPACE").copied().unwrap_or(&Value::Null));
            let login = vec![
                ("method", method["type"].clone()),
                ("mount", method["mount_path"].clone()),
                ("role", filled(&method["config"]["role"])),
                (
                    "namespace",
                    filled(if text(&method["namespace"]).is_empty() { namespace } else { &method["namespace"] }),
                ),
                ("address", or(&vault["address"], text(env.get("VAULT_ADDR").copied().unwrap_or(&Value::Null))).into()),
                ("CA", filled(&vault["ca_cert"])),
                ("certificate", filled(&vault["client_cert"])),
                ("key", filled(&vault["client_key"])),
                ("server name", filled(&vault["tls_server_name"])),
                ("unverified", (vault["tls_skip_verify"] == true).into()),
                ("exits", (method["exit_on_err"] == true).into()),
                (
                    "level",
                    or(env.get("VAULT_LOG_LEVEL").copied().unwrap_or(&Value::Null), "info").to_lowercase().into(),
                ),
            ];
            seen.agents.insert(place.1, Agent { files, login });
        }
        seen
    }

    /// Of Sidekey, by the agents' contracts.
    pub(crate) fn of_sidekey(pod: &Value, contracts: &BTreeMap<&str, Value>) -> Self {
        let mut seen = Self::of(pod);
        for place in AGENTS {
            let Some(contract) = contracts.get(place.1) else { continue };
            let (server, auth) = (&contract["server"], &contract["auth"]);
            let notified: Vec<&str> =
                contract["notify"].as_array().into_iter().flatten().map(|one| text(&one["group"])).collect();
            let files = contract["outputs"].as_array().into_iter().flatten().map(|file| {
                let place = format!("{}/{}", text(&file["dir"]), text(&file["file"]));
                (path(&place), File::of_sidekey(file, notified.contains(&text(&file["group"]))))
            });
            let method = auth["method"].as_object().and_then(|method| method.keys().next().cloned());
            let login = vec![
                ("method", method.map_or_else(|| auth["method"].clone(), Value::from)),
                ("mount", auth["mount"].clone()),
                ("role", filled(&auth["role"])),
                ("namespace", filled(&server["namespace"])),
                ("address", server["address"].clone()),
                ("CA", filled(&server["caFile"])),
                ("certificate", filled(&server["clientCertFile"])),
                ("key", filled(&server["clientKeyFile"])),
                ("server name", filled(&server["serverName"])),
                ("unverified", (server["skipVerify"] == true).into()),
                ("exits", (contract["lifecycle"]["exitOnLoginFailure"] == true).into()),
                ("level", contract["log"]["level"].clone()),
            ];
            seen.agents.insert(place.1, Agent { files: files.collect(), login });
        }
        seen
    }

    /// The first thing that differs, in words.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        fn one<T: PartialEq + Debug>(what: &str, theirs: &T, ours: &T) -> Option<String> {
            (theirs != ours).then(|| format!("{what}: {theirs:?}, {ours:?} here"))
        }
        let agents = || {
            self.agents.iter().find_map(|(name, theirs)| {
                let Some(ours) = other.agents.get(name) else { return Some(format!("{name} has no contract")) };
                let files = || one(&format!("files of {name}"), &theirs.files, &ours.files);
                files().or_else(|| one(&format!("login of {name}"), &theirs.login, &ours.login))
            })
        };
        one("containers", &self.containers, &other.containers)
            .or_else(|| one("mounts", &self.mounts, &other.mounts))
            .or_else(|| one("the shared process namespace", &self.shares_processes, &other.shares_processes))
            .or_else(|| one("users", &self.users, &other.users))
            .or_else(agents)
    }
}

impl File {
    fn of_vault(file: &Value) -> Self {
        let from = text(&file["source"]);
        let source = if from.is_empty() { text(&file["contents"]).to_owned() } else { format!("file {from}") };
        Self {
            source,
            mode: u64::from_str_radix(text(&file["perms"]), 8).ok(),
            delimiters: (or(&file["left_delimiter"], "{{"), or(&file["right_delimiter"], "}}")),
            strict: file["error_on_missing_key"] == true,
            has_command: !text(&file["command"]).is_empty(),
        }
    }

    fn of_sidekey(file: &Value, notified: bool) -> Self {
        let source = &file["source"];
        let from = text(&source["file"]);
        Self {
            source: if from.is_empty() { text(&source["text"]).to_owned() } else { format!("file {from}") },
            mode: file["mode"].as_u64(),
            delimiters: (or(&source["left"], "{{"), or(&source["right"], "}}")),
            strict: source["errorOnMissingKey"] == true,
            has_command: notified,
        }
    }
}
