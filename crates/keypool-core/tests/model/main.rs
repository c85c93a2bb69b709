//! The pool against a naive model that scans, over random sequences (promises 1, 4 and 7).

mod ledger;
mod naive;
mod pair;
mod steps;

use keypool_core::GrantId;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::ledger::Ledger;
use crate::pair::Pair;
use crate::steps::{Scale, features, quiet_step, step, terms, tier};

/// Steps of one sequence; with [`SEQUENCES`] over 10^5 in all.
const STEPS: usize = 400;
const SEQUENCES: u32 = 256;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(SEQUENCES))]

    #[test]
    fn decides_as_the_model_that_scans_does(
        tiers in vec((tier(), features(Scale::Small)), 3),
        keys in vec(terms(Scale::Small), 6),
        steps in vec(step(Scale::Small), STEPS),
    ) {
        let mut pair = Pair::new(1_000);
        pair.fill(tiers, keys);
        for step in steps {
            pair.take(step);
            pair.compare();
        }
    }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn decides_as_the_model_does_at_the_ends_of_every_range(
        start in prop::sample::select(vec![i64::MIN, -1, 0, 1_000, GrantId::LAST_AT.as_millis() - 20, i64::MAX]),
        tiers in vec((tier(), features(Scale::Extreme)), 3),
        keys in vec(terms(Scale::Extreme), 6),
        steps in vec(step(Scale::Extreme), 100),
    ) {
        let mut pair = Pair::new(start);
        pair.fill(tiers, keys);
        for step in steps {
            pair.take(step);
            pair.compare();
        }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn never_grants_beyond_a_limit_and_turns_are_fair(
        tiers in vec(features(Scale::Small), 3),
        keys in vec(terms(Scale::Small), 6),
        steps in vec(quiet_step(), STEPS),
        adopts in vec(any::<bool>(), STEPS),
    ) {
        let mut ledger = Ledger::new(&tiers, &keys);
        for (step, adopts) in steps.into_iter().zip(adopts) {
            ledger.take(step);
            if adopts {
                ledger.adopt_what_is_on_record();
            }
        }
        ledger.check_rates();
        ledger.check_budgets();
    }
}
