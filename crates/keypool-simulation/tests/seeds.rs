//! Some histories in every run of the tests; `cargo xtask simulate` lives through as many as it is asked for, by way of
//! these variables.

use std::env;

use keypool_simulation::{simulate, simulate_all};

/// A number from the environment, or another.
#[expect(
    clippy::disallowed_methods,
    reason = "how many seeds is not the business of any configuration"
)]
fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().expect("seeds are numbers"))
}

#[test]
fn no_history_breaks_a_promise() {
    let from = number("KEYPOOL_SIMULATE_FROM", 1);
    let many = simulate_all(from..from + number("KEYPOOL_SIMULATE_SEEDS", 200));
    println!("{many}");
    assert!(many.broken.is_empty(), "{many}");
}

/// A seed that is told can be looked into.
#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 1..=100 {
        assert_eq!(simulate(seed), simulate(seed), "seed {seed}");
    }
}

/// Histories in which nothing happens would prove nothing.
#[test]
fn histories_hold_what_is_to_be_tried() {
    let all = simulate_all(1..101).all;
    let all = [all.grants, all.refusals, all.failures, all.charged_only, all.changes, all.kills];
    assert!(all.iter().all(|count| *count >= 30), "{all:?}");
}
