//! The moment that `--before` names.

use keypool_engine::{Timestamp, times};

const DAY_MS: i64 = 86_400_000;

/// Reads a day, a moment or an age in days.
pub(super) fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(days) = text.strip_suffix('d') {
        let is_number = !days.is_empty() && days.bytes().all(|byte| byte.is_ascii_digit());
        let days: i64 = is_number.then(|| days.parse().ok()).flatten()?;
        let ms = now.as_millis().checked_sub(days.checked_mul(DAY_MS)?)?;
        return (ms >= 0).then(|| Timestamp::from_millis(ms));
    }
    let moment = times::parse(text).or_else(|| times::parse(&format!("{text}T00:00:00Z")))?;
    (moment.as_millis() >= 0).then_some(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_days_moments_and_ages() {
        let now = times::parse("2026-03-31T12:00:00Z").unwrap();
        for (text, moment) in [
            ("2026-01-31", Some("2026-01-31T00:00:00Z")),
            ("2026-01-31T12:30:00+02:00", Some("2026-01-31T10:30:00Z")),
            ("90d", Some("2025-12-31T12:00:00Z")),
            ("0d", Some("2026-03-31T12:00:00Z")),
            ("", None),
            ("d", None),
            ("-1d", None),
            ("+1d", None),
            ("90", None),
            ("90h", None),
            ("99999999999999999999d", None),
            ("9999999d", None),
            ("2026-02-30", None),
            ("1969-12-31", None),
            ("yesterday", None),
        ] {
            let moment = moment.map(|text| times::parse(text).unwrap());
            assert_eq!(parse(text, now), moment, "{text}");
        }
    }
}
