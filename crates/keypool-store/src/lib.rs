//! Remembers the pool: the only crate that knows SQL. It sees sealed text and cannot open it.
//!
//! [`inspect`] takes the lock of a database file and says what is in it without changing it; [`Prospect::open`] brings
//! it up to date and gives a [`Store`]. What the store holds is loaded once, as a [`Snapshot`]; after that draws come
//! as batches ([`Store::commit_draws`]) and admin changes one by one ([`Store::change`]). The database judges both: it
//! refuses what its own limits or its revision do not allow.

mod backup;
mod change;
mod compact;
mod copies_beside;
mod copy;
mod counters;
mod draws;
mod driver;
mod error;
mod figures;
#[cfg(feature = "libsql")]
mod libsql;
mod migrate;
mod oddities;
mod prospect;
mod prune;
mod pulse;
mod recognise;
mod record;
mod reseal;
mod restore;
mod settings;
#[cfg(feature = "simulation")]
mod simulated;
mod snapshot;
mod sqlite;
mod standing;
mod store;
mod takeover_copy;
mod usage;
mod uses;
mod values;
mod verify;

pub use backup::{BackupError, BackupReport, backup};
pub use change::{
    Balance, Change, ChangeKind, ConsumerUpdate, KeyUpdate, NewConsumer, NewKey, NewTier, NewToken,
    TierUpdate,
};
pub use copies_beside::{CopyBeside, CopyBesideError, copies_beside};
pub use copy::{CopyError, CopyProgress, CopyReport, CopyStep, copy_pool};
pub use counters::CounterMismatch;
pub use draws::{BudgetCharge, DrawBatch, EventRow, RateCharge};
pub use driver::{DriverError, Host, Seat};
pub use error::{OpenStoreError, StoreError, WriteError};
pub use figures::FileFigures;
#[cfg(feature = "libsql")]
pub use libsql::{DatabaseUrl, DatabaseUrlError, LibsqlSettings, PATIENCE};
pub use migrate::{AppliedMigration, PendingMigration, SchemaStatus, schema_status};
pub use oddities::Oddity;
pub use prospect::{Prospect, inspect, visit};
pub use prune::{OpenWindow, Prunable, PruneBatch};
pub use pulse::Pulse;
pub use recognise::Shape;
pub use record::{ChangeRecord, ChangeRow, ChangesQuery, Origin};
pub use reseal::{NewSeal, Resealing};
pub use restore::{Existing, RestoreError, RestorePlace, RestoreReport};
pub use settings::{SqliteSettings, StoreSettings, Synchronous};
#[cfg(feature = "simulation")]
pub use simulated::{
    Cell, Errand, Fate, Fault, SimulatedServer, SimulatedSettings, SimulationError,
};
pub use snapshot::{
    ConsumerRow, CounterRow, Extent, FormerToken, Gone, KeyRow, LastNumbers, Snapshot, TierFeature,
    TierRow, read_snapshot,
};
pub use standing::{KeyStanding, Standing};
pub use store::Store;
pub use usage::summary::{GroupBy, Named, Summary, SummaryQuery, SummaryRow};
pub use usage::{UsageQuery, UsageRow};
pub use values::StoredValue;
pub use verify::{Check, Finding, RowCounts, Verification, verify};
