//! Moments as people and programs write them: RFC 3339, written in UTC with `Z`.

use keypool_core::Timestamp;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::{datetime, format_description};
use time::{Duration, OffsetDateTime, UtcOffset};

const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// The first and the last moment that RFC 3339 can write.
const FIRST: OffsetDateTime = datetime!(0000-01-01 00:00:00 UTC);
const LAST: OffsetDateTime = datetime!(9999-12-31 23:59:59.999 UTC);

/// Reads a moment, to the millisecond; `None` if it is not RFC 3339 or lies outside the years 0 to 9999 in UTC.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    // `time` takes any one character there (RFC 3339 section 5.6 has the grammar).
    text.as_bytes().get(10).filter(|separator| matches!(separator, b'T' | b't'))?;
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let utc = moment.checked_to_offset(UtcOffset::UTC)?;
    let since_epoch = utc - OffsetDateTime::UNIX_EPOCH;
    let in_range = (0..=9999).contains(&utc.year());
    let millis = i64::try_from(since_epoch.whole_milliseconds()).ok()?;
    in_range.then(|| Timestamp::from_millis(millis))
}

/// Writes a moment, cut off to the whole second. One that RFC 3339 can't write is moved to the nearest that it can.
#[must_use]
pub fn to_the_second(moment: Timestamp) -> String {
    write(moment, SECONDS)
}

/// Writes a moment, to the millisecond. One that RFC 3339 can't write is moved to the nearest that it can.
#[must_use]
pub fn to_the_millisecond(moment: Timestamp) -> String {
    write(moment, MILLIS)
}

/// Writes the day of a moment. One that RFC 3339 can't write is moved to the nearest that it can.
#[must_use]
pub fn to_the_day(moment: Timestamp) -> String {
    write(moment, DAY)
}

fn write(moment: Timestamp, format: &[BorrowedFormatItem<'_>]) -> String {
    let moment =
        OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::milliseconds(moment.as_millis()));
    let moment = moment.clamp(FIRST, LAST);
    moment.format(format).expect("a moment of the years 0 to 9999 can be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_any_moment() {
        let cases = [
            (0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999Z"),
            (1_795_450_279_817, "2026-11-23T16:11:19Z", "2026-11-23T16:11:19.817Z"),
            (i64::MAX, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999Z"),
            (i64::MIN, "0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
        ];
        for (millis, seconds, milliseconds) in cases {
            let moment = Timestamp::from_millis(millis);
            assert_eq!(to_the_second(moment), seconds);
            assert_eq!(to_the_millisecond(moment), milliseconds);
            assert_eq!(to_the_day(moment), seconds.split('T').next().unwrap());
        }
    }

    #[test]
    fn reads_rfc_3339_and_nothing_else() {
        let cases = [
            ("2026-11-23T16:11:19Z", Some(1_795_450_279_000)),
            ("2026-11-23T16:11:19.8179Z", Some(1_795_450_279_817)),
            ("2026-11-23T18:11:19+02:00", Some(1_795_450_279_000)),
            ("2026-11-23t16:11:19z", Some(1_795_450_279_000)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799_000)),
            ("9999-12-31T23:59:59-01:00", None),
            ("0000-01-01T00:00:00+01:00", None),
            ("10000-01-01T00:00:00Z", None),
            ("2026-11-23T16:11:19", None),
            ("2026-11-23x16:11:19Z", None),
            ("2026-11-23 16:11:19Z", None),
            ("2026-11-23_16:11:19Z", None),
            ("2026-11-23", None),
            ("2026-02-30T00:00:00Z", None),
            ("2026-11-23T25:11:19Z", None),
            (" 2026-11-23T16:11:19Z", None),
            ("1795450279", None),
            ("soon", None),
            ("", None),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text).map(Timestamp::as_millis), millis, "{text}");
        }
    }
}
