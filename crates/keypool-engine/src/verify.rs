//! Looks whether a pool is whole: what the store can see of it, and whether every value opens. Changes nothing.

use keypool_crypto::{OpenError as ValueError, Sealer};
use keypool_store::{Check, Finding, OpenStoreError, RowCounts, Shape, StoreSettings};

use crate::seals::{SealCounts, Unopened, survey};

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
    /// Whether a value is sealed under a key that is not given: no server starts on it so.
    pub lacks_key: bool,
}

impl Verified {
    /// Whether it can be served, so that no limit is at risk: other findings are of single keys, or of what is told only.
    #[must_use]
    pub fn is_servable(&self) -> bool {
        let is_grave = |finding: &Finding| match finding.check {
            Check::Integrity | Check::ForeignKeys | Check::Schema | Check::Counters => true,
            Check::File | Check::Chains | Check::Revisions | Check::Values => false,
        };
        self.shape != Shape::Empty && !self.lacks_key && !self.findings.iter().any(is_grave)
    }
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
    let needs_key = |value: &Unopened| {
        matches!(value.why, ValueError::KeyMissing | ValueError::OtherKey { .. })
    };
    Ok(Verified {
        shape: found.shape,
        rows: found.rows,
        seals,
        findings,
        skipped: found.skipped,
        lacks_key: unopened.iter().any(needs_key),
    })
}
