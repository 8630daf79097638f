//! Numbers for Prometheus, in the OpenMetrics text form.

use std::fmt;

use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// The `Content-Type` of [`encode`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A registry whose names begin with `prefix_`, holding `<prefix>_build_info`.
pub fn registry(prefix: &str, version: &'static str) -> Registry {
    let mut registry = Registry::with_prefix(prefix);
    registry.register("build", "What is running", Info::new([("version", version)]));
    registry
}

/// The text a scrape gets.
///
/// # Errors
/// A metric cannot be formatted.
pub fn encode(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    text::encode(&mut text, registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn encodes_what_is_registered_under_the_prefix() {
        let mut registry = registry("sidekey_test", "1.2.3");
        let count = Counter::<u64>::default();
        registry.register("things", "Things seen", count.clone());
        count.inc_by(3);
        let text = encode(&registry).unwrap();
        for line in ["sidekey_test_build_info{version=\"1.2.3\"} 1", "sidekey_test_things_total 3", "# EOF"] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
