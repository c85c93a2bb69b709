//! Keys come, change, move and go.

use super::{Key, Pool, Tier};
use crate::counter::{Cap, Counter, Tally};
use crate::{KeyNo, KeyTerms, TierNo};

impl Pool {
    /// Adds a key, or gives it other terms.
    ///
    /// Counters and turns stay, wherever the key goes. A changed limit or window length applies to the window under way.
    /// A budget set on a key that had none starts from 0. The tier need not exist yet.
    pub fn put_key(&mut self, key: KeyNo, terms: KeyTerms) {
        match self.numbers.get(&key) {
            Some(&at) => self.change_key(at, terms),
            None => self.add_key(key, terms),
        }
    }

    /// Removes a key with its counters; `false` if there is none. Its outstanding grants may still be committed or
    /// released, to no effect.
    pub fn remove_key(&mut self, key: KeyNo) -> bool {
        let Some(at) = self.numbers.remove(&key) else { return false };
        self.leave_tier(at, self.keys[at].terms.tier);
        for (_, seat) in self.keys.remove(at).seats {
            let outstanding: Vec<usize> =
                self.seats[seat].outstanding.iter(&self.reservations).collect();
            for reservation in outstanding {
                self.reservations.remove(reservation);
            }
            self.seats.remove(seat);
        }
        true
    }

    fn add_key(&mut self, no: KeyNo, terms: KeyTerms) {
        let budget = Counter::default();
        let budget_free_from = budget.free_from(Cap::from(terms.budget));
        let key = Key { no, terms, budget, budget_free_from, seats: Vec::new(), member: 0 };
        let at = self.keys.insert(key);
        self.numbers.insert(no, at);
        self.join_tier(at);
        self.place_key_again(at);
    }

    fn change_key(&mut self, at: usize, terms: KeyTerms) {
        let key = &mut self.keys[at];
        let before = std::mem::replace(&mut key.terms, terms);
        let cap_before = Cap::from(before.budget);
        if before.budget.is_none() && terms.budget.is_some() {
            key.budget.adopt(Tally::default());
        }
        if cap_before.has_windows() != key.cap().has_windows() {
            self.fit_budget_windows(at);
        }
        self.recount_budget(at);
        self.budget_moved(at);
        if before.tier != terms.tier {
            self.leave_tier(at, before.tier);
            self.join_tier(at);
        }
        self.place_key_again(at);
    }

    /// Makes a key a member of its tier, its seats in no place yet.
    fn join_tier(&mut self, at: usize) {
        let tier = self.tiers.entry(self.keys[at].terms.tier).or_default();
        self.keys[at].member = tier.members.len();
        tier.members.push(at);
        for (feature, rate, line) in tier.lines.clone() {
            let seat = self.seat_for(at, feature);
            self.seats[seat].line = Some(line);
            self.seats[seat].cap = Cap::from(rate);
        }
    }

    /// Takes a key and its seats out of its tier.
    fn leave_tier(&mut self, at: usize, no: TierNo) {
        for nth in 0..self.keys[at].seats.len() {
            let seat = self.keys[at].seats[nth].1;
            self.leave(seat);
            self.seats[seat].line = None;
        }
        let member = self.keys[at].member;
        let tier = self.tiers.get_mut(&no).expect("a key is a member of its tier");
        tier.members.swap_remove(member);
        if let Some(&moved) = tier.members.get(member) {
            self.keys[moved].member = member;
        }
        self.forget_empty_tier(no);
    }

    /// Forgets a tier that covers nothing and holds no key.
    pub(super) fn forget_empty_tier(&mut self, tier: TierNo) {
        let is_empty = |tier: &Tier| tier.lines.is_empty() && tier.members.is_empty();
        if self.tiers.get(&tier).is_some_and(is_empty) {
            self.tiers.remove(&tier);
        }
    }
}
