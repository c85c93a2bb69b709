//! A key's place, turn and rate count for one feature.

use slab::Slab;

use crate::counter::{ALWAYS, Cap, Counter, NEVER};
use crate::list::{Linked, Links, List};
use crate::{FeatureNo, GrantId, KeyNo, Timestamp};

/// Whose turn it is: never served first, then the one served longest ago, then the oldest key.
pub(crate) type Turn = (Option<GrantId>, KeyNo);

/// Where in its line a seat stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Nowhere: time alone does not bring it back, or its tier does not cover the feature.
    Out,
    /// In the queue of those that can be served.
    Queued,
    /// Among those that can be served and came back before their turn's place at the queue's end.
    Early,
    /// Waiting for the moment from which it can be served.
    Parked,
    /// Found expired when its turn came.
    Lapsed,
}

/// A key's standing for one feature; it outlives the feature's removal from the tier.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    /// The key's slot.
    pub(crate) key: usize,
    pub(crate) feature: FeatureNo,
    /// The line of the key's tier for the feature, if the tier covers it.
    pub(crate) line: Option<usize>,
    /// The rate limit, the last one that held if the tier no longer covers the feature.
    pub(crate) cap: Cap,
    pub(crate) rate: Counter,
    /// The last grant on record.
    pub(crate) committed_last: Option<GrantId>,
    /// Grants that are neither committed nor released, in the order of their ids.
    pub(crate) outstanding: List,
    /// The last grant, committed or outstanding, and the key. Like the two moments below it changes only while the
    /// seat is in no place.
    pub(crate) turn: Turn,
    /// The moment from which neither rate nor budget holds it.
    pub(crate) free_from: Timestamp,
    /// The key's expiry, or never.
    pub(crate) expires_at: Timestamp,
    pub(crate) place: Place,
    pub(crate) links: Links,
}

impl Seat {
    pub(crate) fn new(key: usize, key_no: KeyNo, feature: FeatureNo) -> Seat {
        Seat {
            key,
            feature,
            line: None,
            cap: Cap::NOTHING,
            rate: Counter::default(),
            committed_last: None,
            outstanding: List::EMPTY,
            turn: (None, key_no),
            free_from: ALWAYS,
            expires_at: NEVER,
            place: Place::Out,
            links: Links::UNLINKED,
        }
    }

    pub(crate) fn key_no(&self) -> KeyNo {
        self.turn.1
    }

    /// Sets the turn by the last grant that is committed or outstanding.
    pub(crate) fn find_turn(&mut self, reservations: &Slab<Reservation>) {
        let outstanding = self.outstanding.last().map(|last| reservations[last].id);
        self.turn.0 = self.committed_last.max(outstanding);
    }

    /// Finds the rate window and its count anew.
    pub(crate) fn recount(&mut self, reservations: &Slab<Reservation>) {
        let outstanding = self.outstanding.iter(reservations);
        self.rate.recount(outstanding.map(|at| reservations[at].rate_since));
    }
}

impl Linked for Seat {
    fn links(&self) -> &Links {
        &self.links
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// What a grant that is neither committed nor released holds.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) id: GrantId,
    pub(crate) seat: usize,
    /// The rate window in which it counts.
    pub(crate) rate_since: Option<Timestamp>,
    /// The budget window in which it counts.
    pub(crate) budget_since: Option<Timestamp>,
    pub(crate) links: Links,
}

impl Linked for Reservation {
    fn links(&self) -> &Links {
        &self.links
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}
