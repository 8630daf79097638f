//! Log lines on stderr, as JSON or as text.

use std::io::Write;
use std::panic::PanicHookInfo;

use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// Why logging could not be set up, or changed.
#[derive(Debug, Error)]
pub enum LogError {
    /// Not a level's name.
    #[error("{0:?} is not a log level: use off, error, warn, info, debug or trace")]
    Level(String),
    /// Somebody set a subscriber before.
    #[error("logging was set up twice")]
    Twice(#[from] TryInitError),
    /// The subscriber has gone, or died of a panic.
    #[error("the log is not there to be changed")]
    Gone(#[from] reload::Error),
}

/// Changes the level of a running process.
#[derive(Clone)]
pub struct Control(reload::Handle<Targets, Registry>);

impl Control {
    /// Says as much as [`init`] with this level would, from now on.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        Ok(self.0.reload(targets(parse_level(level)?))?)
    }
}

/// Sends every event of this process to stderr, and panics too, as one line without their message: a message of the
/// standard library quotes the string at fault, which may be a secret.
///
/// `level` is `off`, `error`, `warn` (`warning`), `info`, `debug` or `trace`, in any case; `debug-extended`, which the chart of the
/// Vault Secrets Operator knows, is `debug`. Other people's crates say
/// no more than `info`, since below that some quote what they carry, and the Kubernetes client nothing of a call that failed: it
/// does not say which, and who made the call does.
///
/// # Errors
/// [`LogError`].
pub fn init(level: &str, json: bool) -> Result<Control, LogError> {
    let (filter, handle) = reload::Layer::new(targets(parse_level(level)?));
    Registry::default().with(layer(filter, json, std::io::stderr)).try_init()?;
    std::panic::set_hook(Box::new(on_panic));
    Ok(Control(handle))
}

fn parse_level(name: &str) -> Result<LevelFilter, LogError> {
    match name.trim().to_ascii_lowercase().as_str() {
        "off" => Ok(LevelFilter::OFF),
        "error" | "err" => Ok(LevelFilter::ERROR),
        "warn" | "warning" => Ok(LevelFilter::WARN),
        "info" | "notice" => Ok(LevelFilter::INFO),
        "debug" | "debug-extended" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(LogError::Level(name.to_owned())),
    }
}

fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        .with_target("kube_client::client::builder", LevelFilter::OFF)
        .with_target("sidekey", level)
}

fn layer<F, W>(filter: F, json: bool, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    F: Filter<Registry> + Send + Sync + 'static,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_ansi(false).with_writer(writer);
    if json {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).with_filter(filter).boxed()
    } else {
        lines.with_filter(filter).boxed()
    }
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let (file, line) = info.location().map_or(("?", 0), |place| (place.file(), place.line()));
    if tracing::enabled!(target: "sidekey", tracing::Level::ERROR) {
        tracing::error!(target: "sidekey", file, line, "panicked");
    } else {
        let _ = writeln!(std::io::stderr(), "panicked at {file}:{line}");
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn of(level: &str, json: bool, act: impl FnOnce()) -> String {
            Self::changing(level, json, |_| act())
        }

        fn changing(level: &str, json: bool, act: impl FnOnce(Control)) -> String {
            let lines = Self::default();
            let writer = lines.clone();
            let (filter, handle) = reload::Layer::new(targets(parse_level(level).unwrap()));
            let layer = layer(filter, json, move || writer.clone());
            tracing::subscriber::with_default(Registry::default().with(layer), || act(Control(handle)));
            String::from_utf8(std::mem::take(&mut *lines.0.lock().unwrap())).unwrap()
        }
    }

    #[test]
    fn writes_one_flat_json_object_per_event() {
        let text = Lines::of("debug", true, || tracing::debug!(target: "sidekey_agent", code = "SK3001", "waiting"));
        assert_eq!(text.lines().count(), 1);
        for part in
            [r#""level":"DEBUG""#, r#""message":"waiting""#, r#""code":"SK3001""#, r#""target":"sidekey_agent""#]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn writes_text_when_asked() {
        let text = Lines::of("info", false, || tracing::info!(target: "sidekey_agent", path = "a", "written"));
        assert!(text.contains("INFO") && text.contains("written") && text.contains("path"), "{text}");
        assert!(!text.contains('{'), "{text}");
    }

    #[test]
    fn keeps_other_crates_quiet_below_info() {
        let fine = || tracing::trace!(target: "hyper::proto", "a header");
        let detail = || tracing::debug!(target: "kube_client", "a body");
        let plain = || tracing::info!(target: "kube_client", "fit to print");
        let ours = || tracing::trace!(target: "sidekey_webhook::server", "ours");
        let text = Lines::of("trace", true, || [fine(), detail(), plain(), ours()].into_iter().collect());
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("fit to print") && text.contains("ours"));
    }

    #[test]
    fn leaves_a_failed_call_to_who_made_it() {
        let text = Lines::of("info", true, || {
            tracing::error!(target: "kube_client::client::builder", "failed with error client error (Connect)");
            tracing::warn!(target: "sidekey_operator::leader", error = "GET /apis/x: refused", "the Lease cannot be taken");
        });
        assert!(text.lines().count() == 1 && text.contains("GET /apis/x"), "{text}");
    }

    #[test]
    fn says_nothing_when_off() {
        assert_eq!(Lines::of("off", true, || tracing::error!(target: "sidekey", "x")), "");
    }

    #[test]
    fn says_more_and_less_while_it_runs() {
        let say = |word: &str| {
            tracing::debug!(target: "sidekey_agent", word);
            tracing::debug!(target: "hyper::proto", word);
        };
        let text = Lines::changing("info", true, |control| {
            say("before");
            control.set_level("debug").unwrap();
            say("between");
            control.set_level("loud").unwrap_err();
            say("still");
            control.set_level("warn").unwrap();
            say("after");
        });
        assert!(text.lines().count() == 2 && text.contains("between") && text.contains("still"), "{text}");
    }

    #[test]
    fn refuses_an_unknown_level_by_name() {
        assert_eq!(
            parse_level("loud").unwrap_err().to_string(),
            "\"loud\" is not a log level: use off, error, warn, info, debug or trace"
        );
        assert_eq!(parse_level(" Warning ").unwrap(), LevelFilter::WARN);
        assert_eq!(parse_level("debug-extended").unwrap(), LevelFilter::DEBUG);
    }
}
