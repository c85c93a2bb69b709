//! Moments that nobody chose, and that can be chosen again: `KEYPOOL_TEST_SEED` is the seed.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Numbers by SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// The seed is printed, for a test that failed.
    pub(crate) fn throw() -> Self {
        let given = std::env::var("KEYPOOL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let state = given.unwrap_or_else(|| RandomState::new().hash_one(0));
        println!("KEYPOOL_TEST_SEED={state}");
        Self { state }
    }

    /// A number from `least` to below `end`.
    pub(crate) fn between(&mut self, least: u64, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        least + (mixed ^ (mixed >> 31)) % (end - least)
    }
}

/// Whether tests may take their time: `KEYPOOL_TEST_LONG` is set.
pub(crate) fn is_long() -> bool {
    std::env::var_os("KEYPOOL_TEST_LONG").is_some()
}
