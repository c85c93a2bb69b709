//! Measures the core's draw: beside governor's keyed check, and as the pool grows (promise 6).
//!
//! A measured draw is one draw and its commit. The time is an argument, as everywhere in core; governor's check reads
//! its own clock.

use std::cell::RefCell;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use criterion::Criterion;
use governor::{Quota, RateLimiter};
use keypool_core::{
    Access, Budget, FeatureNo, KeyNo, KeyTerms, Period, Pool, RateLimit, ReplicaNo, TierNo,
    Timestamp,
};

const TIER: TierNo = TierNo::new(1);
const SEARCH: FeatureNo = FeatureNo::new(1);
const START: Timestamp = Timestamp::from_millis(1_764_000_000_000);
const DAY_MILLIS: i64 = 86_400_000;

/// Nanoseconds an iteration, of each sample of each case.
#[derive(Default)]
struct Samples(RefCell<Vec<(&'static str, f64)>>);

impl Samples {
    /// Runs a case in criterion and keeps its samples.
    fn run(&self, criterion: &mut Criterion, case: &'static str, mut once: impl FnMut()) {
        criterion.bench_function(case, |bencher| {
            bencher.iter_custom(|times| {
                let elapsed = time(|| (0..times).for_each(|_| once()));
                let ns = elapsed.as_nanos() as f64 / times as f64;
                self.0.borrow_mut().push((case, ns));
                elapsed
            });
        });
    }

    /// The median of a case, if it was run.
    fn median(&self, case: &str) -> Option<f64> {
        let samples = self.0.borrow();
        let mut of_case: Vec<f64> =
            samples.iter().filter(|(name, _)| *name == case).map(|(_, ns)| *ns).collect();
        of_case.sort_by(f64::total_cmp);
        of_case.get(of_case.len() / 2).copied()
    }
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn period(millis: i64) -> Period {
    Period::from_millis(millis).expect("longer than nothing")
}

/// A pool of so many keys, of which the first are exhausted: one unit a day, spent.
fn pool(keys: i64, exhausted: i64, rate: RateLimit) -> Pool {
    let mut pool = Pool::new(ReplicaNo::new(0).expect("0 is a replica"));
    pool.put_tier(TIER, &[(SEARCH, rate)]);
    for no in 1..=keys {
        let one_a_day = Budget { units: 1, window: Some(period(DAY_MILLIS)) };
        let budget = (no <= exhausted).then_some(one_a_day);
        let terms = KeyTerms { tier: TIER, active: true, expires_at: None, budget };
        pool.put_key(KeyNo::new(no), terms);
    }
    for _ in 0..keys {
        draw(&mut pool);
    }
    pool
}

fn plenty() -> RateLimit {
    RateLimit { calls: 1 << 62, window: period(60_000) }
}

fn draw(pool: &mut Pool) {
    let grant = pool.draw(Access::All, SEARCH, START).expect("a key is free");
    pool.commit(black_box(grant));
}

/// Draws of a pool, a refusal if it has no key left.
fn draws(samples: &Samples, criterion: &mut Criterion) {
    for (case, keys, exhausted) in [
        (TEN_KEYS, 10, 0),
        ("draw of 10,000 keys", 10_000, 0),
        (MANY_EXHAUSTED, 10_000, 9_990),
        ("draw of 1,000,000 keys", 1_000_000, 0),
    ] {
        let mut pool = pool(keys, exhausted, plenty());
        samples.run(criterion, case, || draw(&mut pool));
    }
    for (case, exhausted) in [
        (REFUSAL_OF_TEN, 10),
        (REFUSAL_OF_MANY, 10_000),
        ("refusal, 1,000,000 keys exhausted", 1_000_000),
    ] {
        let mut pool = pool(exhausted, exhausted, plenty());
        samples.run(criterion, case, || {
            let refusal = pool.draw(Access::All, SEARCH, START);
            assert!(black_box(refusal).is_err(), "all are exhausted");
        });
    }
}

const TEN_KEYS: &str = "draw of 10 keys";
const MANY_EXHAUSTED: &str = "draw of 10,000 keys, 9,990 exhausted";
const REFUSAL_OF_TEN: &str = "refusal, 10 keys exhausted";
const REFUSAL_OF_MANY: &str = "refusal, 10,000 keys exhausted";
const GOVERNOR: &str = "governor, keyed check of 10 keys";

fn governor(samples: &Samples, criterion: &mut Criterion) {
    let plenty = NonZeroU32::new(100_000_000).expect("more than nothing");
    let limiter = RateLimiter::keyed(Quota::per_second(plenty).allow_burst(NonZeroU32::MAX));
    let mut key = 0_u64;
    samples.run(criterion, GOVERNOR, || {
        key = (key + 1) % 10;
        assert!(limiter.check_key(black_box(&key)).is_ok(), "its quota is plenty");
    });
}

/// Times the one draw that finds 10,000 keys awake again, over and over; shortest first.
fn worst_draws() -> Vec<Duration> {
    let window = period(DAY_MILLIS);
    let asleep = pool(10_000, 0, RateLimit { calls: 1, window });
    let wakes_at = Timestamp::from_millis(START.as_millis() + 2 * DAY_MILLIS);
    let mut worst: Vec<Duration> = (0..200)
        .map(|_| {
            let mut pool = asleep.clone();
            time(|| {
                let grant = pool.draw(Access::All, SEARCH, wakes_at).expect("all are awake");
                pool.commit(black_box(grant));
            })
        })
        .collect();
    worst.sort_unstable();
    worst
}

#[expect(clippy::print_stdout, reason = "the summary is for the one who asked")]
fn print_summary(samples: &Samples) {
    let ratio = |of: &str, to: &str, what: &str| {
        if let (Some(a), Some(b)) = (samples.median(of), samples.median(to)) {
            println!("{of} ({a:.0} ns) is {:.2} times {to} ({b:.0} ns){what}", a / b);
        }
    };
    println!("\nMedians:");
    ratio(TEN_KEYS, GOVERNOR, "; to be within 3");
    ratio(MANY_EXHAUSTED, TEN_KEYS, "; to be within 1.5");
    ratio(REFUSAL_OF_MANY, REFUSAL_OF_TEN, "; to be flat");

    let worst = worst_draws();
    let (median, longest) = (worst[worst.len() / 2], worst[worst.len() - 1]);
    println!(
        "worst single draw, 10,000 keys waking together: median {median:?}, longest {longest:?}"
    );
}

fn main() {
    let samples = Samples::default();
    let mut criterion = Criterion::default().configure_from_args();
    draws(&samples, &mut criterion);
    governor(&samples, &mut criterion);
    criterion.final_summary();
    print_summary(&samples);
}
