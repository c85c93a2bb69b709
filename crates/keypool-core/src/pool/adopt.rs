//! Taking over what is on record, or what somebody sets, while grants are outstanding.

use super::Pool;
use crate::counter::Tally;
use crate::{FeatureTally, Grant, KeyNo, Timestamp};

impl Pool {
    /// Takes over the true committed state of a key's budget and of the features named, which does not include
    /// outstanding grants. Those stay reserved on top: in their own window where that lies beyond the adopted one,
    /// else in the adopted one; those of a window that had ended when the adopted one opened no longer matter to it.
    ///
    /// Features that the key's tier does not cover are kept for when it does. Unknown keys are left out.
    pub fn adopt(&mut self, key: KeyNo, budget: Tally, features: &[FeatureTally]) {
        for last in features.iter().filter_map(|tally| tally.last_grant) {
            self.ids.remember(last);
        }
        let Some(&key) = self.numbers.get(&key) else { return };
        for tally in features {
            self.adopt_rate(key, tally);
        }
        self.adopt_budget(key, budget);
        self.place_key_again(key);
    }

    /// Sets what is used of a key's budget: in the window that is open at `now`, or for life. Where no window is open, one
    /// opens at `now` for a count above 0. Outstanding grants stay reserved on top, as with [`adopt`](Pool::adopt).
    ///
    /// Unknown keys are left out.
    pub fn strike_balance(&mut self, key: KeyNo, count: u64, now: Timestamp) {
        let Some(&at) = self.numbers.get(&key) else { return };
        let key = &self.keys[at];
        let since = if key.cap().encloses(key.budget.window(), now) {
            key.budget.window()
        } else {
            (count > 0).then_some(now)
        };
        self.adopt_budget(at, Tally { since, count });
        self.place_key_again(at);
    }

    /// Whether an outstanding grant is still within its limits, after counters were [adopted](Pool::adopt): its windows
    /// are not over on record, it is not older than they are, and with it they are not overrun. Where several grants
    /// overrun a limit together none of them fits until enough of them are released, the newest first.
    #[must_use]
    pub fn fits(&self, grant: &Grant) -> bool {
        let Some(reservation) = self.reservations.get(grant.reservation) else { return false };
        let seat = &self.seats[reservation.seat];
        let key = &self.keys[seat.key];
        let at = Some(grant.id.at());
        reservation.id == grant.id
            && at >= reservation.rate_since
            && at >= reservation.budget_since
            && seat.rate.holds(seat.cap, reservation.rate_since)
            && key.budget.holds(key.cap(), reservation.budget_since)
    }

    /// The same outstanding grant with the windows that it counts in by now: [`adopt`](Pool::adopt) may have moved it.
    pub fn refreshed(&self, grant: Grant) -> Grant {
        match self.reservations.get(grant.reservation) {
            Some(own) if own.id == grant.id => Grant {
                rate_since: own.rate_since.unwrap_or(grant.rate_since),
                budget_since: own.budget_since,
                ..grant
            },
            Some(_) | None => grant,
        }
    }

    /// Takes over a feature's count and last grant; the seat is left out of its place.
    fn adopt_rate(&mut self, key: usize, tally: &FeatureTally) {
        let at = self.seat_for(key, tally.feature);
        self.leave(at);
        let seat = &mut self.seats[at];
        let outstanding: Vec<usize> = seat.outstanding.iter(&self.reservations).collect();
        for reservation in outstanding {
            let since = &mut self.reservations[reservation].rate_since;
            *since = seat.cap.rehome(*since, tally.rate.since);
        }
        seat.rate.adopt(tally.rate);
        seat.recount(&self.reservations);
        seat.committed_last = tally.last_grant;
        seat.find_turn(&self.reservations);
    }

    fn adopt_budget(&mut self, key: usize, tally: Tally) {
        let cap = self.keys[key].cap();
        let since = tally.since.filter(|_| cap.has_windows());
        for reservation in self.outstanding_of(key) {
            let own = &mut self.reservations[reservation].budget_since;
            *own = cap.rehome(*own, since);
        }
        self.keys[key].budget.adopt(Tally { since, count: tally.count });
        self.recount_budget(key);
        self.budget_moved(key);
    }

    /// Fits a key's count to a budget that has windows now and had none before, or the other way round. A count for
    /// life has no window: the first grant opens one. Outstanding grants count in the windows that they would have
    /// opened.
    pub(super) fn fit_budget_windows(&mut self, key: usize) {
        let cap = self.keys[key].cap();
        let mut window: Option<Timestamp> = None;
        for reservation in self.outstanding_of(key) {
            let reservation = &mut self.reservations[reservation];
            if !cap.encloses(window, reservation.id.at()) {
                window = Some(reservation.id.at());
            }
            reservation.budget_since = window;
        }
        let count = self.keys[key].budget.committed().count;
        self.keys[key].budget.adopt(Tally { since: None, count });
    }

    /// A key's outstanding grants, in the order of their ids.
    fn outstanding_of(&self, key: usize) -> Vec<usize> {
        let seats = self.keys[key].seats.iter().map(|&(_, seat)| &self.seats[seat]);
        let mut all: Vec<usize> =
            seats.flat_map(|seat| seat.outstanding.iter(&self.reservations)).collect();
        all.sort_unstable_by_key(|&at| self.reservations[at].id);
        all
    }
}
