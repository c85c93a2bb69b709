//! Tiers come, change what they cover, and go.

use std::collections::BTreeMap;

use super::{Pool, Tier};
use crate::counter::Cap;
use crate::line::Line;
use crate::{FeatureNo, RateLimit, TierInUse, TierNo};

impl Pool {
    /// Adds a tier, or replaces the whole set of its features; the keys in it follow at once.
    ///
    /// Counters go by key and feature: they survive a feature's removal and return, and other limits. Of a feature
    /// named twice the last limit holds.
    pub fn put_tier(&mut self, tier: TierNo, features: &[(FeatureNo, RateLimit)]) {
        let wanted: BTreeMap<FeatureNo, RateLimit> = features.iter().copied().collect();
        let Tier { lines, members } = self.tiers.remove(&tier).unwrap_or_default();
        let mut kept: BTreeMap<FeatureNo, (RateLimit, usize)> = BTreeMap::new();
        for (feature, rate, line) in lines {
            if wanted.contains_key(&feature) {
                kept.insert(feature, (rate, line));
            } else {
                self.close_line(tier, feature, line, &members);
            }
        }

        let mut lines = Vec::with_capacity(wanted.len());
        for (feature, rate) in wanted {
            let line = match kept.get(&feature) {
                Some(&(before, line)) if before == rate => line,
                Some(&(_, line)) => self.change_line(line, feature, rate, &members),
                None => self.open_line(tier, feature, rate, &members),
            };
            lines.push((feature, rate, line));
        }
        self.tiers.insert(tier, Tier { lines, members });
        self.forget_empty_tier(tier);
    }

    /// Removes a tier; without effect if there is none.
    ///
    /// # Errors
    ///
    /// [`TierInUse`] while a key is in it; nothing is changed.
    pub fn remove_tier(&mut self, tier: TierNo) -> Result<(), TierInUse> {
        let keys = self.tiers.get(&tier).map_or(0, |tier| tier.members.len());
        if keys > 0 {
            return Err(TierInUse { tier, keys });
        }
        self.put_tier(tier, &[]);
        Ok(())
    }

    fn open_line(
        &mut self,
        tier: TierNo,
        feature: FeatureNo,
        rate: RateLimit,
        members: &[usize],
    ) -> usize {
        let line = self.lines.insert(Line::new());
        self.coverage.insert(feature, tier, line);
        self.change_line(line, feature, rate, members)
    }

    /// Gives the members' seats a line and its limit.
    fn change_line(
        &mut self,
        line: usize,
        feature: FeatureNo,
        rate: RateLimit,
        members: &[usize],
    ) -> usize {
        for &key in members {
            let at = self.seat_for(key, feature);
            self.leave(at);
            let seat = &mut self.seats[at];
            seat.line = Some(line);
            seat.cap = Cap::from(rate);
            self.place(at);
        }
        line
    }

    fn close_line(&mut self, tier: TierNo, feature: FeatureNo, line: usize, members: &[usize]) {
        for &key in members {
            let seat = self.seat_for(key, feature);
            self.leave(seat);
            self.seats[seat].line = None;
        }
        self.coverage.remove(feature, tier);
        self.lines.remove(line);
    }
}
