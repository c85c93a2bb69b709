//! The batch that is being gathered: grants that wait to be recorded, and what they add to the counters.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use keypool_core::{FeatureNo, Grant, GrantId, KeyNo, Timestamp};
use keypool_store::{BudgetCharge, DrawBatch, EventRow, RateCharge};
use tokio::sync::oneshot;

use crate::roster::SealedKey;
use crate::{Caller, DrawError};

/// Draws in a batch, at most: it stays below what gateways let through, and one that fails does not fail all.
const MOST_DRAWS: usize = 2_000;

/// A grant that was recorded, still sealed.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) id: GrantId,
    pub(crate) key: Arc<SealedKey>,
}

pub(crate) type DrawReply = oneshot::Sender<Result<Recorded, DrawError>>;

/// A question that may have to be decided anew: who asks for what, and who waits for the answer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) caller: Caller,
    pub(crate) feature: FeatureNo,
    /// How often the database overruled an answer.
    pub(crate) overruled: u32,
    /// How often of these because others had used a key up.
    pub(crate) forestalled: u32,
    pub(crate) reply: DrawReply,
}

/// A grant that waits to be recorded.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) asked: Asked,
    pub(crate) grant: Grant,
    pub(crate) key: Arc<SealedKey>,
}

/// Grants that will be recorded by one statement.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    /// Whether nothing more is to join: what is sent again must not fail for what is new.
    is_closed: bool,
    grants: Vec<Gathered>,
    rates: FxHashMap<(KeyNo, FeatureNo), RateCharge>,
    budgets: FxHashMap<KeyNo, BudgetCharge>,
}

impl Gathering {
    pub(crate) fn len(&self) -> usize {
        self.grants.len()
    }

    pub(crate) fn into_grants(self) -> Vec<Gathered> {
        self.grants
    }

    /// Lets nothing more join.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Adds a grant, or gives it back where the batch is closed or full, or it counts in another window than one that is gathered already: a batch
    /// charges each counter in one window only.
    pub(crate) fn try_add(&mut self, gathered: Gathered) -> Result<(), Gathered> {
        let grant = &gathered.grant;
        let (key, feature, id) = (grant.key(), grant.feature(), grant.id());
        let rate = self.rates.entry((key, feature));
        let budget = self.budgets.entry(key);
        let other_rate_window =
            matches!(&rate, Entry::Occupied(charge) if charge.get().since != grant.rate_since());
        let other_budget_window = matches!(&budget, Entry::Occupied(charge) if charge.get().since != grant.budget_since());
        if self.is_closed
            || self.grants.len() >= MOST_DRAWS
            || other_rate_window
            || other_budget_window
        {
            return Err(gathered);
        }
        let rate = rate.or_insert_with(|| RateCharge {
            key,
            feature,
            since: grant.rate_since(),
            count: 0,
            first: id,
            last: id,
        });
        rate.count += 1;
        rate.last = id;
        let budget = budget.or_insert_with(|| BudgetCharge {
            key,
            since: grant.budget_since(),
            count: 0,
            first: id,
            last: id,
        });
        budget.count += 1;
        budget.last = id;
        self.grants.push(gathered);
        Ok(())
    }

    /// The batch, as the store takes it, decided on the pool as it was at `revision` and sent now.
    pub(crate) fn to_batch(&self, revision: i64, sent_at: Option<Timestamp>) -> DrawBatch {
        let event = |gathered: &Gathered| EventRow {
            id: gathered.grant.id(),
            key: gathered.grant.key(),
            consumer: gathered.asked.caller.number(),
            feature: gathered.grant.feature(),
        };
        DrawBatch {
            revision,
            sent_at,
            events: self.grants.iter().map(event).collect(),
            rates: self.rates.values().cloned().collect(),
            budgets: self.budgets.values().cloned().collect(),
        }
    }
}
