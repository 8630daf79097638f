//! The webhook's numbers.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use sidekey_core::Code;

use crate::server::Connections;

/// Upper bounds in seconds: an admission takes microseconds, an API server gives up after seconds.
const BUCKETS: [f64; 11] = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0];

/// Handles to every number; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    admissions: Family<Label, Counter>,
    duration: Histogram,
    /// Reviews being read or decided.
    pub in_flight: Gauge,
    /// Of the webhook port.
    pub connections: Connections,
    expiry: Family<Kind, Gauge>,
    reloads: Family<Reload, Counter>,
    api_errors: Counter<u64, AtomicU64>,
    /// Pods without the agent they ask for, as last seen; 0 at replicas that do not look.
    pub missed: Gauge,
    /// Pods evicted so that they come back injected.
    pub evicted: Counter<u64, AtomicU64>,
    /// 1 when pods get native sidecars unless settings say otherwise.
    pub native_sidecars: Gauge,
}

/// What came of an admission, and why: a skip's word, or a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Label {
    outcome: Word,
    reason: Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Word {
    Plain(&'static str),
    Code(Code),
}

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        use std::fmt::Write;
        match self {
            Self::Plain(word) => encoder.write_str(word),
            Self::Code(code) => write!(encoder, "{code}"),
        }
    }
}

impl Label {
    /// The pod got a patch, or needed none of it.
    pub const fn injected() -> Self {
        Self { outcome: Word::Plain("injected"), reason: Word::Plain("") }
    }

    /// Let in as it is.
    pub const fn skipped(reason: &'static str) -> Self {
        Self { outcome: Word::Plain("skipped"), reason: Word::Plain(reason) }
    }

    /// Refused.
    pub const fn denied(code: Code) -> Self {
        Self { outcome: Word::Plain("denied"), reason: Word::Code(code) }
    }

    /// Not answered.
    pub const fn error(code: Code) -> Self {
        Self { outcome: Word::Plain("error"), reason: Word::Code(code) }
    }
}

/// Adds one to a gauge for as long as it lives, also when a request is given up or panics.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    /// One more.
    pub fn on(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    certificate: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    of: &'static str,
    result: &'static str,
}

impl Metrics {
    /// Registers them all; the registry's prefix names the program.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            admissions: Family::default(),
            duration: Histogram::new(BUCKETS),
            in_flight: Gauge::default(),
            connections: Connections::default(),
            expiry: Family::default(),
            reloads: Family::default(),
            api_errors: Counter::default(),
            missed: Gauge::default(),
            evicted: Counter::default(),
            native_sidecars: Gauge::default(),
        };
        registry.register("admissions", "Admission reviews by outcome and reason", metrics.admissions.clone());
        registry.register_with_unit(
            "admission_duration",
            "Time to decide a review, without the network",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register("admissions_in_flight", "Admission reviews being read or decided", metrics.in_flight.clone());
        registry.register("connections", "Open connections of the webhook port", metrics.connections.open.clone());
        registry.register(
            "connections_closed",
            "Connections closed without an answer, as too many were open",
            metrics.connections.closed.clone(),
        );
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "When the certificate in service, and the CA that made it, end (Unix time)",
            Unit::Seconds,
            metrics.expiry.clone(),
        );
        registry.register("reloads", "Files read again after a change, by result", metrics.reloads.clone());
        registry.register(
            "kubernetes_api_errors",
            "Calls to the Kubernetes API that failed",
            metrics.api_errors.clone(),
        );
        registry.register(
            "pods_not_injected",
            "Pods without the agent they ask for, as last seen; 0 at replicas that do not look",
            metrics.missed.clone(),
        );
        registry.register("pods_evicted", "Pods evicted so that they come back injected", metrics.evicted.clone());
        registry.register(
            "native_sidecars",
            "1 when every node runs native sidecars, as last seen",
            metrics.native_sidecars.clone(),
        );
        metrics
    }

    /// One answered review.
    pub fn admitted(&self, label: Label, took: Duration) {
        self.admissions.get_or_create(&label).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// One review turned away unread.
    pub fn turned_away(&self, code: Code) {
        self.admissions.get_or_create(&Label::error(code)).inc();
    }

    /// When the certificate in service ends, Unix seconds.
    pub fn leaf_expires(&self, unix: i64) {
        self.expiry.get_or_create(&Kind { certificate: "leaf" }).set(unix);
    }

    /// When the CA in service ends, Unix seconds.
    pub fn ca_expires(&self, unix: i64) {
        self.expiry.get_or_create(&Kind { certificate: "ca" }).set(unix);
    }

    /// A file was read again.
    pub fn reloaded(&self, of: &'static str, good: bool) {
        let result = if good { "success" } else { "failure" };
        self.reloads.get_or_create(&Reload { of, result }).inc();
    }

    /// A call to the Kubernetes API failed.
    pub fn api_failed(&self) {
        self.api_errors.inc();
    }
}
