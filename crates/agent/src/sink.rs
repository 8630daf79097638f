//! The token files for readers who ask for one: plain, wrapped, encrypted, or both.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use sidekey_core::contract::TokenSink;
use sidekey_core::time::Time;
use sidekey_core::{Cause, Code, Sensitive};
use sidekey_vault::VaultError;

use crate::backoff::{Backoff, random};
use crate::private;
use crate::request;
use crate::seal::Reader;
use crate::supervisor::Supervisor;
use crate::trouble::Subject;

/// A file to keep in step with the token.
pub(crate) struct Sink {
    target: TokenSink,
    stale: bool,
    retry: Backoff,
    /// A wrapping is on its way.
    asked: bool,
    wrapping: Option<Sensitive<String>>,
    reader: Option<Reader>,
}

/// What to do for a sink.
pub(crate) enum Next {
    /// It is in step, or its time has not come.
    Nothing,
    /// Ask Vault for a wrapping of this life; [`Sink::wrapped`] takes it.
    Wrap(Duration),
    /// It was tried.
    Written(Result<(), Cause>),
}

impl Sink {
    /// Not written yet: a killed agent may have logged in without writing it.
    pub(crate) const fn new(target: TokenSink) -> Self {
        let retry = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        Self { target, stale: true, retry, asked: false, wrapping: None, reader: None }
    }

    /// There is another token.
    pub(crate) fn outdate(&mut self) {
        self.stale = true;
        self.wrapping = None;
        self.retry.succeeded();
    }

    /// Whether its file has the token of now.
    pub(crate) const fn is_in_step(&self) -> bool {
        !self.stale
    }

    /// When to try again after a failure.
    pub(crate) fn due(&self) -> Option<Time> {
        self.retry.until().filter(|_| self.stale && !self.asked)
    }

    /// Writes if there is something to write and it is time; its readers see the old token or the new one.
    pub(crate) fn next(&mut self, token: &Sensitive<String>, env: &BTreeMap<String, String>, now: Time) -> Next {
        if !self.stale || self.asked || !self.retry.is_due(now) {
            return Next::Nothing;
        }
        let written = match (self.target.wrap_ttl_seconds, self.wrapping.take()) {
            (None, _) => self.write(token, env),
            (Some(_), Some(wrapping)) => self.write(&wrapping, env).inspect_err(|_| self.wrapping = Some(wrapping)),
            (Some(ttl), None) => {
                self.asked = true;
                return Next::Wrap(Duration::from_secs(ttl));
            }
        };
        self.stale = written.is_err();
        if self.stale {
            self.retry.failed(now, random());
        }
        Next::Written(written)
    }

    /// Takes the wrapping in; the cause is for people when there is none.
    pub(crate) fn wrapped(&mut self, answer: Result<Sensitive<String>, VaultError>, now: Time) -> Option<Cause> {
        self.asked = false;
        match answer {
            Ok(wrapping) => self.wrapping = Some(wrapping),
            Err(error) => {
                self.retry.failed(now, random());
                return Some(self.failed("wrapping the token for", &error.answer()));
            }
        }
        None
    }

    fn write(&mut self, text: &Sensitive<String>, env: &BTreeMap<String, String>) -> Result<(), Cause> {
        let Some(seal) = self.target.seal.clone() else { return self.replace(text.expose().as_bytes()) };
        if self.reader.is_none() {
            let reader =
                Reader::read(&seal.key_file).map_err(|words| self.failed("encrypting the token for", &words))?;
            self.reader = Some(reader);
        }
        let named = seal.aad_variable.as_ref();
        let aad = named.map_or(Some(seal.aad.as_str()), |name| env.get(name).map(String::as_str));
        if let (None, Some(name)) = (aad, named) {
            tracing::warn!(
                path = self.target.path,
                "{name} is not set, so the token is sealed without additional data"
            );
        }
        let sealed = match &self.reader {
            Some(reader) => reader.seal(text, aad.unwrap_or_default().as_bytes(), seal.derive_key),
            None => Err("there is no key".to_owned()),
        };
        let sealed = sealed.map_err(|words| self.failed("encrypting the token for", &words))?;
        self.replace(sealed.as_bytes())
    }

    fn replace(&self, bytes: &[u8]) -> Result<(), Cause> {
        let path = Path::new(&self.target.path);
        let written = private::replace(path, bytes, self.target.mode);
        written.map_err(|error| self.failed("writing the token to", &error.to_string()))
    }

    fn failed(&self, attempted: &str, answer: &str) -> Cause {
        Cause::new(Code::FileWrite, format!("{attempted} {}", self.target.path), answer)
    }
}

impl Supervisor {
    /// Keeps the token files in step with the token.
    pub(crate) fn write_sinks(&mut self, now: Time) {
        let Some(token) = self.current(0) else { return };
        let client = self.client(0).ok();
        for (index, sink) in self.sinks.iter_mut().enumerate() {
            match (sink.next(&token, &self.platform.env, now), &client) {
                (Next::Nothing, _) | (Next::Wrap(_), None) => {}
                (Next::Wrap(ttl), Some(client)) => {
                    self.work.spawn(request::wrap(client.clone(), token.clone(), ttl, index));
                }
                (Next::Written(Ok(())), _) => self.troubles.clear(&Subject::Sink(index)),
                (Next::Written(Err(cause)), _) => self.troubles.set(Subject::Sink(index), cause),
            }
        }
    }
}
