//! Fresh stores, batches of draws, and a look at a file past the store.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keypool_core::{ConsumerNo, FeatureNo, GrantId, KeyNo, ReplicaNo, TierNo, Timestamp};
use keypool_store::{
    BudgetCharge, Change, ChangeKind, ChangeRecord, DrawBatch, EventRow, NewConsumer, NewKey,
    NewTier, Origin, RateCharge, Store, TierFeature, TierUpdate, UsageQuery,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tempfile::TempDir;

pub(crate) use crate::fresh::{Fresh, empty, open, prospect, rows, run, try_run};

/// When the tests begin, in milliseconds.
pub(crate) const NOON: i64 = 1_800_000_000_000;

/// A store with tier 1 (feature 1: 3 a minute, feature 2: 1,000 a minute), tier 2 (feature 2: 5 an hour), keys 1
/// (unlimited) and 2 (budget of 4 for life) and 3 (budget of 4 in 100 s) in tier 1, and consumer 1. Its revision is 5, and it writes as a replica.
pub(crate) async fn seeded() -> Fresh {
    let fresh = empty().await;
    seed(&fresh.store).await;
    fresh
}

/// Brings an empty store there.
pub(crate) async fn seed(store: &Store) {
    store.issue_replica().await.unwrap();
    let features = [(1, 3, 60), (2, 1_000, 60)];
    let names = [(1, "search"), (2, "scrape")];
    change(store, 1, ChangeKind::AddTier(tier(1, "fire", &features, &names))).await;
    change(store, 2, ChangeKind::AddTier(tier(2, "ice", &[(2, 5, 3_600)], &[]))).await;
    let limited = NewKey { usage_limit: Some(4), ..key(2) };
    let windowed = NewKey { usage_limit: Some(4), usage_window_secs: Some(100), ..key(3) };
    change(store, 3, ChangeKind::AddKeys(vec![key(1), limited, windowed])).await;
    change(store, 4, ChangeKind::AddConsumer(consumer(1, "bot", &[1]))).await;
}

/// Applies a change that must succeed.
pub(crate) async fn change(store: &Store, base: i64, what: ChangeKind) {
    store.change(&at_noon(base, what)).await.unwrap();
}

/// A change with one record.
pub(crate) fn at_noon(base: i64, what: ChangeKind) -> Change {
    let record = ChangeRecord {
        what: "test",
        id_of: format!("thing-{base}").into(),
        name: "it's a \"thing\"".into(),
        before: None,
        after: Some(format!(r#"{{"base":{base},"text":"\u0000'\n"}}"#)),
    };
    let (at, origin) = (Timestamp::from_millis(NOON), Origin::request(None, "a request"));
    Change { base, at, origin, what, records: Arc::new([record]) }
}

/// Features as (number, calls, seconds), new names as (number, name).
pub(crate) fn tier(
    no: i64,
    name: &str,
    features: &[(i64, i64, i64)],
    names: &[(i64, &str)],
) -> NewTier {
    NewTier {
        no: TierNo::new(no),
        id: format!("tier-{no}"),
        name: name.to_owned(),
        description: format!("the tier {name}"),
        features: covers(features),
        new_features: names
            .iter()
            .map(|(no, name)| (FeatureNo::new(*no), (*name).to_owned()))
            .collect(),
    }
}

/// Nothing new of a tier.
pub(crate) fn update(no: i64) -> TierUpdate {
    TierUpdate {
        no: TierNo::new(no),
        name: None,
        description: None,
        features: None,
        new_features: Vec::new(),
    }
}

pub(crate) fn covers(features: &[(i64, i64, i64)]) -> Vec<(FeatureNo, TierFeature)> {
    let terms = |(no, rate_limit, window_secs): &(i64, i64, i64)| {
        (FeatureNo::new(*no), TierFeature { rate_limit: *rate_limit, window_secs: *window_secs })
    };
    features.iter().map(terms).collect()
}

/// An unlimited key of tier 1.
pub(crate) fn key(no: i64) -> NewKey {
    NewKey {
        no: KeyNo::new(no),
        id: format!("key-{no}"),
        name: format!("name of {no}"),
        tier: TierNo::new(1),
        value: format!("value of {no}"),
        expires_at: None,
        usage_limit: None,
        usage_window_secs: None,
        metadata: "{}".to_owned(),
        secrets: Vec::new(),
    }
}

pub(crate) fn consumer(no: i64, name: &str, scopes: &[i64]) -> NewConsumer {
    NewConsumer {
        no: ConsumerNo::new(no),
        id: format!("consumer-{no}"),
        name: name.to_owned(),
        description: String::new(),
        token_hash: format!("{no:064x}"),
        expires_at: None,
        scopes: scopes.iter().map(|tier| TierNo::new(*tier)).collect(),
    }
}

/// The grant with this sequence number in the millisecond `after` noon.
pub(crate) fn grant(after: i64, sequence: u16) -> GrantId {
    let replica = ReplicaNo::new(1).unwrap();
    GrantId::compose(Timestamp::from_millis(NOON + after), replica, sequence).unwrap()
}

/// One draw; the windows' starts are milliseconds after noon.
#[derive(Clone, Copy)]
pub(crate) struct Draw {
    pub(crate) id: GrantId,
    pub(crate) key: i64,
    pub(crate) consumer: i64,
    pub(crate) feature: i64,
    pub(crate) rate_since: i64,
    pub(crate) budget_since: Option<i64>,
}

/// A draw of feature 2 by the admin, in a rate window that opened at noon.
pub(crate) fn draw(key: i64, id: GrantId) -> Draw {
    Draw { id, key, consumer: 0, feature: 2, rate_since: 0, budget_since: None }
}

/// The batch that an engine would make of these.
pub(crate) fn batch(revision: i64, draws: &[Draw]) -> DrawBatch {
    let mut batch = DrawBatch { revision, ..DrawBatch::default() };
    for draw in draws {
        let (key, feature) = (KeyNo::new(draw.key), FeatureNo::new(draw.feature));
        batch.events.push(EventRow {
            id: draw.id,
            key,
            consumer: ConsumerNo::new(draw.consumer),
            feature,
        });
        match batch.rates.iter_mut().find(|charge| (charge.key, charge.feature) == (key, feature)) {
            Some(charge) => {
                charge.count += 1;
                charge.last = draw.id;
            }
            None => {
                let since = Timestamp::from_millis(NOON + draw.rate_since);
                batch.rates.push(RateCharge {
                    key,
                    feature,
                    since,
                    count: 1,
                    first: draw.id,
                    last: draw.id,
                });
            }
        }
        match batch.budgets.iter_mut().find(|charge| charge.key == key) {
            Some(charge) => {
                charge.count += 1;
                charge.last = draw.id;
            }
            None => {
                let since = draw.budget_since.map(|since| Timestamp::from_millis(NOON + since));
                batch.budgets.push(BudgetCharge {
                    key,
                    since,
                    count: 1,
                    first: draw.id,
                    last: draw.id,
                });
            }
        }
    }
    batch
}

/// Whether a grant is on record.
pub(crate) async fn is_recorded(store: &Store, id: GrantId) -> bool {
    let before = Some(GrantId::new(id.get() + 1));
    let query = UsageQuery { limit: 1, before, ..UsageQuery::default() };
    store.list_usage(&query).await.unwrap().first().is_some_and(|event| event.id == id)
}

/// A connection to the file past the store, foreign keys off as the Go program has them.
pub(crate) async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).foreign_keys(false).connect().await.unwrap()
}

/// Runs SQL past the store.
pub(crate) async fn run_on_file(path: &Path, sql: &str) {
    try_run_on_file(path, sql).await.unwrap();
}

/// Runs SQL past the store, or says why it was refused.
pub(crate) async fn try_run_on_file(path: &Path, sql: &str) -> Result<(), String> {
    let mut connection = raw(path).await;
    let outcome = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
    connection.close().await.unwrap();
    outcome.map(drop).map_err(|error| error.to_string())
}

/// The rows of a query past the store, each value as an SQL literal.
pub(crate) async fn rows_of_file(path: &Path, sql: &str) -> Vec<String> {
    let mut connection = raw(path).await;
    let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    found.iter().map(|row| row.get::<String, _>(0)).collect()
}

/// Everything in the file: the schema and every row, in an order of its own.
pub(crate) async fn dump(path: &Path) -> Vec<String> {
    let mut everything =
        rows(path, "SELECT type || name || coalesce(sql, '') FROM sqlite_master").await;
    let tables = "SELECT 'SELECT ''' || m.name || ': '' || ' || group_concat('quote(' || c.name || ')', ' || ''|'' || ')
            || ' FROM ' || m.name
        FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table' GROUP BY m.name";
    for select in rows(path, tables).await {
        everything.extend(rows(path, &select).await);
    }
    everything.sort();
    everything
}

/// A copy of the Go program's database in a folder of its own, with `sql` run on it as that program would.
pub(crate) async fn original(sql: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pool.db");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keypooler-go-v1.db");
    fs::write(&path, fs::read(fixture).unwrap()).unwrap();
    run_on_file(&path, sql).await;
    (folder, path)
}
