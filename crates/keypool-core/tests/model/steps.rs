//! Random steps: draws, commits, releases, adoptions, admin changes and time, at two scales.

use keypool_core::{
    Budget, FeatureNo, FeatureTally, GrantId, KeyNo, KeyTerms, Period, RateLimit, ReplicaNo, Tally,
    TierNo, Timestamp,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Wait(i64),
    /// Draws at so many milliseconds from the clock, from these tiers or all.
    Draw {
        tiers: Option<Vec<TierNo>>,
        feature: FeatureNo,
        off: i64,
    },
    /// Ends one of the outstanding grants.
    Commit(usize),
    Release(usize),
    /// The moments in it are relative to the clock.
    Adopt {
        key: KeyNo,
        budget: Tally,
        features: Vec<FeatureTally>,
    },
    Strike(KeyNo, u64),
    PutTier(TierNo, Vec<(FeatureNo, RateLimit)>),
    RemoveTier(TierNo),
    /// The expiry is relative to the clock.
    PutKey(KeyNo, KeyTerms),
    RemoveKey(KeyNo),
}

/// How large the numbers of a sequence are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// A few milliseconds and units, so that everything collides.
    Small,
    /// The ends of every number's range, too.
    Extreme,
}

pub(crate) const KEYS: i64 = 6;
pub(crate) const FEATURES: i64 = 3;
pub(crate) const TIERS: i64 = 3;

pub(crate) fn key() -> impl Strategy<Value = KeyNo> {
    (1..=KEYS).prop_map(KeyNo::new)
}

pub(crate) fn feature() -> impl Strategy<Value = FeatureNo> {
    (1..=FEATURES).prop_map(FeatureNo::new)
}

pub(crate) fn tier() -> impl Strategy<Value = TierNo> {
    (1..=TIERS).prop_map(TierNo::new)
}

fn offset(scale: Scale, small: std::ops::Range<i64>) -> BoxedStrategy<i64> {
    let last = GrantId::LAST_AT.as_millis();
    match scale {
        Scale::Small => small.boxed(),
        Scale::Extreme => prop_oneof![
            4 => small,
            1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, -last, last - 1, last, last + 1, i64::MAX - 1, i64::MAX]),
        ]
        .boxed(),
    }
}

fn count(scale: Scale, small: std::ops::Range<u64>) -> BoxedStrategy<u64> {
    match scale {
        Scale::Small => small.boxed(),
        Scale::Extreme => {
            prop_oneof![3 => small, 1 => prop::sample::select(vec![u64::MAX - 1, u64::MAX])].boxed()
        }
    }
}

fn period(scale: Scale) -> impl Strategy<Value = Period> {
    offset(scale, 1..25)
        .prop_map(|millis| Period::from_millis(millis.saturating_abs().max(1)).expect("at least 1"))
}

pub(crate) fn rate_limit(scale: Scale) -> impl Strategy<Value = RateLimit> {
    (count(scale, 0..4), period(scale)).prop_map(|(calls, window)| RateLimit { calls, window })
}

fn budget(scale: Scale) -> impl Strategy<Value = Budget> {
    (count(scale, 0..5), option::of(period(scale)))
        .prop_map(|(units, window)| Budget { units, window })
}

pub(crate) fn terms(scale: Scale) -> impl Strategy<Value = KeyTerms> {
    let expiry = option::weighted(0.3, offset(scale, -5..60).prop_map(Timestamp::from_millis));
    (tier(), prop::bool::weighted(0.9), expiry, option::of(budget(scale))).prop_map(
        |(tier, active, expires_at, budget)| KeyTerms { tier, active, expires_at, budget },
    )
}

fn tally(scale: Scale) -> impl Strategy<Value = Tally> {
    let since = option::of(offset(scale, -30..30).prop_map(Timestamp::from_millis));
    (since, count(scale, 0..4)).prop_map(|(since, count)| Tally { since, count })
}

fn grant_id() -> impl Strategy<Value = GrantId> {
    let sequence = prop_oneof![3 => 0..3_u16, 1 => 2046..2048_u16];
    (0..2_100_i64, 0..3_u16, sequence).prop_map(|(millis, replica, sequence)| {
        GrantId::compose(
            Timestamp::from_millis(millis),
            ReplicaNo::new(replica).expect("at most 1023"),
            sequence,
        )
        .expect("all three fit")
    })
}

fn feature_tally(scale: Scale) -> impl Strategy<Value = FeatureTally> {
    (feature(), tally(scale), option::of(grant_id()))
        .prop_map(|(feature, rate, last_grant)| FeatureTally { feature, rate, last_grant })
}

pub(crate) fn features(scale: Scale) -> impl Strategy<Value = Vec<(FeatureNo, RateLimit)>> {
    vec((feature(), rate_limit(scale)), 0..5)
}

pub(crate) fn draw(scale: Scale) -> impl Strategy<Value = Step> {
    let off = prop_oneof![6 => Just(0), 1 => offset(scale, -20..3)];
    (option::of(vec(tier(), 0..3)), feature(), off).prop_map(|(tiers, feature, off)| Step::Draw {
        tiers,
        feature,
        off,
    })
}

/// Steps in which no limit, window, tier or key changes after the start.
pub(crate) fn quiet_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..8_i64).prop_map(Step::Wait),
        8 => draw(Scale::Small),
        3 => any::<prop::sample::Index>().prop_map(|nth| Step::Commit(nth.index(1 << 16))),
        2 => any::<prop::sample::Index>().prop_map(|nth| Step::Release(nth.index(1 << 16))),
    ]
}

pub(crate) fn step(scale: Scale) -> impl Strategy<Value = Step> {
    let wait = match scale {
        Scale::Small => (0..12_i64).boxed(),
        Scale::Extreme => {
            prop_oneof![30 => 0..12_i64, 1 => Just(1 << 40), 1 => Just(i64::MAX)].boxed()
        }
    };
    prop_oneof![
        20 => quiet_step(),
        10 => draw(scale),
        4 => wait.prop_map(Step::Wait),
        2 => (key(), tally(scale), vec(feature_tally(scale), 0..3))
            .prop_map(|(key, budget, features)| Step::Adopt { key, budget, features }),
        1 => (key(), count(scale, 0..4)).prop_map(|(key, count)| Step::Strike(key, count)),
        1 => (tier(), features(scale)).prop_map(|(tier, features)| Step::PutTier(tier, features)),
        1 => tier().prop_map(Step::RemoveTier),
        3 => (key(), terms(scale)).prop_map(|(key, terms)| Step::PutKey(key, terms)),
        1 => key().prop_map(Step::RemoveKey),
    ]
}
