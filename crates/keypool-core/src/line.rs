//! The keys of one tier for one feature: those that can be served by turn, the others by when they come back.

use std::collections::BTreeSet;

use slab::Slab;

use crate::counter::ALWAYS;
use crate::list::List;
use crate::seat::{Place, Seat, Turn};
use crate::{GrantId, KeyNo, Timestamp};

/// The seats of a tier and a feature.
///
/// The ring of those that can be served is in two parts. A key that was just granted has the last turn of all, so it
/// goes to the end of the queue: no search, no allocation. One that comes back out of turn (its window ended, its
/// grant was released) stands in `early` until it is served. Whoever has the first turn of both is next.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    queue: List,
    early: BTreeSet<(Turn, usize)>,
    parked: BTreeSet<(Timestamp, KeyNo, usize)>,
    /// By expiry; an earlier `now` finds them usable again.
    lapsed: BTreeSet<(Timestamp, KeyNo, usize)>,
}

impl Line {
    pub(crate) fn new() -> Line {
        Line {
            queue: List::EMPTY,
            early: BTreeSet::new(),
            parked: BTreeSet::new(),
            lapsed: BTreeSet::new(),
        }
    }

    /// Puts a seat that is in no place where its turn, moment and expiry belong.
    pub(crate) fn place(&mut self, seats: &mut Slab<Seat>, at: usize) {
        let seat = &mut seats[at];
        if seat.free_from >= seat.expires_at || seat.free_from > GrantId::LAST_AT {
            seat.place = Place::Out;
        } else if seat.free_from == ALWAYS {
            self.place_in_ring(seats, at);
        } else {
            seat.place = Place::Parked;
            self.parked.insert((seat.free_from, seat.key_no(), at));
        }
    }

    fn place_in_ring(&mut self, seats: &mut Slab<Seat>, at: usize) {
        let turn = seats[at].turn;
        if self.queue.last().is_none_or(|last| seats[last].turn < turn) {
            seats[at].place = Place::Queued;
            self.queue.push_back(seats, at);
        } else {
            seats[at].place = Place::Early;
            self.early.insert((turn, at));
        }
    }

    /// Takes a seat from its place.
    pub(crate) fn leave(&mut self, seats: &mut Slab<Seat>, at: usize) {
        let seat = &mut seats[at];
        match std::mem::replace(&mut seat.place, Place::Out) {
            Place::Out => {}
            Place::Queued => self.queue.unlink(seats, at),
            Place::Early => drop(self.early.remove(&(seat.turn, at))),
            Place::Parked => drop(self.parked.remove(&(seat.free_from, seat.key_no(), at))),
            Place::Lapsed => drop(self.lapsed.remove(&(seat.expires_at, seat.key_no(), at))),
        }
    }

    /// The seat that is next at `now`, after those whose moment has come were moved into the ring.
    pub(crate) fn next(&mut self, seats: &mut Slab<Seat>, now: Timestamp) -> Option<(Turn, usize)> {
        self.bring_back(seats, now);
        self.wake(seats, now);
        loop {
            let (turn, first) = self.first(seats)?;
            if now < seats[first].expires_at {
                return Some((turn, first));
            }
            self.leave(seats, first);
            let seat = &mut seats[first];
            seat.place = Place::Lapsed;
            self.lapsed.insert((seat.expires_at, seat.key_no(), first));
        }
    }

    /// The seat that comes back first, and when.
    pub(crate) fn back_first(&self) -> Option<(Timestamp, KeyNo, usize)> {
        self.parked.first().copied()
    }

    /// The first turn in the ring.
    fn first(&self, seats: &Slab<Seat>) -> Option<(Turn, usize)> {
        let queued = self.queue.first().map(|first| (seats[first].turn, first));
        match self.early.first() {
            Some(&early) => Some(queued.map_or(early, |queued| queued.min(early))),
            None => queued,
        }
    }

    /// Moves the parked seats that can be served at `now` into the ring.
    fn wake(&mut self, seats: &mut Slab<Seat>, now: Timestamp) {
        while self.parked.first().is_some_and(|&(free_from, ..)| free_from <= now)
            && let Some((_, _, at)) = self.parked.pop_first()
        {
            self.place_in_ring(seats, at);
        }
    }

    /// Moves the lapsed seats that are not yet expired at `now` to where they belong.
    fn bring_back(&mut self, seats: &mut Slab<Seat>, now: Timestamp) {
        while self.lapsed.last().is_some_and(|&(expires_at, ..)| now < expires_at)
            && let Some((_, _, at)) = self.lapsed.pop_last()
        {
            self.place(seats, at);
        }
    }
}
