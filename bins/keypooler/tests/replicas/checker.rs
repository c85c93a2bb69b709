//! Compares what clients saw with what is on record: promises 1, 2 and 3.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use crate::ledger::Ledger;
use crate::records::{self, Event};
use crate::windows;

/// What a comparison that found nothing wrong amounts to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) events: usize,
    pub(crate) received: usize,
}

impl Verdict {
    /// Charged, and not received by anybody.
    pub(crate) fn unrewarded(self) -> usize {
        self.events - self.received
    }
}

/// Fails with everything that is wrong.
pub(crate) fn check(file: &Path, ledger: &Ledger) -> Verdict {
    let events = records::events(file);
    let mut wrong = records::contradictions(file);
    wrong.extend(unrecorded(&events, ledger));
    wrong.extend(overruns(file, &events));
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    Verdict { events: events.len(), received: ledger.grants().count() }
}

/// Grants that were received twice, or without the event that belongs to them (promise 2).
fn unrecorded(events: &[Event], ledger: &Ledger) -> Vec<String> {
    let by_draw: HashMap<String, &Event> =
        events.iter().map(|event| (format!("{:016x}", event.id), event)).collect();
    let mut seen = HashSet::new();
    let mut wrong = Vec::new();
    for (entry, draw, key_id) in ledger.grants() {
        if !seen.insert(draw) {
            wrong.push(format!("draw {draw} was received twice"));
        }
        match by_draw.get(draw) {
            Some(event) if event.key_id == key_id && event.feature == entry.feature => {}
            found => wrong.push(format!("draw {draw} of key {key_id} has the event {found:?}")),
        }
    }
    wrong
}

/// Limits that were overrun (promise 1).
fn overruns(file: &Path, events: &[Event]) -> Vec<String> {
    let mut moments: BTreeMap<(&str, Option<&str>), Vec<i64>> = BTreeMap::new();
    for event in events {
        for feature in [None, Some(event.feature.as_str())] {
            moments.entry((&event.key_name, feature)).or_default().push(event.at_ms());
        }
    }
    let mut wrong = Vec::new();
    for limit in records::limits(file) {
        let of = (limit.key_name.as_str(), limit.feature.as_deref());
        let moments = moments.get(&of).map(Vec::as_slice).unwrap_or_default();
        let used = i64::try_from(moments.len()).unwrap();
        let kept = match limit.window_ms {
            None if used > limit.most => Err(format!("{used} for life")),
            None => Ok(Vec::new()),
            Some(window_ms) => windows::sort(moments, limit.most, window_ms),
        };
        if let Err(overrun) = kept {
            wrong.push(format!("{of:?} of at most {}: {overrun}", limit.most));
        }
    }
    wrong
}
