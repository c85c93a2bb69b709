//! Copies a whole pool from one database to another of any kind, and compares the two. Sealed values are copied as they
//! are: they keep the UUIDs that they are bound to.
//!
//! The source is read only. The destination is marked as unfinished from its first moment, in the transaction that makes
//! its tables, until both were read again and found equal: whenever a copy is cut off, the destination is refused by who
//! opens it, and the next copy into it begins anew.

mod destination;
mod error;
mod tables;

use std::fs;
use std::path::PathBuf;

use serde_json::value::RawValue;

use self::destination::Destination;
pub use self::error::CopyError;
use self::tables::{MOVES, Moves};
use crate::driver::{DriverError, Row, Statement};
use crate::migrate::NEWEST;
use crate::prospect::{Source, inspect};
use crate::recognise::Shape;
use crate::settings::StoreSettings;

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// What is being done.
    pub step: CopyStep,
    /// The table at hand.
    pub table: &'static str,
    /// The rows of all tables that this was done with.
    pub rows: u64,
    /// How many there are.
    pub of: u64,
}

/// What a copy does with rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// Writes them to the destination.
    Copy,
    /// Reads them from both and compares.
    Compare,
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyReport {
    /// Every table that was copied, with the number of its rows.
    pub tables: Vec<(&'static str, u64)>,
}

/// Copies a whole pool into an empty database, or into one where a copy was not finished, and compares the two row by
/// row. No server may run on either; a SQLite file is locked, on a database server it is noticed at the end.
///
/// Replica numbers that were issued to servers are not copied: those on the source can't write to the destination.
///
/// # Errors
/// [`CopyError`] says why the pool was not copied. The source is as it was. A destination that held something is too; one
/// that was begun cannot be opened until a copy into it is finished.
pub async fn copy_pool(
    from: impl Into<StoreSettings>,
    to: impl Into<StoreSettings>,
    mut progress: impl FnMut(CopyProgress),
) -> Result<CopyReport, CopyError> {
    let (from, to) = (from.into(), to.into());
    refuse_same(&from, &to)?;
    let mut origin = Origin::open(from).await?;
    let outcome = match Destination::open(to).await {
        Ok(destination) => {
            let outcome = copy(&mut origin, &destination, &mut progress).await;
            destination.close().await;
            outcome
        }
        Err(error) => Err(error),
    };
    origin.source.close().await;
    outcome
}

async fn copy(
    origin: &mut Origin,
    destination: &Destination,
    progress: &mut impl FnMut(CopyProgress),
) -> Result<CopyReport, CopyError> {
    let moment = origin.moment().await?;
    destination.clear().await?;
    let of = origin.count_rows().await?;
    let mut pace = Pace { progress, step: CopyStep::Copy, rows: 0, of };
    let mut tables = Vec::new();
    for moves in MOVES.iter() {
        let before = pace.rows;
        copy_table(origin, destination, moves, &mut pace).await?;
        tables.push((moves.table, pace.rows - before));
    }
    pace = Pace { step: CopyStep::Compare, rows: 0, ..pace };
    let mut compared = Ok(());
    for moves in MOVES.iter() {
        compared = compare_table(origin, destination, moves, &mut pace).await;
        if compared.is_err() {
            break;
        }
    }
    if origin.moment().await? != moment {
        return Err(CopyError::Moved { place: origin.place.clone() });
    }
    compared?;
    destination.check_counters().await?;
    if origin.moment().await? != moment {
        return Err(CopyError::Moved { place: origin.place.clone() });
    }
    destination.finish(moment.revision, moment.last_replica).await?;
    Ok(CopyReport { tables })
}

/// Reads the next chunk while one is being written.
async fn copy_table(
    origin: &mut Origin,
    destination: &Destination,
    moves: &'static Moves,
    pace: &mut Pace<'_, impl FnMut(CopyProgress)>,
) -> Result<(), CopyError> {
    pace.tell(moves, 0);
    let mut next = origin.chunk(moves, moves.start.clone()).await?;
    while let Some(chunk) = next {
        let rows = chunk.rows;
        let (read, written) = tokio::join!(
            origin.chunk(moves, chunk.last),
            destination.write(moves, chunk.text, rows)
        );
        written?;
        pace.tell(moves, rows);
        next = read?;
    }
    Ok(())
}

/// Reads the same chunks from both. Where one has a row that the other lacks, or another, their texts differ.
async fn compare_table(
    origin: &mut Origin,
    destination: &Destination,
    moves: &'static Moves,
    pace: &mut Pace<'_, impl FnMut(CopyProgress)>,
) -> Result<(), CopyError> {
    pace.tell(moves, 0);
    let mut last = moves.start.clone();
    loop {
        let (original, copied) =
            tokio::join!(origin.chunk(moves, last.clone()), destination.chunk(moves, last));
        match (original?, copied?) {
            (None, None) => return Ok(()),
            (Some(original), Some(copied)) if original.text == copied.text => {
                pace.tell(moves, original.rows);
                last = original.last;
            }
            (Some(_) | None, Some(_) | None) => {
                return Err(CopyError::Different { table: moves.table });
            }
        }
    }
}

/// Rows of one table, as many as go into one parameter.
struct Chunk {
    text: String,
    rows: usize,
    last: String,
}

/// The statement of the chunk after a row.
fn chunk_after(moves: &'static Moves, last: String) -> Statement {
    Statement::long(&*moves.read).with(last)
}

/// The chunk in an answer, if there is one.
fn chunk(mut answer: Vec<Row>) -> Result<Option<Chunk>, DriverError> {
    let Some(text) = answer.first_mut().map_or(Ok(None), Row::text_or_null)? else {
        return Ok(None);
    };
    let broken_off = |_| DriverError::Unanswered("a list broke off".to_owned());
    let rows: Vec<&RawValue> = serde_json::from_str(&text).map_err(broken_off)?;
    let Some(last) = rows.last().map(|row| row.get().to_owned()) else { return Ok(None) };
    let rows = rows.len();
    Ok(Some(Chunk { text, rows, last }))
}

/// What tells that a pool was changed or drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    revision: i64,
    last_replica: i64,
    newest_event: i64,
    events: i64,
}

