//! Tells how the values of a pool are sealed. Reads only.

use std::path::PathBuf;

use keypool_crypto::{Seal, Sealer};
use keypool_store::{CopyBeside, StoreSettings, StoredValue, copies_beside, visit};

use super::ResealError;
use crate::seals::{SealCounts, Unopened, survey};

/// How the values of a pool, and those of the copies that a takeover or a restore left, are sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealReport {
    /// How many values bear which seal.
    pub counts: SealCounts,
    /// Those that do not open.
    pub unopened: Vec<Unopened>,
    /// The copies that a takeover or a restore left beside a file.
    pub copies: Vec<CopyFound>,
}

/// A copy of the database that lies beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyFound {
    /// Where.
    pub path: PathBuf,
    /// How many of its values are plain text; `None` where it can't be read.
    pub plain: Option<usize>,
}

impl SealReport {
    /// Whether everything is sealed under the current key, and no copy with plain text lies beside.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let SealCounts { current: _, previous, original, plain } = self.counts;
        let is_safe = |copy: &CopyFound| copy.plain == Some(0);
        previous + original + plain == 0
            && self.unopened.is_empty()
            && self.copies.iter().all(is_safe)
    }
}

/// Opens every value, and tells what seal it bears. Changes nothing.
///
/// # Errors
/// [`ResealError`] if the values can't be read.
pub async fn check_seals(store: StoreSettings, sealer: &Sealer) -> Result<SealReport, ResealError> {
    let copies = copies_beside(&store).await.map_err(ResealError::Folder);
    let mut prospect = visit(store).await?;
    let mut values = prospect.values().await.map_err(ResealError::Read)?;
    values.extend(prospect.orphaned_values().await.map_err(ResealError::Read)?);
    let (counts, unopened) = survey(values, sealer);
    let copies = copies?.into_iter().map(copy_found).collect();
    Ok(SealReport { counts, unopened, copies })
}

fn copy_found(copy: CopyBeside) -> CopyFound {
    let is_plain = |value: &&StoredValue| Sealer::plain().seal_of(&value.text) == Ok(Seal::Missing);
    let plain = copy.values.map(|values| values.iter().filter(is_plain).count());
    CopyFound { path: copy.path, plain: plain.ok() }
}
