//! One endpoint a page, named by its verb. Each reads its input, asks the engine, and shapes the answer.

mod add_consumer;
mod add_key;
mod add_scope;
mod add_tier;
mod delete_consumer;
mod delete_key;
mod delete_tier;
mod draw_key;
mod health;
mod issue_token;
mod list_changes;
mod list_consumers;
mod list_keys;
mod list_tiers;
mod list_usage;
mod ready;
mod remove_scope;
mod show_key;
mod show_metrics;
mod show_openapi;
mod show_pool_health;
mod summarise_usage;
mod update_consumer;
mod update_key;
mod update_tier;
mod update_tier_by_id;

use keypool_engine::{AdminError, Engine, Timestamp};
use serde::Serialize;
use serde::ser::Serializer;
use serde_json::value::RawValue;

use crate::problem::Problem;
use crate::times;

pub(crate) use add_consumer::add_consumer;
pub(crate) use add_key::{add_key, read_key};
pub(crate) use add_scope::add_scope;
pub(crate) use add_tier::add_tier;
pub(crate) use delete_consumer::delete_consumer;
pub(crate) use delete_key::delete_key;
pub(crate) use delete_tier::delete_tier;
pub(crate) use draw_key::draw_key;
pub use draw_key::grant_body;
pub(crate) use health::health;
pub(crate) use issue_token::issue_token;
pub(crate) use list_changes::list_changes;
pub(crate) use list_consumers::list_consumers;
pub(crate) use list_keys::list_keys;
pub(crate) use list_tiers::list_tiers;
pub(crate) use list_usage::list_usage;
pub(crate) use ready::ready;
pub(crate) use remove_scope::remove_scope;
pub(crate) use show_key::show_key;
pub(crate) use show_metrics::show_metrics;
pub(crate) use show_openapi::show_openapi;
pub(crate) use show_pool_health::show_pool_health;
pub(crate) use summarise_usage::summarise_usage;
pub(crate) use update_consumer::update_consumer;
pub(crate) use update_key::update_key;
pub(crate) use update_tier::update_tier;
pub(crate) use update_tier_by_id::update_tier_by_id;

/// `{"status": "…"}`.
#[derive(Serialize)]
struct Status {
    status: &'static str,
}

/// A JSON object whose members keep their order.
pub(crate) struct Ordered<T>(pub(crate) T);

impl<K, V, T> Serialize for Ordered<T>
where
    K: Serialize,
    V: Serialize,
    T: Iterator<Item = (K, V)> + Clone,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone())
    }
}

/// Metadata as it was given; what a taken-over row holds that is no JSON object counts as none, as it did before.
pub(crate) fn metadata(text: &str) -> &RawValue {
    let object = if text.starts_with('{') { serde_json::from_str(text).ok() } else { None };
    object.unwrap_or_else(|| serde_json::from_str("{}").expect("an empty object is JSON"))
}

/// The moment in a parameter, if it is given.
fn read_moment(name: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let problem =
        "must be a moment (RFC 3339), such as 2026-11-23T16:11:19Z; a `+` in it is written %2B";
    times::parse(text).map(Some).ok_or_else(|| Problem::field(name, problem))
}

/// The problem that stands for a refused change; one that was found in memory is confirmed first.
async fn refused(engine: &Engine, error: AdminError) -> Problem {
    let from_memory = match error {
        AdminError::Unknown { .. }
        | AdminError::NameTaken { .. }
        | AdminError::TierInUse { .. } => true,
        AdminError::Invalid(_) | AdminError::Unavailable(_) => false,
    };
    if from_memory && let Err(unavailable) = engine.confirm_current().await {
        return unavailable.into();
    }
    error.into()
}
