//! What one pod asks for, typed, whatever dialect said it.

use sidekey_core::contract::{Action, AuthMethod, Dialect, Listener, Log, Refresh, Server, Source};
use sidekey_core::path::RelPath;

use crate::reader::Asked;
use crate::settings::{PullPolicy, SecurityContext};
use crate::trust::Bundle;

/// Everything the annotations and defaults say. Nothing in it depends on the pod's other fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InjectSpec {
    pub(crate) dialect: Dialect,
    pub(crate) image: String,
    /// Never empty. The first is the pod's own where anything needs that one.
    pub(crate) places: Vec<Place>,
    pub(crate) refresh: Refresh,
    pub(crate) listener: Option<Listener>,
    pub(crate) log: Log,
    pub(crate) start: Start,
    pub(crate) end: End,
    /// Directory of the secrets that name none.
    pub(crate) dir: String,
    /// In the order of their raw names.
    pub(crate) secrets: Vec<Secret>,
    pub(crate) environment: EnvSpec,
    /// Write the token into `dir`.
    pub(crate) token_sink: bool,
    /// Containers that get the secrets; `None` is the dialect's default.
    pub(crate) containers: Option<Vec<String>>,
    pub(crate) user: UserSpec,
    pub(crate) resources: ResourceSpec,
    /// Of the one-shot init container, where that is another.
    pub(crate) init_resources: Option<ResourceSpec>,
    pub(crate) pull: Pull,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) extras: Extras,
    pub(crate) share_processes: Option<bool>,
    pub(crate) amendments: Amendments,
}

/// JSON patches of the user's own for containers of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amendments {
    /// For the native sidecar or the classic one.
    pub(crate) sidecar: Option<Amendment>,
    /// For the one-shot init container.
    pub(crate) init: Option<Amendment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Amendment {
    /// The annotation that holds it.
    pub(crate) key: String,
    /// Never empty.
    pub(crate) operations: json_patch::Patch,
}

/// A server, and who we are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) server: Server,
    pub(crate) login: Login,
    /// What the server's CA file is made from, when it is an object.
    pub(crate) bundle: Option<Bundle>,
    /// The annotation of the first file that asks for it; `None` is the pod's own.
    pub(crate) from: Option<String>,
    /// The settings chose the role, so it needs no leave.
    pub(crate) role_is_free: bool,
    /// The same for the address.
    pub(crate) address_is_free: bool,
}

impl Place {
    /// For people: `auth/kubernetes as web at https://…`.
    pub(crate) fn name(&self) -> String {
        let role = if self.login.role.is_empty() { String::new() } else { format!(" as {}", self.login.role) };
        let namespace = self.server.namespace.as_ref().map_or_else(String::new, |name| format!(", namespace {name}"));
        format!("{}{role} at {}{namespace}", self.login.mount, self.server.address)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) method: AuthMethod,
    pub(crate) mount: String,
    pub(crate) role: String,
    /// A projected volume of the pod; `None` is one of our own.
    pub(crate) volume: Option<String>,
    /// Overrides the volume's token file.
    pub(crate) token_file: Option<String>,
    /// Of our own volume; `None` is the API server's.
    pub(crate) audience: Option<String>,
    pub(crate) min_backoff_ms: u64,
    pub(crate) max_backoff_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) pre_populate: bool,
    pub(crate) only: bool,
    pub(crate) first: bool,
    /// `false` asks for the classic pair.
    pub(crate) native: Option<bool>,
    pub(crate) deadline_seconds: Option<u32>,
    /// End with the first login that fails before the start is over.
    pub(crate) exit_on_login_failure: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) revoke: bool,
    pub(crate) grace_seconds: u32,
}

/// Who the agent runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserSpec {
    pub(crate) context: SecurityContext,
    pub(crate) user: Option<i64>,
    pub(crate) group: Option<i64>,
    pub(crate) same: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResourceSpec {
    pub(crate) limits: Amounts,
    pub(crate) requests: Amounts,
    /// Whether the init container's own annotations said so.
    pub(crate) init: bool,
}

/// How the agent's image comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pull {
    pub(crate) policy: Option<PullPolicy>,
    pub(crate) secrets: Vec<String>,
}

/// The agent's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Metrics {
    pub(crate) port: u16,
    /// Tell scrapers by annotations.
    pub(crate) scrape: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) cpu: Asked,
    pub(crate) memory: Asked,
    pub(crate) ephemeral: Asked,
}

/// Mounts of the agent that the user brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    pub(crate) tls_secret: Option<String>,
    pub(crate) extra_secret: Option<String>,
    pub(crate) copy_from: Option<String>,
    /// Vault Agent's own files, which take the place of outputs and login.
    pub(crate) config_map: Option<String>,
}

/// Environment variables of the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EnvSpec {
    /// In the order of their names.
    pub(crate) variables: Vec<EnvVariable>,
    /// Start the app's program anew when one changes.
    pub(crate) restart: bool,
    /// By `exec`, whatever the kubelet could do.
    pub(crate) exec: bool,
}

/// One variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvVariable {
    pub(crate) name: String,
    /// The annotation that asked for it.
    pub(crate) key: String,
    /// In Vault.
    pub(crate) path: String,
    /// `None` is the only one.
    pub(crate) field: Option<String>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    /// The suffix of its annotations.
    pub(crate) raw: String,
    /// The annotation that asked for it.
    pub(crate) key: String,
    pub(crate) dir: String,
    pub(crate) file: RelPath,
    /// In Vault; empty where only a template is given.
    pub(crate) path: String,
    /// Whose token reads it: a place of the spec's.
    pub(crate) login: usize,
    pub(crate) source: Source,
    /// The annotation that holds a template of the user's, which has to be checked.
    pub(crate) template: Option<String>,
    pub(crate) mode: Option<u32>,
    pub(crate) group: Option<String>,
    pub(crate) optional: bool,
    /// Containers that get it; `None` is all that get secrets.
    pub(crate) containers: Option<Vec<String>>,
    /// Where else the app has it.
    pub(crate) subpath: Option<String>,
    /// `None` is for ever.
    pub(crate) max_stale_seconds: Option<u32>,
    /// What is to be done after it changed.
    pub(crate) reactions: Vec<Reaction>,
}

/// One thing to do after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reaction {
    pub(crate) action: Action,
    /// After the first publication as well.
    pub(crate) first: bool,
    /// It needs programs that the agent's own image lacks.
    pub(crate) tools: bool,
    /// The annotation that asked for it.
    pub(crate) key: String,
    /// Refused where it cannot work, in place of a warning.
    pub(crate) strict: bool,
}

impl InjectSpec {
    /// The pod's own login, or the first that stands in for it. All of a pod's logins are by one method.
    pub(crate) fn own(&self) -> &Place {
        &self.places[0]
    }

    /// The audiences that tokens of our own volume are for, each once; the first login's comes first.
    pub(crate) fn audiences(&self) -> Vec<&Option<String>> {
        let mut all: Vec<&Option<String>> = Vec::new();
        for place in &self.places {
            if !all.contains(&&place.login.audience) {
                all.push(&place.login.audience);
            }
        }
        all
    }
}

impl Secret {
    /// Whether its template or its commands may ask for variables.
    pub(crate) fn may_read_environment(&self) -> bool {
        let template = match (&self.template, &self.source) {
            (Some(_), Source::Template(template)) => template.file.is_some() || template.text.contains("env"),
            _ => false,
        };
        template || !self.reactions.is_empty()
    }

    /// Absolute path in the app.
    pub(crate) fn destination(&self) -> String {
        format!("{}/{}", self.dir.trim_end_matches('/'), self.file)
    }
}
