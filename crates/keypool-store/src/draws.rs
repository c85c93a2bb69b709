//! A batch of draws and the one statement that commits it. The view `draw_batch` (migration 4) judges and applies it.

use std::time::Duration;

use rustc_hash::FxHashMap;

use keypool_core::{ConsumerNo, FeatureNo, GrantId, KeyNo, Timestamp};

use crate::driver::{Statement, Value};
use crate::error::StoreError;
use crate::migrate::NEWEST;

/// Draws that are committed together, or refused together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrawBatch {
    /// The pool's revision that they were decided on.
    pub revision: i64,
    /// When it is sent, by the database's clock as the sender knows it; `None` where the database does not judge that.
    pub sent_at: Option<Timestamp>,
    /// One for each grant, in the order of their ids.
    pub events: Vec<EventRow>,
    /// One for each key and feature.
    pub rates: Vec<RateCharge>,
    /// One for each key.
    pub budgets: Vec<BudgetCharge>,
}

/// The usage event of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// The grant.
    pub id: GrantId,
    /// The key that was granted.
    pub key: KeyNo,
    /// Who drew it; number 0 is the admin.
    pub consumer: ConsumerNo,
    /// What was asked for.
    pub feature: FeatureNo,
}

/// How a batch's events stand to those on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Each is newer than all of its key.
    Newest,
    /// Some may be older than one of their key: each is put in its place.
    Anywhere,
}

/// Who writes: a replica's number, and what it alone knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) replica: i64,
    pub(crate) fence: i64,
}

/// What a batch charges to one rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateCharge {
    /// The key.
    pub key: KeyNo,
    /// The feature.
    pub feature: FeatureNo,
    /// The start of the window that it counts in.
    pub since: Timestamp,
    /// How many grants.
    pub count: i64,
    /// The first of them.
    pub first: GrantId,
    /// The last of them.
    pub last: GrantId,
}

/// What a batch charges to one key's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetCharge {
    /// The key.
    pub key: KeyNo,
    /// The start of the window that it counts in; `None` where the key has none.
    pub since: Option<Timestamp>,
    /// How many grants.
    pub count: i64,
    /// The first of them.
    pub first: GrantId,
    /// The last of them.
    pub last: GrantId,
}

/// The batch as one INSERT with JSON arrays, so that it is one transaction and one round trip.
pub(crate) fn draw_statement(
    batch: &DrawBatch,
    order: Order,
    sender: Option<Sender>,
    clock_leeway: Option<Duration>,
) -> Result<Statement, StoreError> {
    let sum = |counts: &mut dyn Iterator<Item = i64>| counts.fold(0_i64, i64::saturating_add);
    let rates = sum(&mut batch.rates.iter().map(|charge| charge.count));
    let budgets = sum(&mut batch.budgets.iter().map(|charge| charge.count));
    let events = batch.events.len();
    if i64::try_from(events) != Ok(rates) || rates != budgets {
        return Err(StoreError::Uneven { events, rates, budgets });
    }
    let (newest, anywhere) = match order {
        Order::Newest => (batch.events.as_slice(), [].as_slice()),
        Order::Anywhere => ([].as_slice(), batch.events.as_slice()),
    };
    let leeway_ms =
        clock_leeway.map(|leeway| i64::try_from(leeway.as_millis()).unwrap_or(i64::MAX));
    let mut of_key: FxHashMap<KeyNo, [GrantId; 2]> = FxHashMap::default();
    let sql = "INSERT INTO draw_batch (first, schema, replica, fence, sent_ms, leeway_ms, revision, events, strays, rates,
            budgets)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    Ok(Statement::new(sql)
        .with(batch.events.first().map(|event| event.id.get()))
        .with(NEWEST)
        .with(sender.map(|sender| sender.replica))
        .with(sender.map(|sender| sender.fence))
        .with(batch.sent_at.map(Timestamp::as_millis))
        .with(leeway_ms)
        .with(batch.revision)
        .with(table(newest, |event| {
            let [id, key, consumer, feature] = columns(event);
            let previous = of_key.insert(event.key, [event.id; 2]);
            [id, key, consumer, feature, previous.map(|[_, last]| last.get())]
        }))
        .with(table(anywhere, |event| {
            let [id, key, consumer, feature] = columns(event);
            let before = of_key.get(&event.key).copied();
            let first = before.map_or(event.id, |[first, _]| first);
            of_key.insert(event.key, [first, event.id]);
            [id, key, consumer, feature, before.map(|[_, last]| last.get()), Some(first.get())]
        }))
        .with(table(&batch.rates, |charge| {
            [
                Some(charge.key.get()),
                Some(charge.feature.get()),
                Some(charge.since.as_millis()),
                Some(charge.count),
                Some(charge.first.get()),
                Some(charge.last.get()),
            ]
        }))
        .with(table(&batch.budgets, |charge| {
            [
                Some(charge.key.get()),
                charge.since.map(Timestamp::as_millis),
                Some(charge.count),
                Some(charge.first.get()),
                Some(charge.last.get()),
            ]
        })))
}

/// Which of the batch's events are on record, one row each.
pub(crate) fn recorded_statement(batch: &DrawBatch) -> Statement {
    let ids = table(&batch.events, |event| [Some(event.id.get())]);
    let sql = "SELECT e.id FROM json_each(?1) CROSS JOIN usage_events AS e ON e.id = value ->> 0";
    Statement::new(sql).with(ids)
}

fn columns(event: &EventRow) -> [Option<i64>; 4] {
    [
        Some(event.id.get()),
        Some(event.key.get()),
        Some(event.consumer.get()),
        Some(event.feature.get()),
    ]
}

/// Rows of numbers as a JSON array of arrays.
pub(crate) fn table<T, const COLUMNS: usize>(
    rows: &[T],
    mut columns: impl FnMut(&T) -> [Option<i64>; COLUMNS],
) -> Value {
    let mut text = String::with_capacity(2 + rows.len() * COLUMNS * 16);
    let mut digits = itoa::Buffer::new();
    text.push('[');
    for (place, row) in rows.iter().enumerate() {
        text.push_str(if place == 0 { "[" } else { ",[" });
        for (place, column) in columns(row).into_iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            text.push_str(column.map_or("null", |number| digits.format(number)));
        }
        text.push(']');
    }
    text.push(']');
    Value::Text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_does_not_add_up_is_not_sent() {
        let key = KeyNo::new(1);
        let (consumer, feature) = (ConsumerNo::new(0), FeatureNo::new(1));
        let event = EventRow { id: GrantId::new(1), key, consumer, feature };
        let batch = DrawBatch { revision: 1, events: vec![event], ..DrawBatch::default() };
        let refused = draw_statement(&batch, Order::Newest, None, None);
        assert!(matches!(refused, Err(StoreError::Uneven { events: 1, rates: 0, budgets: 0 })));
    }

    #[test]
    fn rows_become_json_arrays() {
        let text = table(&[(1, None), (2, Some(i64::MAX))], |(one, two)| [Some(*one), *two]);
        assert_eq!(text, Value::from("[[1,null],[2,9223372036854775807]]"));
        assert_eq!(table(&[], |(): &()| [None; 2]), Value::from("[]"));
    }
}
