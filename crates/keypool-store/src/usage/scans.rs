//! Long searches: how many may be under way, and whose turn it is. However many there are, one of them at a time looks at
//! a piece, so that draws and short reads find the disk, a connection and a processor free.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::StoreError;

/// How many may be under way. Each may hold what it found; further ones are refused.
const MOST: usize = 16;

/// How many events are looked at in one statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    /// At first; what ends there is no long search.
    pub(super) first: u32,
    /// From then on: some milliseconds' worth.
    pub(super) further: u32,
    /// The same along a key's chain, whose events lie apart.
    pub(super) walk: u32,
}

/// The long searches of a store.
#[derive(Debug)]
pub(crate) struct Scans {
    pub(super) looks: Looks,
    places: Semaphore,
    turns: Semaphore,
}

/// A long search that is under way.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    of: &'a Scans,
    _place: SemaphorePermit<'a>,
}

impl Scans {
    pub(crate) fn new() -> Scans {
        Scans::with(Looks { first: 2_000, further: 50_000, walk: 10_000 })
    }

    pub(super) fn with(looks: Looks) -> Scans {
        Scans { looks, places: Semaphore::new(MOST), turns: Semaphore::new(1) }
    }

    /// Begins a long search.
    ///
    /// # Errors
    /// [`StoreError::Crowded`] where too many are under way.
    pub(crate) fn begin(&self) -> Result<Scan<'_>, StoreError> {
        let place = self.places.try_acquire().map_err(|_| StoreError::Crowded)?;
        Ok(Scan { of: self, _place: place })
    }
}

/// Waits for the turn of a long search to look at its next piece: first come, first served. What is no long search waits
/// for nobody.
pub(crate) async fn turn<'a>(scan: Option<&Scan<'a>>) -> Option<SemaphorePermit<'a>> {
    let turns = &scan?.of.turns;
    Some(turns.acquire().await.expect("turns are never closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_looks_and_so_many_are_under_way() {
        let scans = Scans::new();
        let mut under_way: Vec<_> = (0..MOST).map(|_| scans.begin().unwrap()).collect();
        assert!(matches!(scans.begin(), Err(StoreError::Crowded)));
        let first = turn(under_way.first()).await;
        assert!(scans.turns.try_acquire().is_err());
        assert!(turn(None).await.is_none(), "a short read does not wait");
        drop(first);
        assert!(turn(under_way.get(1)).await.is_some());
        under_way.pop();
        assert!(scans.begin().is_ok());
    }
}
