//! The decision: who is next, or why nobody is.

use super::Pool;
use crate::list::Links;
use crate::seat::{Reservation, Turn};
use crate::{Access, FeatureNo, Grant, GrantId, KeyNo, Limit, Refusal, Timestamp};

impl Pool {
    /// Grants the key that was served least recently for the feature among those that can be served, over all tiers
    /// of `access` (promise 4), and counts it at once on its rate limit and its budget.
    ///
    /// All is judged at the later of `now` and the latest grant's millisecond, one further if that millisecond has no
    /// more ids; the grant is made at that moment. Moments before the epoch count as the epoch, and moments after
    /// [`GrantId::LAST_AT`] as that.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] says why no key could be granted; nothing was counted and nobody lost a turn.
    pub fn draw(
        &mut self,
        access: Access<'_>,
        feature: FeatureNo,
        now: Timestamp,
    ) -> Result<Grant, Refusal> {
        let Some(id) = self.ids.next(now) else {
            let covered = self.covers(access, feature);
            return Err(if covered { Refusal::NoUsableKey } else { Refusal::NotCovered });
        };
        let mut covered = false;
        let mut next: Option<(Turn, usize)> = None;
        for line in self.coverage.lines(access, feature) {
            covered = true;
            let candidate = self.lines[line].next(&mut self.seats, id.at());
            next = match (next, candidate) {
                (Some(next), Some(candidate)) => Some(next.min(candidate)),
                (next, candidate) => next.or(candidate),
            };
        }
        match next {
            Some((_, seat)) => Ok(self.grant(seat, id)),
            None if covered => Err(self.refuse(access, feature)),
            None => Err(Refusal::NotCovered),
        }
    }

    /// Reserves a grant of a seat that can be served.
    fn grant(&mut self, at: usize, id: GrantId) -> Grant {
        self.ids.remember(id);
        self.leave(at);
        let seat = &mut self.seats[at];
        let (slot, feature, no) = (seat.key, seat.feature, seat.key_no());
        let key = &mut self.keys[slot];
        let rate_since = seat.rate.reserve(seat.cap, id.at());
        let budget_since = key.budget.reserve(key.cap(), id.at());
        let links = Links::UNLINKED;
        let reservation = Reservation { id, seat: at, rate_since, budget_since, links };
        let reservation = self.reservations.insert(reservation);
        seat.outstanding.push_back(&mut self.reservations, reservation);
        seat.turn.0 = Some(id);

        if self.budget_moved(slot) {
            self.place_key_again(slot);
        } else {
            self.place(at);
        }
        let rate_since = rate_since.expect("a rate limit has a window");
        Grant { id, key: no, feature, rate_since, budget_since, reservation }
    }

    /// Says why no key of the lines can be served, once what could wake is awake.
    fn refuse(&self, access: Access<'_>, feature: FeatureNo) -> Refusal {
        let lines = self.coverage.lines(access, feature);
        let first: Option<(Timestamp, KeyNo, usize)> =
            lines.filter_map(|line| self.lines[line].back_first()).min();
        let Some((until, _, seat)) = first else { return Refusal::NoUsableKey };
        let budget_holds = self.keys[self.seats[seat].key].budget_free_from == until;
        Refusal::Spent { limit: if budget_holds { Limit::Budget } else { Limit::Rate }, until }
    }
}
