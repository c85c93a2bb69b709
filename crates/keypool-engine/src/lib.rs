//! Runs the live pool: loads it from the store, lets `keypool-core` decide, commits through the store and only then
//! opens the value. It knows time, consumers and sealing; it does not know HTTP, JSON shapes or SQL.
//!
//! A draw in a straight line: [`Engine::draw`] locks the pool, core decides, the grant joins the batch that is being
//! gathered; one committer writes each batch in one transaction; then, and only then, the sealed value is opened and
//! handed to the caller. Changes by an admin go through the same committer, in order, and hold from the moment that
//! their answer is there.

mod admin;
mod caller;
mod changes;
mod clock;
mod committer;
mod counts;
mod draw;
mod engine;
mod failure;
mod freshness;
mod gathering;
mod guest;
mod key_pages;
mod live;
mod load;
mod lookout;
mod metadata;
pub mod meters;
mod opener;
mod prune;
mod readiness;
mod reseal;
mod restore;
mod roster;
mod rules;
mod seals;
mod still;
mod timekeeper;
pub mod times;
mod trial;
mod usage;
mod uses;
mod verify;
mod views;
mod watcher;

pub use admin::{ConsumerPatch, FeatureLimit, KeyPatch, NewConsumer, NewKey, NewTier, TierPatch};
pub use caller::Caller;
pub use changes::{ChangeId, ChangeIdError, ChangeView, ChangesQuery};
#[cfg(feature = "simulation")]
pub use clock::RuntimeClock;
pub use clock::{Clock, ManualClock};
pub use counts::{BudgetCounts, Counts, FeatureCounts, KeyCounts, TierCounts};
pub use draw::{DrawError, DrawId, DrawIdError, Refusal, Secret, Served};
pub use engine::{Broken, Engine, EngineSettings};
pub use failure::{AdminError, Invalid, OpenError, Unavailable};
pub use guest::{Guest, OtherKeys, Unnoticed};
pub use key_pages::{KeyPage, KeysQuery};
pub use keypool_core::{ConsumerNo, Limit, Timestamp};
pub use keypool_crypto::is_plausible as is_plausible_token;
pub use keypool_crypto::{
    EncryptionKey, OpenError as ValueError, Plain, Sealer, Token, TokenDigest, TokenTag,
};
pub use keypool_store::{
    BackupError, BackupReport, Check, Existing, Finding, OpenStoreError, RowCounts, backup,
};
#[cfg(feature = "simulation")]
pub use keypool_store::{
    Cell, Errand, Fate, Fault, SimulatedServer, SimulatedSettings, SimulationError,
};
pub use keypool_store::{
    CopyError, CopyProgress, CopyReport, CopyStep, FileFigures, GroupBy, Named, Origin,
    SchemaStatus, Shape, SqliteSettings, StoreSettings, SummaryQuery, SummaryRow, Synchronous,
    copy_pool, schema_status,
};
#[cfg(feature = "libsql")]
pub use keypool_store::{DatabaseUrl, DatabaseUrlError, LibsqlSettings};
pub use live::Vitals;
pub use prune::{PruneError, PruneSettings, Pruned, prune};
pub use reseal::{CopyFound, ResealError, SealReport, check_seals, reseal};
pub use restore::{RestoreError, RestoreSettings, RestoreStep, Restored, restore};
pub use rules::is_feature_name;
pub use seals::{SealCounts, Unopened};
pub use still::{Prospective, SameNames, Still, StillKey};
pub use usage::{UsageQuery, UsageView};
pub use verify::{Verified, verify};
pub use views::{
    AddedKey, ConsumerView, FeatureUsage, FeatureView, IssuedToken, KeyView, ScopeView, TierView,
};

/// Logs why the store could not do what is said.
fn report(error: &keypool_store::StoreError, what: &'static str) {
    let error: &dyn std::error::Error = error;
    tracing::error!(error, "{what}");
}
