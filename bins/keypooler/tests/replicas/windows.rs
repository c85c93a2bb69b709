//! Fixed windows, derived from events alone: one opens with the first grant after the last one ended.

/// An event this much older than its window's start may count inside it: it was granted by a replica that learnt of the
/// window later, or was recorded anew after a refusal.
const SLACK_MS: i64 = 400;

/// Sorts moments, in order, into windows of at most `most` each; how many each holds.
///
/// A moment near a window's end counts inside it while there is room, else in the next one, which must then have opened
/// within the slack.
pub(crate) fn sort(moments: &[i64], most: i64, window_ms: i64) -> Result<Vec<i64>, String> {
    let mut windows = Vec::new();
    let mut at = 0;
    let mut early = 0;
    while at < moments.len() {
        let since = moments[at];
        let mut held = early;
        early = 0;
        while let Some(moment) = moments.get(at).filter(|it| **it < since + window_ms) {
            if held < most {
                held += 1;
            } else if *moment >= since + window_ms - SLACK_MS {
                early += 1;
            } else {
                return Err(format!("{held} at {since}, and one more at {moment}"));
            }
            at += 1;
        }
        windows.push(held);
        let next_opens = moments.get(at).is_some_and(|next| *next < since + window_ms + SLACK_MS);
        if early > 0 && !next_opens {
            return Err(format!(
                "{most} at {since}, and {early} more, and no window opened after it"
            ));
        }
    }
    Ok(windows)
}

#[test]
fn moments_fall_into_windows_that_open_with_the_first_after_the_last_one_ended() {
    assert_eq!(sort(&[0, 10, 999, 1_500, 2_499, 2_500], 3, 1_000), Ok(vec![3, 2, 1]));
}

#[test]
fn one_too_many_is_seen_but_for_one_that_is_slightly_older_than_the_next_window() {
    assert!(sort(&[0, 1, 2, 1_000], 2, 1_000).is_err());
    assert_eq!(sort(&[0, 1, 990, 1_000], 2, 1_000), Ok(vec![2, 2]));
    assert!(sort(&[0, 1, 990, 1_000, 1_001], 2, 1_000).is_err());
    assert!(sort(&[0, 1, 990, 1_500], 2, 1_000).is_err());
}
