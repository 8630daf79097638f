//! `check`: every step once, a line for each, nothing written.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use sidekey_core::output::full_path;
use sidekey_core::{AgentConfig, Cause, Lookup, Sensitive};
use sidekey_template::Inputs;
use sidekey_vault::{Client, Credential, Mounts, Unready, VaultError, diagnose};

use crate::credential::Source;
use crate::exit::Exit;
use crate::extra::Volumes;
use crate::group::freeze;
use crate::local::Local;
use crate::member::Member;
use crate::pair;
use crate::session::Answers;
use crate::supervisor::Platform;

/// Rounds of "render, fetch what is missing" before a template is taken to ask for ever.
const ROUNDS: usize = 16;

/// Writes its lines to `out`; 0 when every step went well, else 4. Its token, and leases with it, are revoked.
///
/// # Errors
/// `out` fails.
pub(crate) async fn run(config: &AgentConfig, platform: &Platform, out: &mut dyn Write) -> io::Result<Exit> {
    let mut lines = Lines { out, failed: false };
    lines.good(format_args!("configuration: {} outputs, version {}", config.outputs.len(), config.version))?;
    let volumes = Arc::new(Volumes::of(&config.outputs));
    let mut members: Vec<Member> = config.outputs.iter().map(|output| Member::new(output, volumes.clone())).collect();
    for member in &members {
        lines.result(format_args!("template {}", member.output().name), member.cause())?;
    }
    for login in 0..config.login_count() {
        let (mut own, others) = members.into_iter().partition(|member: &Member| member.login() == login);
        members = others;
        one(config, login, platform, &mut own, &mut lines).await?;
    }
    Ok(lines.exit())
}

/// One login, and the files it is for.
async fn one(
    config: &AgentConfig,
    login: usize,
    platform: &Platform,
    members: &mut [Member],
    lines: &mut Lines<'_>,
) -> io::Result<()> {
    let place = config.auth_of(login).place();
    match log_in(config, login, platform).await {
        Ok((client, token)) => {
            lines.good(format_args!("login at {place}"))?;
            secrets(config, platform, &client, &token, members, lines).await?;
            if config.auth_of(login).method.borrows_token() {
                return Ok(());
            }
            match client.revoke_token(&token).await {
                Ok(()) => lines.good(format_args!("token revoked"))?,
                Err(error) => lines.note(format_args!("token not revoked, left to expire: {error}"))?,
            }
        }
        Err(cause) => lines.result(format_args!("login"), Some(&cause))?,
    }
    Ok(())
}

async fn log_in(config: &AgentConfig, login: usize, platform: &Platform) -> Result<(Client, Sensitive<String>), Cause> {
    let (server, auth) = (config.server_of(login), config.auth_of(login));
    let client = Client::new(server).map_err(|error| diagnose::transport(&error, server))?;
    let source = Source::new(config, login, &platform.env).untouched();
    let credential = match source.credential(&client).await {
        Ok(credential) => credential,
        Err(Unready::Cause(cause)) => return Err(cause),
        Err(Unready::Vault(error)) => return Err(diagnose::transport(&error, server)),
    };
    match client.login(auth, &credential).await {
        Ok(grant) => Ok((client, grant.token)),
        Err(error) => {
            let pod = &config.pod;
            let jwt = if let Credential::Jwt(jwt) = &credential { Some(jwt) } else { None };
            Err(diagnose::login(&client, auth, pod, config.dialect, jwt, &error).await)
        }
    }
}

async fn secrets(
    config: &AgentConfig,
    platform: &Platform,
    client: &Client,
    token: &Sensitive<String>,
    members: &mut [Member],
    lines: &mut Lines<'_>,
) -> io::Result<()> {
    let (mounts, mut answers, frozen) = (Mounts::default(), Answers::new(), freeze());
    let mut asked = BTreeSet::new();
    let mut whole = vec![false; members.len()];
    for _ in 0..ROUNDS {
        let seen = Local { answers: &answers, private: &config.state_dir };
        let inputs = Inputs { answers: &seen, env: &platform.env, frozen: &frozen };
        for (member, whole) in members.iter_mut().zip(&mut whole) {
            *whole = member.render(&inputs).is_some();
        }
        let open: BTreeSet<Lookup> = members.iter().flat_map(Member::needs).cloned().collect();
        let open: Vec<Lookup> = open.difference(&asked).cloned().collect();
        if open.is_empty() {
            break;
        }
        for lookup in open {
            let answer = fetch(config, client, token, &lookup, &mounts).await;
            lines.result(format_args!("secret {}", lookup.path), answer.as_ref().err())?;
            if let Ok(response) = answer {
                answers.insert(lookup.clone(), Arc::new(response));
            }
            asked.insert(lookup);
        }
    }
    for (member, whole) in members.iter().zip(whole) {
        let path = full_path(member.output());
        match (whole, member.cause()) {
            (true, _) => lines.good(format_args!("file {path}"))?,
            (false, Some(cause)) => lines.result(format_args!("file {path}"), Some(cause))?,
            (false, None) => lines.note(format_args!("file {path} waits for a secret above"))?,
        }
    }
    Ok(())
}

async fn fetch(
    config: &AgentConfig,
    client: &Client,
    token: &Sensitive<String>,
    lookup: &Lookup,
    mounts: &Mounts,
) -> Result<sidekey_core::Response, Cause> {
    let explain = async |error: VaultError| diagnose::fetch(client, token, lookup, config.dialect, &error).await;
    match client.fetch(token, lookup, mounts).await {
        Ok(response) => pair::check(lookup, &response).map(|()| response),
        Err(error) => Err(explain(error).await),
    }
}

/// Aligned lines: `ok`, `FAIL` or nothing, then the step.
struct Lines<'a> {
    out: &'a mut dyn Write,
    failed: bool,
}

impl Lines<'_> {
    const fn exit(&self) -> Exit {
        if self.failed { Exit::NotReady } else { Exit::Done }
    }

    fn good(&mut self, step: std::fmt::Arguments<'_>) -> io::Result<()> {
        writeln!(self.out, "ok    {step}")
    }

    fn note(&mut self, step: std::fmt::Arguments<'_>) -> io::Result<()> {
        writeln!(self.out, "      {step}")
    }

    fn result(&mut self, step: std::fmt::Arguments<'_>, cause: Option<&Cause>) -> io::Result<()> {
        let Some(cause) = cause else { return self.good(step) };
        self.failed = true;
        writeln!(self.out, "FAIL  {step}\n      {cause}")
    }
}