/// The pool that is copied. Nothing here writes.
struct Origin {
    source: Source,
    place: PathBuf,
}

impl Origin {
    /// Opens it; a file is locked, and not made where it is missing.
    async fn open(settings: StoreSettings) -> Result<Origin, CopyError> {
        if let StoreSettings::Sqlite(file) = &settings
            && !file.path.exists()
        {
            return Err(CopyError::Nothing { place: file.path.clone() });
        }
        let prospect = inspect(settings).await.map_err(CopyError::From)?;
        let shape = prospect.shape();
        let source = prospect.into_source();
        let mut origin = Origin { place: source.place(), source };
        match origin.refuse_unfit(shape).await {
            Ok(()) => Ok(origin),
            Err(error) => {
                origin.source.close().await;
                Err(error)
            }
        }
    }

    async fn refuse_unfit(&mut self, shape: Shape) -> Result<(), CopyError> {
        let place = self.place.clone();
        match shape {
            Shape::Empty => return Err(CopyError::Nothing { place }),
            Shape::Version(found) if i64::from(found) != NEWEST => {
                return Err(CopyError::Schema { place, found, known: NEWEST });
            }
            Shape::Version(_) => {}
        }
        if is_copying(&mut self.source).await.map_err(|error| self.unreadable(error))? {
            return Err(CopyError::Unfinished { place });
        }
        Ok(())
    }

    async fn moment(&mut self) -> Result<Moment, CopyError> {
        let statement = Statement::long(
            "SELECT revision, last_replica, (SELECT coalesce(max(id), 0) FROM usage_events),
                (SELECT count(*) FROM usage_events)
            FROM pool",
        );
        let moment = |mut row: Row| {
            Ok(Moment {
                revision: row.int()?,
                last_replica: row.int()?,
                newest_event: row.int()?,
                events: row.int()?,
            })
        };
        let broken_off = || DriverError::Unanswered("a list broke off".to_owned());
        let rows = self.source.read(statement).await;
        let first = rows.and_then(|rows| rows.into_iter().next().ok_or_else(broken_off));
        first.and_then(moment).map_err(|error| self.unreadable(error))
    }

    async fn count_rows(&mut self) -> Result<u64, CopyError> {
        let mut count = 0_u64;
        for moves in MOVES.iter() {
            let rows = self.source.read(Statement::long(&*moves.count)).await;
            let rows = rows.and_then(|mut rows| rows.first_mut().map_or(Ok(0), Row::int));
            let rows = rows.map_err(|error| self.unreadable(error))?;
            count += u64::try_from(rows).unwrap_or_default();
        }
        Ok(count)
    }

    async fn chunk(
        &mut self,
        moves: &'static Moves,
        last: String,
    ) -> Result<Option<Chunk>, CopyError> {
        let rows = self.source.read(chunk_after(moves, last)).await;
        rows.and_then(chunk).map_err(|error| self.unreadable(error))
    }

    fn unreadable(&self, source: DriverError) -> CopyError {
        CopyError::Read { place: self.place.clone(), source }
    }
}

/// Whether a database of this program's schema is marked as an unfinished copy.
pub(crate) async fn is_copying(source: &mut Source) -> Result<bool, DriverError> {
    let rows = source.read(Statement::new("SELECT is_copying FROM pool")).await;
    rows.and_then(|mut rows| rows.first_mut().map_or(Ok(0), Row::int)).map(|mark| mark == 1)
}

/// Counts rows for whoever wants to know.
struct Pace<'a, F> {
    progress: &'a mut F,
    step: CopyStep,
    rows: u64,
    of: u64,
}

impl<F: FnMut(CopyProgress)> Pace<'_, F> {
    fn tell(&mut self, moves: &Moves, more: usize) {
        self.rows += more as u64;
        let (step, rows, of) = (self.step, self.rows, self.of);
        (self.progress)(CopyProgress { step, table: moves.table, rows, of });
    }
}

/// Says so before the file's lock, which is then ours, is taken for another server's.
fn refuse_same(from: &StoreSettings, to: &StoreSettings) -> Result<(), CopyError> {
    let (place, is_same) = match (from, to) {
        (StoreSettings::Sqlite(from), StoreSettings::Sqlite(to)) => {
            let [one, other] = [from, to].map(|file| fs::canonicalize(&file.path).ok());
            (from.path.clone(), one.is_some() && one == other)
        }
        #[cfg(feature = "libsql")]
        (StoreSettings::Libsql(from), StoreSettings::Libsql(to)) => {
            (PathBuf::from(from.url.to_string()), from.url.base() == to.url.base())
        }
        #[cfg(feature = "libsql")]
        (StoreSettings::Sqlite(_), StoreSettings::Libsql(_))
        | (StoreSettings::Libsql(_), StoreSettings::Sqlite(_)) => return Ok(()),
        #[cfg(feature = "simulation")]
        (StoreSettings::Simulated(_), _) | (_, StoreSettings::Simulated(_)) => return Ok(()),
    };
    if is_same { Err(CopyError::Same { place }) } else { Ok(()) }
}
