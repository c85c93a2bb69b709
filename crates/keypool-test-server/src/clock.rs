//! The server's clock, which statements read through `julianday('now')`; the only page that reads the system's.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};

/// The Julian day of 1970-01-01T00:00:00Z.
const UNIX_EPOCH_DAY: f64 = 2_440_587.5;
const MS_PER_DAY: f64 = 86_400_000.0;

/// What stands for "not set" where a time is an atomic number.
pub(crate) const UNSET: i64 = i64::MIN;

/// The system's clock plus a skew, or what a test has set.
#[derive(Debug)]
pub(crate) struct ServerClock {
    skew_ms: AtomicI64,
    manual_ms: AtomicI64,
    /// A connection whose `julianday` is SQLite's own, for all that is not "now".
    calendar: Mutex<Connection>,
}

/// The moment, to measure how long things last.
pub(crate) fn moment() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "measures how long streams and locks last")]
    Instant::now()
}

impl ServerClock {
    pub(crate) fn open() -> Result<Self, rusqlite::Error> {
        Ok(Self {
            skew_ms: AtomicI64::new(0),
            manual_ms: AtomicI64::new(UNSET),
            calendar: Mutex::new(Connection::open_in_memory()?),
        })
    }

    pub(crate) fn skew(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, now_ms: Option<i64>) {
        self.manual_ms.store(now_ms.unwrap_or(UNSET), Ordering::Relaxed);
    }

    /// Milliseconds since the Unix epoch, by this clock.
    pub(crate) fn now_ms(&self) -> i64 {
        let manual_ms = self.manual_ms.load(Ordering::Relaxed);
        if manual_ms != UNSET {
            return manual_ms;
        }
        #[expect(clippy::disallowed_methods, reason = "this is the clock of the server")]
        let system = SystemTime::now().duration_since(UNIX_EPOCH);
        let system_ms = system.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
        system_ms.saturating_add(self.skew_ms.load(Ordering::Relaxed))
    }

    /// `julianday(...)` as SQLite has it, save that "now" is `now_ms`.
    fn julian_day(&self, context: &Context<'_>, now_ms: i64) -> Result<Value, rusqlite::Error> {
        let mut arguments = (0..context.len())
            .map(|index| context.get(index))
            .collect::<Result<Vec<Value>, _>>()?;
        let today = Value::Real(julian_day_of(now_ms));
        let asks_for_now = match context.len() {
            0 => true,
            _ => is_now(context.get_raw(0)),
        };
        if asks_for_now && arguments.len() < 2 {
            return Ok(today);
        }
        if let Some(time) = arguments.first_mut().filter(|_| asks_for_now) {
            *time = today;
        }
        let marks = vec!["?"; arguments.len()].join(",");
        let calendar = self.calendar.lock().expect("no thread panics while it asks the calendar");
        let mut statement = calendar.prepare_cached(&format!("SELECT julianday({marks})"))?;
        statement.query_row(params_from_iter(arguments), |row| row.get(0))
    }
}

/// Puts the clock's `julianday` in place of SQLite's. `statement_ms` holds the time of the statement under way, or
/// [`UNSET`] until it asks: within one statement it is always the same time.
pub(crate) fn install(
    connection: &Connection,
    clock: Arc<ServerClock>,
    statement_ms: Arc<AtomicI64>,
) -> Result<(), rusqlite::Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("julianday", -1, flags, move |context| {
        let mut now_ms = statement_ms.load(Ordering::Relaxed);
        if now_ms == UNSET {
            now_ms = clock.now_ms();
            statement_ms.store(now_ms, Ordering::Relaxed);
        }
        clock.julian_day(context, now_ms)
    })
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of the next 200,000 years are exact")]
fn julian_day_of(unix_ms: i64) -> f64 {
    unix_ms as f64 / MS_PER_DAY + UNIX_EPOCH_DAY
}

fn is_now(argument: ValueRef<'_>) -> bool {
    argument.as_str().is_ok_and(|text| text.eq_ignore_ascii_case("now"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: &str = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)";

    fn connection(clock: &Arc<ServerClock>) -> (Connection, Arc<AtomicI64>) {
        let connection = Connection::open_in_memory().unwrap();
        let statement_ms = Arc::new(AtomicI64::new(UNSET));
        install(&connection, Arc::clone(clock), Arc::clone(&statement_ms)).unwrap();
        (connection, statement_ms)
    }

    #[test]
    fn now_is_exact_to_the_millisecond() {
        let clock = Arc::new(ServerClock::open().unwrap());
        let (connection, statement_ms) = connection(&clock);
        for step in 0..100_000_i64 {
            let unix_ms = step * 40_000_003;
            clock.set(Some(unix_ms));
            statement_ms.store(UNSET, Ordering::Relaxed);
            let mut statement = connection.prepare_cached(NOW_MS).unwrap();
            let read: i64 = statement.query_row([], |row| row.get(0)).unwrap();
            assert_eq!(read, unix_ms);
        }
    }

    #[test]
    fn all_else_is_as_in_sqlite() {
        let clock = Arc::new(ServerClock::open().unwrap());
        clock.set(Some(1_700_000_000_123));
        let (ours, _) = connection(&clock);
        let theirs = Connection::open_in_memory().unwrap();
        for (asked, expected) in [
            ("julianday('2024-02-29 12:30:45.678')", "julianday('2024-02-29 12:30:45.678')"),
            ("julianday('2024-02-29', '+1 day')", "julianday('2024-02-29', '+1 day')"),
            ("julianday(2460000.5)", "julianday(2460000.5)"),
            ("julianday('never')", "julianday('never')"),
            ("julianday(NULL)", "julianday(NULL)"),
            ("julianday('NOW', '+1 day')", "julianday('2023-11-14 22:13:20.123', '+1 day')"),
            ("julianday()", "julianday('2023-11-14 22:13:20.123')"),
        ] {
            let read = |connection: &Connection, text: &str| -> Option<f64> {
                connection.query_row(&format!("SELECT {text}"), [], |row| row.get(0)).unwrap()
            };
            let (asked, expected) = (read(&ours, asked), read(&theirs, expected));
            assert_eq!(asked.is_some(), expected.is_some());
            let apart = asked.unwrap_or(0.0) - expected.unwrap_or(0.0);
            assert!(apart.abs() < 0.000_000_002, "{apart} days apart");
        }
    }
}
