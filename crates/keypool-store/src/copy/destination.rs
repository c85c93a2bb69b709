//! The database that is copied to: made with its mark, written chunk by chunk, and finished.
//!
//! While a copy is under way, the pool's row says so, and bears the copy's number in place of a revision. Every write asks
//! for both: what was sent for an earlier copy can arrive no more, and nothing is written to or taken out of a database
//! that is in use.

use std::path::PathBuf;
use std::sync::LazyLock;

use uuid::Uuid;

use super::tables::{MOVES, Moves};
use super::{Chunk, CopyError, chunk, chunk_after, is_copying};
use crate::counters::list_mismatches;
use crate::driver::{Driver, DriverError, Row, Statement};
use crate::migrate::{MIGRATIONS, NEWEST};
use crate::prospect::inspect;
use crate::recognise::Shape;
use crate::settings::StoreSettings;

/// All migrations and the mark, to be one transaction: there is no moment at which the database would pass for a pool. No
/// row was taken over, so there is nothing to tidy up.
static BEGIN: LazyLock<String> = LazyLock::new(|| {
    let mut text: String = MIGRATIONS.iter().map(|migration| migration.text).collect();
    text.push_str("UPDATE pool SET is_copying = 1, tidy_due = 0;\n");
    text
});

/// The database that is copied to.
pub(super) struct Destination {
    driver: Driver,
    place: PathBuf,
    /// The number of this copy.
    copy: i64,
}

impl Destination {
    /// Opens an empty database and makes its tables, or one where a copy was not finished; leaves any other as it is.
    pub(super) async fn open(settings: StoreSettings) -> Result<Destination, CopyError> {
        let prospect = inspect(settings).await.map_err(CopyError::To)?;
        let shape = prospect.shape();
        let mut source = prospect.into_source();
        let place = source.place();
        let is_free = match shape {
            Shape::Empty => Ok(true),
            Shape::Version(version) if i64::from(version) == NEWEST => {
                is_copying(&mut source).await
            }
            Shape::Version(_) => Ok(false),
        };
        match is_free {
            Ok(true) => {}
            Ok(false) => {
                source.close().await;
                return Err(CopyError::Taken { place });
            }
            Err(error) => {
                source.close().await;
                return Err(CopyError::Read { place, source: error });
            }
        }
        let driver = source.open_for_use(shape).await.map_err(CopyError::To)?;
        let destination = Destination { driver, place, copy: new_number() };
        match destination.begin(shape).await {
            Ok(()) => Ok(destination),
            Err(error) => {
                destination.close().await;
                Err(error)
            }
        }
    }

    /// Makes the tables, and takes the copy over from whoever began it.
    async fn begin(&self, shape: Shape) -> Result<(), CopyError> {
        if shape == Shape::Empty {
            self.driver.script(&BEGIN).await.map_err(|error| self.unwritable(error))?;
        }
        let begin = "UPDATE pool SET revision = ?1 WHERE is_copying = 1";
        self.send(Statement::new(begin).with(self.copy).touching(1)).await
    }

    /// Takes out what an earlier copy, or a migration, has put in.
    pub(super) async fn clear(&self) -> Result<(), CopyError> {
        for moves in MOVES.iter().rev() {
            loop {
                let rows = self.number(&moves.look).await?;
                if rows == 0 {
                    break;
                }
                self.send(Statement::new(&*moves.clear).with(self.copy).touching(rows)).await?;
            }
        }
        Ok(())
    }

    /// Enters a chunk.
    pub(super) async fn write(
        &self,
        moves: &'static Moves,
        text: String,
        rows: usize,
    ) -> Result<(), CopyError> {
        self.send(Statement::new(&*moves.write).with(text).with(self.copy).touching(rows)).await
    }

    /// The chunk after a row.
    pub(super) async fn chunk(
        &self,
        moves: &'static Moves,
        last: String,
    ) -> Result<Option<Chunk>, CopyError> {
        let rows = self.driver.read(chunk_after(moves, last)).await;
        rows.and_then(chunk).map_err(|error| self.unreadable(error))
    }

    /// Promise 3, of the copy.
    pub(super) async fn check_counters(&self) -> Result<(), CopyError> {
        let found = list_mismatches(&self.driver).await.map_err(|error| self.unreadable(error))?;
        let count = found.len();
        match found.into_iter().next() {
            Some(first) => Err(CopyError::Counters { count, key: first.key_id }),
            None => Ok(()),
        }
    }

    /// Makes it a pool like its source; from here on it can be opened. Where the answer is lost, it is looked for.
    pub(super) async fn finish(&self, revision: i64, last_replica: i64) -> Result<(), CopyError> {
        let finish = "UPDATE pool SET is_copying = 0, revision = ?1, last_replica = ?2
            WHERE is_copying = 1 AND revision = ?3";
        let finish = Statement::new(finish).with(revision).with(last_replica).with(self.copy);
        let finished = self.send(finish.touching(1)).await;
        match finished {
            Err(CopyError::Write { source, .. }) if source.leaves_doubt() => {
                let mark = self.number("SELECT is_copying FROM pool").await?;
                if mark == 0 { Ok(()) } else { Err(self.unwritable(source)) }
            }
            Ok(()) | Err(_) => finished,
        }
    }

    pub(super) async fn close(&self) {
        self.driver.close().await;
    }

    async fn send(&self, statement: Statement) -> Result<(), CopyError> {
        let sent = self.driver.write(vec![statement]).await;
        if let Err(DriverError::Touched { touched: 0, .. }) = sent {
            return Err(CopyError::Overtaken { place: self.place.clone() });
        }
        sent.map_err(|error| self.unwritable(error))
    }

    async fn number(&self, sql: &'static str) -> Result<usize, CopyError> {
        let rows = self.driver.read(Statement::new(sql)).await;
        let number = rows.and_then(|mut rows| rows.first_mut().map_or(Ok(0), Row::int));
        let number = number.map_err(|error| self.unreadable(error))?;
        Ok(usize::try_from(number).unwrap_or_default())
    }

    fn unreadable(&self, source: DriverError) -> CopyError {
        CopyError::Read { place: self.place.clone(), source }
    }

    fn unwritable(&self, source: DriverError) -> CopyError {
        CopyError::Write { place: self.place.clone(), source }
    }
}

/// A number that no other copy has.
fn new_number() -> i64 {
    let (_, low) = Uuid::now_v7().as_u64_pair();
    i64::try_from(low & 0x3fff_ffff_ffff_ffff).expect("62 bits fit")
}
