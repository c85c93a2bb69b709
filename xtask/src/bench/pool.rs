//! Pools to be measured: made by a server's own admin API, and filled with usage events by the store's own hand.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use keypool_core::{ConsumerNo, GrantId, ReplicaNo, Timestamp};
use keypool_store::{
    BudgetCharge, DrawBatch, EventRow, RateCharge, SqliteSettings, Synchronous, inspect,
};
use serde_json::{Value, json};

use crate::bench::client::Client;
use crate::bench::process::{ADMIN_TOKEN, Server};

/// Events that are put on record in one go.
const BATCH: usize = 2_000;

/// The limits of the keys of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    Unlimited,
    /// A budget with a window, too large to be spent.
    Budgeted,
    /// One call a day each, by the tier's rate limit.
    OneADay,
    /// A rate window of one second each, too large to be used up.
    ShortWindow,
}

/// Makes a pool of one tier and so many keys. Returns the token of a consumer who may draw `search` from it.
pub(crate) fn set_up(server: &Server, keys: Keys, count: usize) -> anyhow::Result<String> {
    let mut admin = server.client(ADMIN_TOKEN)?;
    let rate_limit = if keys == Keys::OneADay { 1 } else { 1_000_000_000 };
    let window_seconds = if keys == Keys::ShortWindow { 1 } else { 86_400 };
    let search = json!({"rate_limit": rate_limit, "window_seconds": window_seconds});
    admin.call("POST", "/admin/tiers", &json!({"name": "wide", "features": {"search": search}}))?;
    admin.call("POST", "/admin/keys", &new_keys(keys, count))?;
    add_consumer(&mut admin, "bench")
}

/// Adds so many further consumers of the same tier.
pub(crate) fn add_consumers(server: &Server, count: usize) -> anyhow::Result<()> {
    let mut admin = server.client(ADMIN_TOKEN)?;
    (0..count).try_for_each(|n| add_consumer(&mut admin, &format!("further-{n}")).map(drop))
}

/// Returns the new consumer's token.
fn add_consumer(admin: &mut Client, name: &str) -> anyhow::Result<String> {
    let consumer = json!({"name": name, "description": ""});
    let consumer = admin.call("POST", "/admin/consumers", &consumer)?;
    let text = |member: &str| consumer[member].as_str().context("a consumer has an id and a token");
    let scopes = format!("/admin/consumers/{}/scopes", text("id")?);
    admin.call("POST", &scopes, &json!({"tier": "wide"}))?;
    Ok(text("token")?.to_owned())
}

/// The body that adds so many keys.
pub(crate) fn new_keys(keys: Keys, count: usize) -> Value {
    let key = |number: usize| {
        let mut key = json!({"name": format!("key-{number}"), "tier": "wide", "key": format!("sk-live-{number:024}")});
        if keys == Keys::Budgeted {
            key["usage_limit"] = json!(1_000_000_000_000_i64);
            key["usage_window_seconds"] = json!(86_400);
        }
        key
    };
    (0..count).map(key).collect()
}

/// Puts so many usage events of the pool's keys on record, in turn, the last some minutes ago. The server has stopped.
pub(crate) fn fill(database: &Path, events: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let settings = SqliteSettings {
            path: database.to_owned(),
            synchronous: Synchronous::Normal,
            busy_timeout: Duration::from_secs(5),
        };
        let store = inspect(settings).await?.open().await?;
        let pool = store.load().await?;
        let feature = pool.tiers.first().and_then(|tier| tier.features.first());
        let (feature, _) = *feature.context("the pool has a feature")?;
        let replica = ReplicaNo::new(1023).context("1023 is a replica")?;
        let newest = now().as_millis() - 600_000;
        let oldest = newest - i64::try_from(events)? / 1000 - 1;
        let id = |n: usize| {
            let at = Timestamp::from_millis(oldest + i64::try_from(n / 1000).unwrap_or(0));
            GrantId::compose(at, replica, u16::try_from(n % 1000).unwrap_or(0))
        };
        for first in (0..events).step_by(BATCH) {
            let mut batch = DrawBatch { revision: pool.revision, ..DrawBatch::default() };
            for n in first..events.min(first + BATCH) {
                let key = pool.keys[n % pool.keys.len()].no;
                let id = id(n).context("an id of today")?;
                batch.events.push(EventRow { id, key, consumer: ConsumerNo::new(0), feature });
                match batch.rates.get_mut((n - first) % pool.keys.len()) {
                    Some(charge) => (charge.count, charge.last) = (charge.count + 1, id),
                    None => batch.rates.push(RateCharge {
                        key,
                        feature,
                        since: Timestamp::from_millis(oldest),
                        count: 1,
                        first: id,
                        last: id,
                    }),
                }
            }
            let budget = |rate: &RateCharge| {
                let RateCharge { key, count, first, last, .. } = *rate;
                BudgetCharge { key, since: None, count, first, last }
            };
            batch.budgets = batch.rates.iter().map(budget).collect();
            store.commit_draws(&batch).await?;
        }
        let wrong = store.check_counters().await?;
        if !wrong.is_empty() {
            bail!("{} counters differ from their events", wrong.len());
        }
        store.close().await;
        Ok(())
    })
}

#[expect(clippy::disallowed_methods, reason = "the events are of today")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_millis(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0)))
}
