//! Promise 3: whatever is changed in whatever order, counters equal events and memory is what a restart finds.

use std::time::Duration;

use keypool_engine::{AdminError, KeyPatch};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::*;

/// One of the steps of a sequence.
#[derive(Clone, Debug)]
enum Step {
    Draw(usize),
    Wait(u64),
    Patch {
        limit: Option<Option<i64>>,
        window: Option<Option<i64>>,
        count: Option<i64>,
        tier: Option<bool>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let edit = |most: i64| prop_oneof![2 => Just(None), 1 => Just(Some(None)), 2 => (1..=most).prop_map(|to| Some(Some(to)))];
    let patch = (
        edit(6),
        edit(3),
        prop::option::weighted(0.3, 0..8_i64),
        prop::option::weighted(0.2, any::<bool>()),
    );
    prop_oneof![
        3 => (1..4_usize).prop_map(Step::Draw),
        2 => (1..1_500_u64).prop_map(Step::Wait),
        4 => patch.prop_map(|(limit, window, count, tier)| Step::Patch { limit, window, count, tier }),
    ]
}

#[test]
fn memory_and_database_agree_after_any_sequence_of_changes() {
    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    TestRunner::new(config)
        .run(&prop::collection::vec(step(), 1..40), |steps| {
            runtime.block_on(run(steps));
            Ok(())
        })
        .unwrap();
}

async fn run(steps: Vec<Step>) {
    let home = Home::new();
    let mut engine = with_keys(&home, 1, None).await;
    add_tier(&engine, "u", &[("f", limit(4, 1))]).await;
    for step in steps {
        match step {
            Step::Draw(times) => {
                for _ in 0..times {
                    drop(draw(&engine, "f").await);
                }
            }
            Step::Wait(millis) => home.clock.advance(Duration::from_millis(millis)),
            Step::Patch { limit, window, count, tier } => {
                let id = std::sync::Arc::clone(&engine.keys().await[0].id);
                let tier = tier.map(|is_other| if is_other { "u" } else { "t" }.to_owned());
                let patch = KeyPatch {
                    usage_limit: limit,
                    usage_window_seconds: window,
                    usage_count: count,
                    tier,
                    ..KeyPatch::default()
                };
                match engine.update_key(&origin(), &id, patch).await {
                    Ok(after) => {
                        let used = i64::try_from(after.usage_count).unwrap();
                        assert!(count.is_none_or(|count| count == used));
                    }
                    Err(AdminError::Invalid(invalid)) => {
                        assert_eq!(invalid.field, "usage_window_seconds");
                    }
                    Err(error) => panic!("{error}"),
                }
                assert_counters_equal_events(&home).await;
                let before = engine.keys().await;
                engine.close().await;
                engine = home.open().await;
                assert_eq!(engine.keys().await, before);
            }
        }
    }
    engine.close().await;
}
