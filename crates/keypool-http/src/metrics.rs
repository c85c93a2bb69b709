//! The page that Prometheus reads: what the engine and this crate have counted, and how the pool stands, in the words and
//! units of one table.
//!
//! No label holds what a caller sent: features and tiers are those that admins made, paths are those of the table of
//! routes. Keys, consumers and tokens are in none.

mod cache;
mod families;
mod format;
mod pool;
mod process;
mod scrape;
mod sheet;
mod work;

use keypool_engine::Timestamp;

pub(crate) use self::cache::Pages;
pub(crate) use self::format::Format;

/// Seconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of some thousand centuries are exact")]
fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1_000.0
}
