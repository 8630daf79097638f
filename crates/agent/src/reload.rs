//! SIGHUP: Vault Agent's files are read again. What a running agent can take from them it takes; what it cannot is named.

use std::io;
use std::sync::Arc;

use sidekey_core::{AgentConfig, Cause};
use sidekey_runtime::log::Control;
use tokio::signal::unix::{SignalKind, signal};

use crate::vaultfile::{self, Loaded};

/// What the agent runs by, and what of it can change.
pub(crate) struct Reload {
    /// Where it was read from; none where the webhook's contract says it all.
    pub(crate) files: Vec<String>,
    /// What it came to.
    pub(crate) config: Arc<AgentConfig>,
    /// `exit_after_auth`.
    pub(crate) once: bool,
    /// The log that is written.
    pub(crate) log: Control,
}

/// What the files say now and did not say before.
#[derive(Debug, Default, PartialEq, Eq)]
struct Change {
    level: Option<String>,
    /// Blocks and keys of the files.
    restart: Vec<&'static str>,
}

impl Reload {
    /// Answers every SIGHUP from now on; without this the first would end the process. Needs a tokio runtime.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn follow(self, read: fn(&[String]) -> Result<Loaded, Cause>) -> io::Result<()> {
        let mut hangups = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            let mut level = self.config.log.level.clone();
            while hangups.recv().await.is_some() {
                if self.files.is_empty() {
                    tracing::warn!(
                        "SIGHUP: nothing can be reloaded, as the configuration is in the container's environment; change \
                         the pod's annotations and have it made anew"
                    );
                } else if let Some(changed) = self.again(&level, read(&self.files)) {
                    level = changed;
                }
            }
        });
        Ok(())
    }

    /// The level that holds from now on, if it is another.
    fn again(&self, level: &str, read: Result<Loaded, Cause>) -> Option<String> {
        let read =
            read.and_then(|loaded| if loaded.starts_program() { Err(vaultfile::without_exec()) } else { Ok(loaded) });
        let fresh = match read {
            Ok(fresh) => fresh,
            Err(cause) => {
                tracing::error!(code = %cause.code, "SIGHUP: nothing is reloaded, all is as before: {cause}");
                return None;
            }
        };
        fresh.notes.iter().for_each(|note| tracing::warn!("{note}"));
        let Change { level: changed, restart } = change(&self.config, self.once, level, &fresh);
        if !restart.is_empty() {
            tracing::warn!("SIGHUP: {} changed, which takes a restart; until then it is as before", restart.join(", "));
        }
        match changed {
            Some(changed) => return self.say_at(level, changed),
            None if restart.is_empty() => tracing::info!("SIGHUP: the files are read again, nothing has changed"),
            None => {}
        }
        None
    }

    /// Told by whichever of the two levels lets it through.
    fn say_at(&self, before: &str, level: String) -> Option<String> {
        let told = || tracing::info!("SIGHUP: the log level is {level} now, and was {before}");
        let quiet_before = !tracing::enabled!(tracing::Level::INFO);
        if !quiet_before {
            told();
        }
        if let Err(error) = self.log.set_level(&level) {
            tracing::error!(%error, "SIGHUP: the log level stays {before}");
            return None;
        }
        if quiet_before {
            told();
        }
        Some(level)
    }
}

/// Templates, certificates and keys in files of their own are followed without a signal, and are no part of it.
fn change(config: &AgentConfig, once: bool, level: &str, fresh: &Loaded) -> Change {
    let new = &fresh.config;
    let fatal = |config: &AgentConfig| config.lifecycle.exit_on_login_failure;
    let blocks = [
        ("vault", config.server != new.server),
        ("auto_auth", config.auth != new.auth || config.token_sinks != new.token_sinks || fatal(config) != fatal(new)),
        ("template", config.outputs != new.outputs || config.notify != new.notify),
        ("template_config", config.refresh != new.refresh),
        ("listener, cache or api_proxy", config.listener != new.listener),
        ("exit_after_auth", once != fresh.once),
        ("log_format", config.log.json != new.log.json),
    ];
    Change {
        level: Some(new.log.level.clone()).filter(|new| new != level),
        restart: blocks.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const FILE: &str = r#"
        log_level = "info"
        vault { address = "http://one" }
        auto_auth {
          method "token_file" { config { token_file_path = "/t" } }
          sink "file" { config { path = "/s" } }
        }
        template_config { static_secret_render_interval = "5m" }
        template {
          destination = "/d/x"
          contents    = "one"
        }
        listener "tcp" {
          address = "127.0.0.1:8100"
          tls_disable = true
        }
    "#;

    fn read(text: &str) -> Loaded {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        vaultfile::load(&[file.path().to_str().unwrap().to_owned()], None, &BTreeMap::new()).unwrap()
    }

    #[test]
    fn takes_the_level_and_names_every_block_that_takes_a_restart() {
        let running = read(FILE);
        let cases: [(&str, &str, Option<&str>, &[&str]); 11] = [
            ("info", "info", None, &[]),
            ("\"info\"", "\"debug\"", Some("debug"), &[]),
            ("http://one", "http://two", None, &["vault"]),
            ("path = \"/t\"", "path = \"/u\"", None, &["auto_auth"]),
            ("{ path = \"/s\" }", "{ path = \"/s\"\n mode = 0600 }", None, &["auto_auth"]),
            ("\"one\"", "\"two\"\n command = \"x\"", None, &["template"]),
            ("5m", "1m", None, &["template_config"]),
            ("8100", "8101", None, &["listener, cache or api_proxy"]),
            ("vault {", "exit_after_auth = true\n vault {", None, &["exit_after_auth"]),
            ("vault {", "log_format = \"standard\"\n vault {", None, &["log_format"]),
            ("\"info\"", "\"warn\"\n log_format = \"standard\"", Some("warn"), &["log_format"]),
        ];
        for (before, after, level, restart) in cases {
            let fresh = read(&FILE.replacen(before, after, 1));
            let want = Change { level: level.map(str::to_owned), restart: restart.to_vec() };
            assert_eq!(change(&running.config, running.once, "info", &fresh), want, "{before} -> {after}");
        }
        let back = change(&running.config, running.once, "debug", &running);
        assert_eq!(back.level.as_deref(), Some("info"), "compared with the level in force");
    }
}
