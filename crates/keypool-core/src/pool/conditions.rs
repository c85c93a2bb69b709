//! How keys stand: which can be granted now, and what keeps the others.

use super::Pool;
use crate::seat::Seat;
use crate::{Condition, FeatureNo, GrantId, KeyNo, Timestamp};

impl Pool {
    /// How a key stands at `now` for each feature that its tier covers, in ascending order of their numbers; nothing for
    /// an unknown key. What is reserved counts. Moments are moved to those of grants, as for [`draw`](Pool::draw).
    pub fn conditions(
        &self,
        key: KeyNo,
        now: Timestamp,
    ) -> impl Iterator<Item = (FeatureNo, Condition)> {
        let now = now.clamp(Timestamp::from_millis(0), GrantId::LAST_AT);
        let key = self.numbers.get(&key).map(|&key| &self.keys[key]);
        let seats = key.map_or(&[][..], |key| key.seats.as_slice());
        let covered = seats
            .iter()
            .map(|&(feature, seat)| (feature, &self.seats[seat]))
            .filter(|(_, seat)| seat.line.is_some());
        covered.map(move |(feature, seat)| (feature, self.condition(seat, now)))
    }

    fn condition(&self, seat: &Seat, now: Timestamp) -> Condition {
        let budget_free_from = self.keys[seat.key].budget_free_from;
        match seat.free_from {
            _ if now >= seat.expires_at => Condition::Unusable,
            free_from if free_from <= now => Condition::Usable,
            free_from if free_from >= seat.expires_at || free_from > GrantId::LAST_AT => {
                Condition::Unusable
            }
            free_from if free_from == budget_free_from => Condition::BudgetSpent,
            _ => Condition::RateLimited,
        }
    }
}
