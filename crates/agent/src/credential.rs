//! What the login shows: files and variables as they are now, and what is kept of files that were removed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use sidekey_core::contract::{AppRole, Auth, AuthMethod};
use sidekey_core::{AgentConfig, Cause, Code, Sensitive, Value};
use sidekey_vault::{Client, Credential, Unready, sts};

use crate::clock::unix_seconds;
use crate::private;

/// Longest file of a credential, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Name of the file in `state_dir` that holds what cannot be read a second time.
const KEPT: &str = "credential";

/// Where the login's credential comes from.
#[derive(Clone)]
pub(crate) struct Source {
    auth: Auth,
    kept: PathBuf,
    env: BTreeMap<String, String>,
    /// Whether files may be removed, and wrappings spent.
    takes: bool,
}

impl Source {
    /// For logins of the agent.
    pub(crate) fn new(config: &AgentConfig, login: usize, env: &BTreeMap<String, String>) -> Self {
        let auth = config.auth_of(login);
        let aws = matches!(auth.method, AuthMethod::Aws(_));
        let wanted = |name: &str| {
            aws && (name == "HOME" || name.starts_with("AWS_") || name.to_ascii_uppercase().ends_with("_PROXY"))
        };
        let env = env.iter().filter(|(name, _)| wanted(name)).map(|(name, value)| (name.clone(), value.clone()));
        Self { auth: auth.clone(), kept: path(&config.state_dir), env: env.collect(), takes: true }
    }

    /// For a try that leaves everything as it is.
    pub(crate) fn untouched(mut self) -> Self {
        self.takes = false;
        self
    }

    /// How to log in.
    pub(crate) const fn auth(&self) -> &Auth {
        &self.auth
    }

    /// Reads it now: a kubelet replaces tokens, people replace secret ids.
    ///
    /// # Errors
    /// [`Unready`]; its cause names the file.
    pub(crate) async fn credential(&self, client: &Client) -> Result<Credential, Unready> {
        let file = &self.auth.token_file;
        match &self.auth.method {
            AuthMethod::Kubernetes | AuthMethod::Jwt => Ok(Credential::Jwt(service_account(&self.auth)?)),
            AuthMethod::TokenFile => Ok(Credential::Token(needed(file, "reading the Vault token")?)),
            AuthMethod::Cert(_) => Ok(Credential::Certificate),
            AuthMethod::Aws(aws) => {
                Ok(sts::credential(aws, &self.env, u64::try_from(unix_seconds()).unwrap_or(0)).await?)
            }
            AuthMethod::AppRole(files) => self.app_role(files, client).await,
        }
    }

    async fn app_role(&self, files: &AppRole, client: &Client) -> Result<Credential, Unready> {
        let before = Kept::load(&self.kept);
        let role_id = match read(&files.role_id_file, "reading the role id") {
            Ok(Some(id)) => id,
            Ok(None) => before.role_id.clone().ok_or_else(|| absent(&files.role_id_file, "reading the role id"))?,
            Err(cause) => before.role_id.clone().ok_or(cause)?,
        };
        let Some(path) = &files.secret_id_file else { return Ok(Credential::AppRole { role_id, secret_id: None }) };
        let found = read(path, "reading the secret id").or_else(|cause| match &before.secret_id {
            Some(_) => Ok(None),
            None => Err(cause),
        })?;
        let (secret_id, wrapping) = match (found, &files.wrapping_path) {
            (None, _) => {
                let kept = before.secret_id.ok_or_else(|| absent(path, "reading the secret id"))?;
                return Ok(Credential::AppRole { role_id, secret_id: Some(kept) });
            }
            (Some(id), None) => (id, None),
            (Some(token), Some(_)) if before.wrapping.as_ref() == Some(&token) && before.secret_id.is_some() => {
                return Ok(Credential::AppRole { role_id, secret_id: before.secret_id });
            }
            (Some(_), Some(_)) if !self.takes => return Err(spends(path).into()),
            (Some(token), Some(made_by)) => (client.unwrap_secret_id(&token, made_by).await?, Some(token)),
        };
        if self.takes && (files.remove_secret_id_file || wrapping.is_some()) {
            let kept = Kept { role_id: Some(role_id.clone()), secret_id: Some(secret_id.clone()), wrapping };
            self.keep(&kept, path, files.remove_secret_id_file);
        }
        Ok(Credential::AppRole { role_id, secret_id: Some(secret_id) })
    }

    /// The file goes only once what it held is safe; on a volume that is read-only it stays.
    fn keep(&self, kept: &Kept, file: &str, remove: bool) {
        let done = kept.save(&self.kept).and_then(|()| if remove { std::fs::remove_file(file) } else { Ok(()) });
        match done {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                tracing::info!(file, "the secret id's file stays: its volume is read-only");
            }
            Err(error) => tracing::warn!(file, %error, "the secret id's file stays"),
            Ok(()) => {}
        }
    }
}

