//! How long a token or a lease lives: one rule for both, with the server's own warnings.

use std::time::Duration;

use serde_json::Value;

use crate::clock::At;

/// The system's default and longest time to live: 768 h.
pub(crate) const SYSTEM: Duration = Duration::from_secs(768 * 3600);

/// What a role allows; zero stands for "not set".
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    pub ttl: Duration,
    pub max_ttl: Duration,
    pub period: Duration,
    pub explicit_max_ttl: Duration,
}

impl Terms {
    /// The time granted at `now` to something issued at `issued`, and the warnings that go with it.
    ///
    /// # Errors
    /// The server's own text when nothing is left.
    pub(crate) fn grant(
        &self,
        increment: Duration,
        issued: At,
        now: At,
    ) -> Result<(Duration, Vec<String>), &'static str> {
        let mut warnings = Vec::new();
        // Vault reckons in whole seconds.
        let (issued, now) = (Duration::from_secs(issued.as_secs()), Duration::from_secs(now.as_secs()));
        let longest = [self.max_ttl, self.explicit_max_ttl]
            .into_iter()
            .filter(|time| !time.is_zero())
            .fold(SYSTEM, Duration::min);
        let (wanted, end) = if self.period.is_zero() {
            let wanted = [increment, self.ttl].into_iter().find(|time| !time.is_zero()).unwrap_or(SYSTEM);
            (wanted, Some(issued + longest))
        } else {
            if self.period > longest {
                warnings.push(format!(
                    "period of \"{}\" exceeded the effective max_ttl of \"{}\"; period value is capped accordingly",
                    short(self.period),
                    short(longest)
                ));
            }
            (self.period.min(longest), (!self.explicit_max_ttl.is_zero()).then(|| issued + self.explicit_max_ttl))
        };
        let Some(end) = end else { return Ok((wanted, warnings)) };
        let left = end.saturating_sub(now);
        if left.is_zero() {
            return Err("past the max TTL, cannot renew");
        }
        if wanted <= left {
            return Ok((wanted, warnings));
        }
        warnings.push(format!(
            "TTL of \"{}\" exceeded the effective max_ttl of \"{}\"; TTL value is capped accordingly",
            short(wanted),
            short(left)
        ));
        Ok((left, warnings))
    }
}

/// `1h1m1s` without its zero parts.
pub(crate) fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    let parts = [(seconds / 3600, 'h'), (seconds % 3600 / 60, 'm'), (seconds % 60, 's')];
    let text: String =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A duration as the API takes it: a number of seconds, the same as text, or Go's `1h30m`.
pub(crate) fn parse(value: &Value) -> Option<Duration> {
    if let Some(seconds) = value.as_u64() {
        return Some(Duration::from_secs(seconds));
    }
    let text = value.as_str()?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (mut total, mut count) = (0_u64, None);
    for character in text.chars() {
        if let Some(digit) = character.to_digit(10) {
            count = Some(count.unwrap_or(0_u64).checked_mul(10)?.checked_add(u64::from(digit))?);
            continue;
        }
        let unit = match character {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total = total.checked_add(count.take()?.checked_mul(unit)?)?;
    }
    count.is_none().then(|| Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn caps_a_renewal_at_the_longest_life_and_says_so() {
        let terms = Terms { ttl: s(60), max_ttl: s(120), ..Terms::default() };
        assert_eq!(terms.grant(s(0), s(0), s(10)), Ok((s(60), vec![])));
        assert_eq!(terms.grant(s(30), s(0), s(10)), Ok((s(30), vec![])));
        let (granted, warnings) = terms.grant(s(600), s(0), s(0)).unwrap();
        assert_eq!(granted, s(120));
        assert_eq!(
            warnings,
            ["TTL of \"10m\" exceeded the effective max_ttl of \"2m\"; TTL value is capped accordingly"]
        );
        assert_eq!(terms.grant(s(0), s(0), s(90)).unwrap().0, s(30));
        assert!(terms.grant(s(0), s(0), s(120)).is_err());
    }

    #[test]
    fn gives_a_periodic_token_its_period_for_ever_unless_an_explicit_maximum_ends_it() {
        let terms = Terms { period: s(120), ..Terms::default() };
        assert_eq!(terms.grant(s(7), s(0), s(99_999_999)), Ok((s(120), vec![])));
        let ended = Terms { explicit_max_ttl: s(180), ..terms };
        assert_eq!(ended.grant(s(0), s(0), s(100)).unwrap().0, s(80));
    }

    #[test]
    fn reads_durations_as_the_api_takes_them() {
        for (value, seconds) in
            [(Value::from(30), Some(30)), ("30".into(), Some(30)), ("1h1m1s".into(), Some(3661)), ("x".into(), None)]
        {
            assert_eq!(parse(&value), seconds.map(s), "{value}");
        }
        assert_eq!(short(s(3661)), "1h1m1s");
        assert_eq!(short(s(0)), "0s");
    }
}
