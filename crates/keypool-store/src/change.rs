//! An admin change: what it is, and the write that it becomes. Every change raises the pool's revision first; where
//! that touches no row, it was decided on a state that is no more.

mod consumers;
mod keys;
mod tiers;

use keypool_core::{ConsumerNo, FeatureNo, KeyNo, TierNo, Timestamp};

pub use self::consumers::NewConsumer;
pub use self::keys::NewKey;
pub use self::tiers::NewTier;
use crate::driver::Statement;
use crate::snapshot::TierFeature;

/// One admin change, applied whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision that it was decided on; it becomes one more.
    pub base: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: ChangeKind,
}

/// What an admin can change. Numbers are the caller's choice: one above the highest ever given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Adds a tier.
    AddTier(NewTier),
    /// Replaces what is given of a tier.
    UpdateTier {
        /// The tier.
        no: TierNo,
        /// Its new description.
        description: Option<String>,
        /// The whole set of features that it covers from now on.
        features: Option<Vec<(FeatureNo, TierFeature)>>,
        /// Features that are named for the first time.
        new_features: Vec<(FeatureNo, String)>,
    },
    /// Adds keys, all or none.
    AddKeys(Vec<NewKey>),
    /// Leaves of a key only what the audit needs: number, UUID and name.
    DeleteKey(KeyNo),
    /// Adds a consumer.
    AddConsumer(NewConsumer),
    /// Leaves of a consumer only what the audit needs; its token and scopes go.
    DeleteConsumer(ConsumerNo),
    /// Lets a consumer draw from a tier; twice is harmless.
    AddScope {
        /// The consumer.
        consumer: ConsumerNo,
        /// The tier.
        tier: TierNo,
    },
    /// Ends that; twice is harmless.
    RemoveScope {
        /// The consumer.
        consumer: ConsumerNo,
        /// The tier.
        tier: TierNo,
    },
}

impl Change {
    /// The write: the revision first, so that a stale change is told from every other failure.
    pub(crate) fn statements(&self) -> Vec<Statement> {
        let raise = "UPDATE pool SET revision = revision + 1 WHERE revision = ?1";
        let mut write = vec![Statement::new(raise).with(self.base).touching(1)];
        match &self.what {
            ChangeKind::AddTier(tier) => tiers::add(&mut write, tier, self.at),
            ChangeKind::UpdateTier { no, description, features, new_features } => {
                tiers::update(
                    &mut write,
                    *no,
                    description.as_deref(),
                    features.as_deref(),
                    new_features,
                );
            }
            ChangeKind::AddKeys(new) => keys::add(&mut write, new, self.at),
            ChangeKind::DeleteKey(no) => keys::delete(&mut write, *no, self.at),
            ChangeKind::AddConsumer(consumer) => consumers::add(&mut write, consumer, self.at),
            ChangeKind::DeleteConsumer(no) => consumers::delete(&mut write, *no, self.at),
            ChangeKind::AddScope { consumer, tier } => {
                consumers::add_scopes(&mut write, *consumer, &[*tier]);
            }
            ChangeKind::RemoveScope { consumer, tier } => {
                consumers::remove_scope(&mut write, *consumer, *tier);
            }
        }
        write
    }
}

/// Rows as a JSON array, to be one parameter.
fn json<T: serde::Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).expect("texts and numbers become JSON")
}
