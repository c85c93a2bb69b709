//! Windows as the database opens them, looked at so often that none is missed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::records;
use crate::stage::pause;

/// How much was used in each window at last, by key, feature (empty: the budget) and the window's start.
pub(crate) type Windows = BTreeMap<(String, String), BTreeMap<i64, i64>>;

const INTERVAL_MS: u64 = 15;

/// Looks on while `play` goes on, and once more after it.
pub(crate) fn look_on<T>(file: &Path, play: impl FnOnce() -> T) -> (Windows, T) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| look(file, &is_over));
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(play));
        is_over.store(true, Ordering::SeqCst);
        let windows = looking.join().unwrap();
        match played {
            Ok(played) => (windows, played),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn look(file: &Path, is_over: &AtomicBool) -> Windows {
    let database = records::open(file);
    let sql = "SELECT k.name, f.name, r.window_start_ms, r.used FROM rate_counters AS r
            JOIN keys AS k USING (key_no) JOIN features AS f USING (feature_no) WHERE r.window_start_ms IS NOT NULL
        UNION ALL SELECT k.name, '', b.window_start_ms, b.used FROM budget_counters AS b
            JOIN keys AS k USING (key_no) WHERE b.window_start_ms IS NOT NULL";
    let mut statement = database.prepare(sql).unwrap();
    let mut windows = Windows::new();
    loop {
        let is_last = is_over.load(Ordering::SeqCst);
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let of = (row.get(0).unwrap(), row.get(1).unwrap());
            let (since, used) = (row.get(2).unwrap(), row.get(3).unwrap());
            windows.entry(of).or_default().insert(since, used);
        }
        drop(rows);
        if is_last {
            return windows;
        }
        pause(INTERVAL_MS);
    }
}
