//! A batch of draws and the one statement that commits it. The view `draw_batch` (migration 3) judges and applies it.

use rustc_hash::FxHashMap;

use keypool_core::{ConsumerNo, FeatureNo, GrantId, KeyNo, Timestamp};

use crate::driver::{Statement, Value};
use crate::error::StoreError;

/// Draws that are committed together, or refused together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrawBatch {
    /// The pool's revision that they were decided on.
    pub revision: i64,
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
    Between,
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
pub(crate) fn draw_statement(batch: &DrawBatch, order: Order) -> Result<Statement, StoreError> {
    let sum = |counts: &mut dyn Iterator<Item = i64>| counts.fold(0_i64, i64::saturating_add);
    let rates = sum(&mut batch.rates.iter().map(|charge| charge.count));
    let budgets = sum(&mut batch.budgets.iter().map(|charge| charge.count));
    let events = batch.events.len();
    if i64::try_from(events) != Ok(rates) || rates != budgets {
        return Err(StoreError::Uneven { events, rates, budgets });
    }
    let (newest, between) = match order {
        Order::Newest => (batch.events.as_slice(), [].as_slice()),
        Order::Between => ([].as_slice(), batch.events.as_slice()),
    };
    let mut of_key: FxHashMap<KeyNo, GrantId> = FxHashMap::default();
    let sql = "INSERT INTO draw_batch (revision, events, strays, rates, budgets) VALUES (?1, ?2, ?3, ?4, ?5)";
    Ok(Statement::new(sql)
        .with(batch.revision)
        .with(table(newest, |event| {
            let [id, key, consumer, feature] = columns(event);
            let previous = of_key.insert(event.key, event.id);
            [id, key, consumer, feature, previous.map(GrantId::get)]
        }))
        .with(table(between, columns))
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

fn columns(event: &EventRow) -> [Option<i64>; 4] {
    [
        Some(event.id.get()),
        Some(event.key.get()),
        Some(event.consumer.get()),
        Some(event.feature.get()),
    ]
}

/// Rows of numbers as a JSON array of arrays.
fn table<T, const COLUMNS: usize>(
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
        let refused = draw_statement(&batch, Order::Newest);
        assert!(matches!(refused, Err(StoreError::Uneven { events: 1, rates: 0, budgets: 0 })));
    }

    #[test]
    fn rows_become_json_arrays() {
        let text = table(&[(1, None), (2, Some(i64::MAX))], |(one, two)| [Some(*one), *two]);
        assert_eq!(text, Value::from("[[1,null],[2,9223372036854775807]]"));
        assert_eq!(table(&[], |(): &()| [None; 2]), Value::from("[]"));
    }
}
