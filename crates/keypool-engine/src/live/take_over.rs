//! Memory takes over what the database has: the whole pool, what was changed in it, or counters.

use keypool_core::{FeatureTally, GrantId};
use keypool_store::{Snapshot, Standing};

use super::{Live, MOST_OVERRULED, Turn, Work};
use crate::freshness::{Freshness, LookBack};
use crate::gathering::{Asked, Gathered, Gathering};
use crate::load::{self, LoadedPool, feature_tally, tally};
use crate::opener::Opener;
use crate::{DrawError, Unavailable};

/// What was known of a shared database when something began to be read of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// The newest event at the pulse before.
    pub(crate) latest: Option<GrantId>,
    /// When, by the steady clock.
    pub(crate) begun_ms: i64,
}

/// What became of grants that the database did not take.
pub(crate) enum Refitted {
    /// Some fit no longer and are decided anew, or count in other windows by now; all are on their way again.
    Moved,
    /// Each fits as it stands.
    Unmoved(Vec<Gathered>),
}

impl Live {
    /// What is known of the database now.
    pub(crate) fn known(&self) -> Known {
        Known { latest: self.seen.latest, begun_ms: self.steady_ms() }
    }

    /// Takes over the database's state, and decides anew what was gathered and what the database `overruled`. Grants
    /// that are not among these (their commit is in doubt) stand as the database has them.
    pub(crate) fn take_over(&mut self, pool: LoadedPool, overruled: Vec<Gathered>) {
        let mut waiting: Vec<Asked> = overruled.into_iter().map(overrule).collect();
        waiting.extend(self.withdraw());
        let newest = self.core.latest_grant();
        self.core = pool.core;
        if let Some(newest) = newest {
            self.core.remember_grant(newest);
        }
        self.roster = pool.roster;
        self.uses.learn(&pool.uses);
        self.revision = pool.revision;
        self.freshness = Freshness::Current;
        self.have_caught_up(Known { latest: pool.latest_grant, begun_ms: pool.begun_ms });
        self.decide_anew(waiting, Turn::OneChange);
    }

    /// Takes over what was changed in the pool and what others drew, as far as it was `known`, and decides anew what was gathered and
    /// what the database `overruled`. Grants in doubt stay reserved.
    pub(crate) fn take_changes(
        &mut self,
        changed: Snapshot,
        (standing, known): (&Standing, Known),
        overruled: Vec<Gathered>,
        opener: Opener<'_>,
    ) {
        let waiting = self.withdraw();
        let mut again = self.release_overruled(overruled);
        again.extend(waiting);
        self.revision = changed.revision;
        load::apply_changes(changed, &mut self.core, &mut self.roster, opener);
        self.adopt(standing);
        self.have_caught_up(known);
        self.decide_anew(again, Turn::OneChange);
    }

    /// Takes over what others drew, as far as it was `known`, and decides anew what was gathered.
    pub(crate) fn take_counters(&mut self, standing: &Standing, known: Known) {
        let waiting = self.withdraw();
        self.adopt(standing);
        self.have_caught_up(known);
        self.decide_anew(waiting, Turn::OneChange);
    }

    /// Takes over the true counters of keys that others have used up. Of the grants that the database did not take those
    /// that fit are sent again, apart from all others; the rest, and what was gathered, is decided anew.
    pub(crate) fn refit(&mut self, standing: &Standing, grants: Vec<Gathered>) -> Refitted {
        let waiting = self.withdraw();
        self.adopt(standing);
        let (mut fitting, mut others) = (Vec::with_capacity(grants.len()), Vec::new());
        let mut is_moved = false;
        // Where a limit is overrun, the newest goes first.
        for mut gathered in grants.into_iter().rev() {
            if self.core.fits(&gathered.grant) {
                let windows = (gathered.grant.rate_since(), gathered.grant.budget_since());
                gathered.grant = self.core.refreshed(gathered.grant);
                is_moved |= windows != (gathered.grant.rate_since(), gathered.grant.budget_since());
                gathered.asked.forestalled += 1;
                fitting.push(gathered);
            } else {
                self.core.release(gathered.grant);
                let mut asked = gathered.asked;
                asked.overruled += 1;
                asked.forestalled += 1;
                others.push(asked);
            }
        }
        fitting.reverse();
        others.reverse();
        let refitted = if is_moved || !others.is_empty() {
            self.send_again(fitting, 1);
            Refitted::Moved
        } else {
            Refitted::Unmoved(fitting)
        };
        others.extend(waiting);
        self.decide_anew(others, Turn::OneChange);
        refitted
    }

    /// Sends grants again as they are, which counts as so many times that they were overruled.
    pub(crate) fn send_again(&mut self, grants: Vec<Gathered>, weight: u32) {
        let mut batches: Vec<Gathering> = Vec::new();
        for mut gathered in grants {
            gathered.asked.overruled += weight;
            if gathered.asked.overruled > MOST_OVERRULED {
                self.core.release(gathered.grant);
                let overloaded = DrawError::Unavailable(Unavailable::Overloaded);
                let _ = gathered.asked.reply.send(Err(overloaded));
                continue;
            }
            self.queued_draws += 1;
            let rejected = match batches.last_mut() {
                Some(batch) => batch.try_add(gathered),
                None => Err(gathered),
            };
            if let Err(gathered) = rejected {
                let mut batch = Gathering::default();
                batch.try_add(gathered).expect("an empty batch takes any grant");
                batches.push(batch);
            }
        }
        for mut batch in batches.into_iter().rev() {
            batch.close();
            self.queue.push_front(Work::Draws(batch));
        }
    }

    /// Gives back the limits of grants that the database overruled.
    fn release_overruled(&mut self, grants: Vec<Gathered>) -> Vec<Asked> {
        let mut asked = self.release(grants);
        asked.iter_mut().for_each(|asked| asked.overruled += 1);
        asked
    }

    fn adopt(&mut self, standing: &Standing) {
        for key in &standing.keys {
            let counters: Vec<FeatureTally> = key.counters.iter().map(feature_tally).collect();
            let budget = tally(key.usage_window_start, key.usage_count);
            self.core.adopt(key.key, budget, &counters);
        }
    }

    /// What was behind is taken over, as far as it was known when the reading began: a pulse that came meanwhile may have
    /// seen more. Doubt is not settled by that: grants in doubt are forgotten with the whole pool.
    fn have_caught_up(&mut self, Known { latest, begun_ms }: Known) {
        self.seen.counters = latest;
        self.seen.look_back = LookBack::Near;
        if self.freshness == Freshness::Doubtful {
            return;
        }
        if self.revision < self.seen.revision {
            self.freshness = Freshness::PoolBehind;
        } else {
            self.freshness = Freshness::Current;
            self.seen.as_of_ms = Some(begun_ms);
            self.confirm(&Ok(()));
        }
    }
}

fn overrule(gathered: Gathered) -> Asked {
    let mut asked = gathered.asked;
    asked.overruled += 1;
    asked
}
