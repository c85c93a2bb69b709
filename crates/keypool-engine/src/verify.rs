//! Looks whether a pool is whole: what the store can see of it, and whether every value opens. Changes nothing.

use keypool_crypto::{OpenError as SealError, Seal, Sealer};
use keypool_store::{Check, Finding, OpenStoreError, RowCounts, Shape, StoreSettings, StoredValue};

use crate::trial::place_of;

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

/// How many values bear which seal. One that no known seal is on is in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealCounts {
    /// Ours, under the encryption key, or under one that is not at hand.
    pub ours: usize,
    /// Ours, under the key before.
    pub previous: usize,
    /// The Go program's.
    pub original: usize,
    /// None: they are plain text.
    pub plain: usize,
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
    let mut seals = SealCounts::default();
    for value in &found.values {
        match sealer.seal_of(&value.text) {
            Ok(Seal::Current) | Err(SealError::OtherKey { .. } | SealError::KeyMissing) => {
                seals.ours += 1;
            }
            Ok(Seal::Previous) => seals.previous += 1,
            Ok(Seal::Original) => seals.original += 1,
            Ok(Seal::Missing) => seals.plain += 1,
            Err(_) => {}
        }
    }
    let mut findings = found.findings;
    findings.extend(found.values.iter().filter_map(|value| unopened(value, sealer)));
    Ok(Verified { shape: found.shape, rows: found.rows, seals, findings, skipped: found.skipped })
}

fn unopened(value: &StoredValue, sealer: &Sealer) -> Option<Finding> {
    let error = sealer.open(place_of(value), &value.text).err()?;
    let StoredValue { key, name, .. } = value;
    let what = match &value.secret {
        None => format!("key {name} ({key}): {error}"),
        Some(secret) => format!("secret {secret} of key {name} ({key}): {error}"),
    };
    Some(Finding { check: Check::Values, what })
}
