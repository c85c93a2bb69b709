//! The pool: every tier, key and counter, arranged so that the next key is at hand.

mod adopt;
mod conditions;
mod draw;
mod keys;
mod settle;
mod tiers;
mod usage;

use rustc_hash::FxHashMap;
use slab::Slab;

use crate::counter::{Cap, Counter, NEVER};
use crate::coverage::Coverage;
use crate::grant::GrantIds;
use crate::line::Line;
use crate::seat::{Reservation, Seat};
use crate::{Access, FeatureNo, GrantId, KeyNo, KeyTerms, RateLimit, ReplicaNo, TierNo, Timestamp};

/// The keys and their counters, and the one decision: whose turn it is.
///
/// A pool decides alike for alike calls: it holds no clock and nothing random. Unknown numbers name nothing: changing
/// them changes nothing, drawing them is refused.
#[derive(Clone, Debug)]
pub struct Pool {
    ids: GrantIds,
    tiers: FxHashMap<TierNo, Tier>,
    numbers: FxHashMap<KeyNo, usize>,
    coverage: Coverage,
    lines: Slab<Line>,
    keys: Slab<Key>,
    seats: Slab<Seat>,
    reservations: Slab<Reservation>,
}

/// A tier's features with their lines, and the slots of the keys in it.
#[derive(Clone, Debug, Default)]
struct Tier {
    lines: Vec<(FeatureNo, RateLimit, usize)>,
    members: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Key {
    no: KeyNo,
    terms: KeyTerms,
    budget: Counter,
    /// The moment from which the budget has room, as the key's seats are placed by it.
    budget_free_from: Timestamp,
    /// The key's seats, in ascending order of their features.
    seats: Vec<(FeatureNo, usize)>,
    /// Its position among the tier's members.
    member: usize,
}

impl Key {
    fn cap(&self) -> Cap {
        Cap::from(self.terms.budget)
    }

    fn seat(&self, feature: FeatureNo) -> Option<usize> {
        let at = self.seats.binary_search_by_key(&feature, |&(feature, _)| feature).ok()?;
        Some(self.seats[at].1)
    }
}

impl Pool {
    /// An empty pool, whose grants carry this replica's number in their ids.
    #[must_use]
    pub fn new(replica: ReplicaNo) -> Pool {
        Pool {
            ids: GrantIds::new(replica),
            tiers: FxHashMap::default(),
            numbers: FxHashMap::default(),
            coverage: Coverage::default(),
            lines: Slab::new(),
            keys: Slab::new(),
            seats: Slab::new(),
            reservations: Slab::new(),
        }
    }

    /// Whether a tier that the caller may draw from covers the feature, be there keys in it or not.
    #[must_use]
    pub fn covers(&self, access: Access<'_>, feature: FeatureNo) -> bool {
        self.coverage.lines(access, feature).next().is_some()
    }

    /// The largest id that was issued, adopted or remembered.
    #[must_use]
    pub fn latest_grant(&self) -> Option<GrantId> {
        self.ids.latest()
    }

    /// Makes every id issued from now on larger than this one, and its moment no earlier.
    pub fn remember_grant(&mut self, id: GrantId) {
        self.ids.remember(id);
    }

    /// Takes a seat from its place, which must happen before its turn or moments change.
    fn leave(&mut self, seat: usize) {
        if let Some(line) = self.seats[seat].line {
            self.lines[line].leave(&mut self.seats, seat);
        }
    }

    /// Puts a seat that is in no place where it belongs.
    fn place(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        let Some(line) = seat.line else { return };
        let key = &self.keys[seat.key];
        seat.expires_at = key.terms.expires_at.unwrap_or(NEVER);
        seat.free_from = if key.terms.active {
            key.budget_free_from.max(seat.rate.free_from(seat.cap))
        } else {
            NEVER
        };
        self.lines[line].place(&mut self.seats, at);
    }

    /// Puts a seat where it belongs, wherever it stood.
    fn place_again(&mut self, seat: usize) {
        self.leave(seat);
        self.place(seat);
    }

    /// Puts all seats of a key where they belong.
    fn place_key_again(&mut self, key: usize) {
        for nth in 0..self.keys[key].seats.len() {
            self.place_again(self.keys[key].seats[nth].1);
        }
    }

    /// Finds the moment from which a key's budget has room; answers whether it is another than before.
    fn budget_moved(&mut self, key: usize) -> bool {
        let key = &mut self.keys[key];
        let free_from = key.budget.free_from(key.cap());
        std::mem::replace(&mut key.budget_free_from, free_from) != free_from
    }

    /// Finds a key's budget window and its count anew.
    fn recount_budget(&mut self, key: usize) {
        let Key { budget, seats: of_key, .. } = &mut self.keys[key];
        let (seats, reservations) = (&self.seats, &self.reservations);
        let outstanding =
            of_key.iter().flat_map(|&(_, seat)| seats[seat].outstanding.iter(reservations));
        budget.recount(outstanding.map(|at| reservations[at].budget_since));
    }

    /// The key's seat for a feature, made if it has none.
    fn seat_for(&mut self, key: usize, feature: FeatureNo) -> usize {
        let Key { no, seats: of_key, .. } = &mut self.keys[key];
        match of_key.binary_search_by_key(&feature, |&(feature, _)| feature) {
            Ok(at) => of_key[at].1,
            Err(at) => {
                let seat = self.seats.insert(Seat::new(key, *no, feature));
                of_key.insert(at, (feature, seat));
                seat
            }
        }
    }
}
