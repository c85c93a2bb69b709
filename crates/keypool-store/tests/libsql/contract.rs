//! What every driver has to keep: the pages of the SQLite tests that are about the store and not about a file.

#[path = "../it/chain.rs"]
pub(crate) mod chain;
#[path = "../it/changes.rs"]
mod changes;
#[path = "../it/consumers.rs"]
mod consumers;
#[path = "../it/draws.rs"]
mod draws;
#[path = "../it/key_updates.rs"]
mod key_updates;
#[path = "../it/prune.rs"]
mod prune;
#[path = "../it/records.rs"]
mod records;
#[path = "../it/reseal.rs"]
mod reseal;
#[path = "../it/snapshot.rs"]
mod snapshot;
#[path = "../it/usage.rs"]
mod usage;
