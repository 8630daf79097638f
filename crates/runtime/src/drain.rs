//! The end of a process: one signal asks, the second insists.

use std::future::pending;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Exit code when a second signal cuts the drain short.
pub const EXIT_INSISTED: i32 = 130;

/// Tells its holder that the process is about to end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

/// Starts the drain; dropping it without [`Trigger::start`] never does.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// A drain started by code: tests, the demo, a component that ends a process.
pub fn channel() -> (Trigger, Drain) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Drain(receiver))
}

/// A drain started by SIGTERM or SIGINT. A second signal exits at once with [`EXIT_INSISTED`]. Needs a tokio runtime.
///
/// # Errors
/// The signal handlers cannot be installed.
pub fn on_signals() -> io::Result<Drain> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (trigger, drain) = channel();
    tokio::spawn(async move {
        let name = either(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, "draining");
        trigger.start();
        let name = either(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = name, "second signal, leaving at once");
        std::process::exit(EXIT_INSISTED);
    });
    Ok(drain)
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

impl Trigger {
    /// Starts the drain; again changes nothing.
    pub fn start(&self) {
        self.0.send_replace(true);
    }

    /// Another listener.
    pub fn drain(&self) -> Drain {
        Drain(self.0.subscribe())
    }
}

impl Drain {
    /// Returns once the drain has started; at once when it has already. Cancel-safe.
    pub async fn started(&mut self) {
        if self.0.wait_for(|started| *started).await.is_err() {
            pending::<()>().await;
        }
    }

    /// Whether the drain has started.
    pub fn is_started(&self) -> bool {
        *self.0.borrow()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn reaches_every_listener_also_late_ones() {
        let (trigger, mut early) = channel();
        assert!(!early.is_started());
        trigger.start();
        early.started().await;
        let mut late = early.clone();
        late.started().await;
        assert!(trigger.drain().is_started());
    }

    #[tokio::test(start_paused = true)]
    async fn never_starts_because_a_trigger_was_dropped() {
        let (trigger, mut drain) = channel();
        drop(trigger);
        assert!(timeout(Duration::from_secs(3600), drain.started()).await.is_err());
    }
}
