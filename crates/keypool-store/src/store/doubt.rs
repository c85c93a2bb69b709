//! Writes whose outcome is not known: the way to certainty.
//!
//! First nothing that is still on its way can arrive any more: the replica's fence becomes another one. Then the database
//! is asked what it has. On SQLite the new fence has a second use: it takes the place, at the journal's end, of a commit
//! whose flush failed and that would come back when the journal is recovered.

use keypool_core::GrantId;

use super::{Attempt, Store, failed, new_fence};
use crate::draws::{DrawBatch, Sender, recorded_statement};
use crate::driver::{DriverError, Statement};
use crate::error::{StoreError, WriteError};
use crate::migrate::NEWEST;

impl Store {
    /// Looks which of a batch's grants are on record.
    pub(super) async fn look_for_draws(
        &self,
        batch: &DrawBatch,
        error: DriverError,
    ) -> Result<(), Attempt> {
        let in_doubt = |error| Attempt::Ended(WriteError::InDoubt(StoreError::Write(error)));
        if self.raise_fence().await.is_err() {
            return Err(in_doubt(error));
        }
        let Ok(recorded) = self.recorded(batch).await else { return Err(in_doubt(error)) };
        match recorded.len() {
            0 if is_lost(&error) => Err(Attempt::Lost(error)),
            0 => Err(Attempt::Ended(failed(error))),
            // After an error of the disk, what is seen is not known to be on it.
            _ if !is_lost(&error) => Err(in_doubt(error)),
            all if all == batch.events.len() => Ok(()),
            _ => Err(Attempt::Ended(WriteError::Partly(recorded))),
        }
    }

    /// Looks whether a change is the one that raised the revision from `base`.
    pub(super) async fn look_for_change(
        &self,
        base: i64,
        id: &str,
        error: DriverError,
    ) -> Result<(), Attempt> {
        let in_doubt = |error| Attempt::Ended(WriteError::InDoubt(StoreError::Write(error)));
        if self.raise_fence().await.is_err() {
            return Err(in_doubt(error));
        }
        match self.change_after(base).await {
            Ok(None) if is_lost(&error) => Err(Attempt::Lost(error)),
            Ok(None) => Err(Attempt::Ended(failed(error))),
            Ok(Some(found)) if found != id => Err(Attempt::Ended(WriteError::Stale)),
            Ok(Some(_)) if is_lost(&error) => Ok(()),
            Ok(Some(_)) | Err(_) => Err(in_doubt(error)),
        }
    }

    /// What it means that a change touched nothing, which demands its base, its sender's fence and today's schema: one of
    /// these is another, or the same request was carried out twice and its second answer came.
    pub(super) async fn explain_untouched(&self, base: i64, id: &str) -> Result<(), Attempt> {
        let sender = self.sender();
        let sql = "SELECT (SELECT change_id FROM changes WHERE revision = ?3 + 1) IS ?4,
            (SELECT max(version) FROM schema_migrations),
            (SELECT fence FROM replicas WHERE replica_no = ?1) IS NOT ?2, revision FROM pool";
        let (replica, fence) = (sender.map(|it| it.replica), sender.map(|it| it.fence));
        let look = Statement::new(sql).with(replica).with(fence).with(base).with(id);
        // Without the answer it may be the second of a request that was carried out twice.
        let unread = |error| Attempt::Ended(WriteError::InDoubt(StoreError::Read(error)));
        let mut rows = self.driver.read(look).await.map_err(unread)?;
        let broken_off = || unread(DriverError::Unanswered("a list broke off".to_owned()));
        let row = rows.first_mut().ok_or_else(broken_off)?;
        let mut next = || row.int().map_err(unread);
        let (is_done, schema) = (next()? == 1, next()?);
        let (is_fenced, revision) = (next()? == 1, next()?);
        Err(Attempt::Ended(match () {
            () if is_done => return Ok(()),
            () if schema != NEWEST => WriteError::Upgraded,
            () if is_fenced || revision == base => WriteError::Fenced,
            () => WriteError::Stale,
        }))
    }

    async fn recorded(&self, batch: &DrawBatch) -> Result<Vec<GrantId>, DriverError> {
        let rows = self.driver.read(recorded_statement(batch)).await?;
        rows.into_iter().map(|mut row| row.int().map(GrantId::new)).collect()
    }

    /// The id of the change that raised the revision from `base`; `None` if none did.
    async fn change_after(&self, base: i64) -> Result<Option<String>, DriverError> {
        let sql = "SELECT CASE WHEN revision > ?1
                THEN coalesce((SELECT change_id FROM changes WHERE revision = ?1 + 1), '') END
            FROM pool";
        let mut rows = self.driver.read(Statement::new(sql).with(base)).await?;
        rows.first_mut().map_or(Ok(None), |row| row.text_or_null())
    }

    /// Takes another fence, so that nothing sent under the one before can arrive any more. Sure when it returns.
    pub(super) async fn raise_fence(&self) -> Result<Fence, DriverError> {
        let Some(sender) = self.sender() else {
            return Err(DriverError::Unanswered(
                "a store without a number has no fence".to_owned(),
            ));
        };
        let fence = new_fence();
        let raise =
            Statement::new("UPDATE replicas SET fence = ?1 WHERE replica_no = ?2 AND fence = ?3")
                .with(fence)
                .with(sender.replica)
                .with(sender.fence)
                .touching(1);
        match self.driver.write(vec![raise]).await {
            Ok(()) => {}
            // Nobody has the number any more or somebody else has it: nothing of ours can arrive.
            Err(DriverError::Touched { .. }) => return Ok(Fence::Lost),
            Err(error) if !is_lost(&error) => return Err(error),
            Err(error) => {
                let look = Statement::new("SELECT fence FROM replicas WHERE replica_no = ?1");
                let mut rows = self.driver.read(look.with(sender.replica)).await?;
                let found = rows.first_mut().map(|row| row.int()).transpose()?;
                if found != Some(fence) {
                    return Err(error);
                }
            }
        }
        self.write_as(Sender { fence, ..sender });
        Ok(Fence::Raised)
    }
}

/// What became of a fence that was to be raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fence {
    /// It is another one now.
    Raised,
    /// There is none any more under this writer's number, or it is somebody else's.
    Lost,
}

/// Whether only the answer may be missing: what is seen then was committed like anything else.
fn is_lost(error: &DriverError) -> bool {
    matches!(error, DriverError::Unanswered(_) | DriverError::Raised(_))
}
