//! A change by an admin before it is made: what was asked for waits for its turn, and is decided on the pool as it stands
//! then.

use std::sync::Arc;

use keypool_crypto::Fingerprint;
use keypool_store::{ChangeKind, ChangeRecord, Origin};

use super::Live;
use crate::AdminError;

/// A change that waits for its turn.
pub(crate) struct PendingChange {
    pub(crate) origin: Origin,
    pub(crate) plan: Plan,
    pub(crate) done: Done,
}

/// A change that was decided on, with what is put on record of it.
pub(crate) struct Planned {
    pub(crate) what: ChangeKind,
    pub(crate) records: Arc<[ChangeRecord]>,
    /// Those of the values that are new.
    pub(crate) fingerprints: Arc<[Fingerprint]>,
}

/// Decides a change on the pool as it stands when its turn has come.
pub(crate) type Plan = Box<dyn Fn(&Live) -> Result<Planned, AdminError> + Send>;
/// Answers whoever asked for the change, with the pool as it stands then.
pub(crate) type Done = Box<dyn FnOnce(Result<&Live, AdminError>) + Send>;

impl Planned {
    /// A change of one thing.
    pub(crate) fn one(what: ChangeKind, record: ChangeRecord) -> Self {
        Self::of(what, Arc::new([record]))
    }

    /// A change of several things.
    pub(crate) fn of(what: ChangeKind, records: Arc<[ChangeRecord]>) -> Self {
        Self { what, records, fingerprints: Arc::new([]) }
    }
}
