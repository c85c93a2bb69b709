//! How a grant ends: on record, or taken back.

use super::Pool;
use crate::Grant;
use crate::seat::Reservation;

impl Pool {
    /// Takes note that a grant is on record. What it counts stays as it is.
    ///
    /// Without effect if the grant's key was removed.
    pub fn commit(&mut self, grant: Grant) {
        let Some(reservation) = self.end(grant) else { return };
        let seat = &mut self.seats[reservation.seat];
        seat.committed_last = seat.committed_last.max(Some(reservation.id));
        seat.rate.commit(reservation.rate_since);
        self.keys[seat.key].budget.commit(reservation.budget_since);
    }

    /// Takes a grant back: counts, windows and the key's turn are as if it had not been drawn.
    ///
    /// Without effect if the grant's key was removed.
    pub fn release(&mut self, grant: Grant) {
        let Some(reservation) = self.end(grant) else { return };
        self.leave(reservation.seat);
        let seat = &mut self.seats[reservation.seat];
        seat.find_turn(&self.reservations);
        if seat.rate.release(reservation.rate_since) {
            seat.recount(&self.reservations);
        }
        let key = seat.key;
        if self.keys[key].budget.release(reservation.budget_since) {
            self.recount_budget(key);
        }

        if self.budget_moved(key) {
            self.place_key_again(key);
        } else {
            self.place(reservation.seat);
        }
    }

    /// Takes a grant's reservation off its seat, unless it is gone.
    #[expect(clippy::needless_pass_by_value, reason = "a grant ends here")]
    fn end(&mut self, grant: Grant) -> Option<Reservation> {
        let reservation = self.reservations.get(grant.reservation)?;
        if reservation.id != grant.id {
            return None; // the key was removed, and another grant has the slot
        }
        let seat = &mut self.seats[reservation.seat];
        seat.outstanding.unlink(&mut self.reservations, grant.reservation);
        Some(self.reservations.remove(grant.reservation))
    }
}