/// Forgets what was kept.
///
/// # Errors
/// The system's.
pub(crate) fn wipe(state_dir: &str) -> io::Result<()> {
    private::remove(&path(state_dir))
}

fn path(state_dir: &str) -> PathBuf {
    Path::new(state_dir).join(KEPT)
}

/// The service account token; blanks around it go.
///
/// # Errors
/// `AuthToken`.
pub(crate) fn service_account(auth: &Auth) -> Result<Sensitive<String>, Cause> {
    needed(&auth.token_file, "reading the service account token").map_err(|cause| Cause {
        code: Code::AuthToken,
        fix: Code::AuthToken.advice().to_owned(),
        ..cause
    })
}

/// A file's text without the blanks around it; `None` when the file is absent or empty.
fn read(file: &str, attempted: &str) -> Result<Option<Sensitive<String>>, Cause> {
    let failed = |answer: String| Cause::new(Code::AuthCredential, format!("{attempted} {file}"), answer);
    let length = match std::fs::metadata(file) {
        Ok(about) => about.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    if length > MAX_FILE {
        return Err(failed("it is longer than 64 KiB".to_owned()));
    }
    let text = std::fs::read_to_string(file).map(Sensitive::new).map_err(|error| failed(error.to_string()))?;
    let text = text.expose().trim();
    Ok((!text.is_empty()).then(|| text.into()))
}

fn needed(file: &str, attempted: &str) -> Result<Sensitive<String>, Cause> {
    read(file, attempted)?.ok_or_else(|| absent(file, attempted))
}

fn absent(file: &str, attempted: &str) -> Cause {
    let answer = if Path::new(file).exists() { "the file is empty" } else { "No such file or directory (os error 2)" };
    Cause::new(Code::AuthCredential, format!("{attempted} {file}"), answer)
}

fn spends(file: &str) -> Cause {
    let attempted = format!("reading the secret id {file}");
    Cause::new(Code::AuthCredential, attempted, "its wrapping can be opened once only, which is left to the agent")
        .with_fix("Start the agent, and read its status.")
}

/// What is kept of an `AppRole`. No `Debug`.
#[derive(Default)]
struct Kept {
    role_id: Option<Sensitive<String>>,
    secret_id: Option<Sensitive<String>>,
    /// The token that the secret id came out of.
    wrapping: Option<Sensitive<String>>,
}

impl Kept {
    /// One that cannot be read is as good as none: the files are what counts.
    fn load(path: &Path) -> Self {
        let Ok(text) = std::fs::read_to_string(path).map(Sensitive::new) else { return Self::default() };
        let value = Value::parse(text.expose()).unwrap_or_default();
        let field = |name: &str| value.get(name).and_then(Value::as_text).map(Sensitive::from);
        Self { role_id: field("roleId"), secret_id: field("secretId"), wrapping: field("wrapping") }
    }

    fn save(&self, path: &Path) -> io::Result<()> {
        let fields = [("roleId", &self.role_id), ("secretId", &self.secret_id), ("wrapping", &self.wrapping)];
        let fields = fields.into_iter().filter_map(|(name, value)| {
            value.as_ref().map(|value| (name.to_owned(), Value::text(value.expose().as_str())))
        });
        let text = Value::Map(fields.collect()).to_json();
        private::replace(path, text.expose().as_bytes(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_cannot_be_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/credential");
        assert!(Kept::load(&path).secret_id.is_none());
        Kept { role_id: Some("r\"1".into()), secret_id: Some("s".into()), wrapping: None }.save(&path).unwrap();
        let kept = Kept::load(&path);
        assert_eq!(kept.role_id.unwrap().expose(), "r\"1");
        assert!(kept.wrapping.is_none());
        std::fs::write(&path, "torn").unwrap();
        assert!(Kept::load(&path).secret_id.is_none());
    }

    #[test]
    fn tells_absent_from_empty_from_too_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let file = path.to_str().unwrap();
        let answer = || needed(file, "reading").err().map(|cause| cause.answer);
        assert_eq!(answer().unwrap(), "No such file or directory (os error 2)");
        std::fs::write(&path, " \n").unwrap();
        assert_eq!(answer().unwrap(), "the file is empty");
        std::fs::write(&path, vec![b'x'; 70_000]).unwrap();
        assert_eq!(answer().unwrap(), "it is longer than 64 KiB");
        std::fs::write(&path, " t\n").unwrap();
        assert_eq!(needed(file, "reading").unwrap().expose(), "t");
    }
}
