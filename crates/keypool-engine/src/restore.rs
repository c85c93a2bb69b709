//! Restores a backup: looked at first, as `verify` does, then put in its place.

use std::path::{Path, PathBuf};

use keypool_crypto::Sealer;
use keypool_store::{
    Check, CopyError, CopyProgress, Existing, OpenStoreError, RestorePlace, SqliteSettings,
    StoreSettings, Synchronous,
};

use crate::verify::{Verified, verify};

/// A backup and where it is to be.
#[derive(Clone, Debug)]
pub struct RestoreSettings {
    /// The backup.
    pub backup: PathBuf,
    /// Where the pool is to be.
    pub to: StoreSettings,
    /// What becomes of a database in a file there; a database on a server has to be empty.
    pub existing: Existing,
}

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What was found in the backup.
    pub backup: Verified,
    /// The name that the file that was there before has now, if there was one.
    pub kept_aside: Option<PathBuf>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreStep {
    /// The backup is looked at.
    Check(Check),
    /// Its rows go to a database server.
    Copy(CopyProgress),
    /// It is put in the place of the file.
    Put,
}

/// A backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup can't be served as it is. Nothing was changed.
    #[error("the backup is not as it should be, and was not restored")]
    Unsound(Box<Verified>),
    /// The backup cannot be opened. Nothing was changed.
    #[error("the backup cannot be opened")]
    Backup(#[source] OpenStoreError),
    /// It could not be put in the place of a file.
    #[error(transparent)]
    Place(#[from] keypool_store::RestoreError),
    /// A database on a server is not replaced.
    #[cfg(feature = "libsql")]
    #[error("a database on a server is not replaced: restore into an empty one, without --replace")]
    Replace,
    /// It could not be copied to a database server.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// Looks at the backup, and puts it where the pool is to be. No server may run there.
///
/// # Errors
/// [`RestoreError`] says why it was not restored.
pub async fn restore(
    settings: RestoreSettings,
    sealer: &Sealer,
    mut progress: impl FnMut(RestoreStep),
) -> Result<Restored, RestoreError> {
    let RestoreSettings { backup, to, existing } = settings;
    match to {
        StoreSettings::Sqlite(to) => {
            // First, so that nobody waits for the look at a backup that cannot be restored.
            let place = RestorePlace::take(to, existing).await?;
            let found = look(&backup, sealer, &mut progress).await?;
            progress(RestoreStep::Put);
            let report = place.put(&backup).await?;
            Ok(Restored { backup: found, kept_aside: report.kept_aside })
        }
        #[cfg(feature = "simulation")]
        StoreSettings::Simulated(_) => unreachable!("a simulation restores nothing"),
        #[cfg(feature = "libsql")]
        StoreSettings::Libsql(_) if existing == Existing::KeepAside => Err(RestoreError::Replace),
        #[cfg(feature = "libsql")]
        to @ StoreSettings::Libsql(_) => {
            let found = look(&backup, sealer, &mut progress).await?;
            let copied = |at| progress(RestoreStep::Copy(at));
            keypool_store::copy_pool(file(&backup), to, copied).await?;
            Ok(Restored { backup: found, kept_aside: None })
        }
    }
}

/// What is found in the backup, but for who may read the file: it will not be that file.
async fn look(
    backup: &Path,
    sealer: &Sealer,
    progress: &mut impl FnMut(RestoreStep),
) -> Result<Verified, RestoreError> {
    let looks_at = |check| progress(RestoreStep::Check(check));
    let mut found = verify(file(backup), sealer, looks_at).await.map_err(RestoreError::Backup)?;
    found.findings.retain(|finding| finding.check != Check::File);
    if found.is_servable() { Ok(found) } else { Err(RestoreError::Unsound(Box::new(found))) }
}

fn file(path: &Path) -> SqliteSettings {
    let busy_timeout = std::time::Duration::from_secs(5);
    SqliteSettings { path: path.to_owned(), synchronous: Synchronous::Full, busy_timeout }
}
