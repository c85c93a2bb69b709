//! Looks whether a pool is whole: what the store can see of it, and whether every value opens. Changes nothing.

use keypool_crypto::Sealer;
use keypool_store::{Check, Finding, OpenStoreError, RowCounts, Shape, StoreSettings};

use crate::seals::{SealCounts, survey};

/// What was found in a pool.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What the database is.
    pub shape: Shape,
    /// How much it holds; none before this program's schema.
    pub rows: Option<RowCounts>,
    /// How many values bear which seal.
    pub seals: SealCounts,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// What was not looked at, and why.
    pub skipped: Vec<Finding>,
}

/// Looks at a pool, beside whoever serves it; `progress` is told what is looked at next.
///
/// # Errors
/// There is no database, it is none of keypooler, or it cannot be read. A damaged one is a finding.
pub async fn verify(
    store: impl Into<StoreSettings>,
    sealer: &Sealer,
    progress: impl FnMut(Check),
) -> Result<Verified, OpenStoreError> {
    let found = keypool_store::verify(store, progress).await?;
    let (seals, unopened) = survey(found.values, sealer);
    let finding = |what: String| Finding { check: Check::Values, what };
    let mut findings = found.findings;
    findings.extend(unopened.iter().map(|value| finding(value.to_string())));
    Ok(Verified { shape: found.shape, rows: found.rows, seals, findings, skipped: found.skipped })
}
