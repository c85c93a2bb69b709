//! A pool in a temporary folder.

use std::path::PathBuf;
use std::time::Duration;

use keypool_engine::{
    Caller, Clock, DrawError, Engine, EngineSettings, FeatureLimit, ManualClock, NewConsumer,
    NewKey, NewTier, OpenError, Origin, Plain, Refusal, Sealer, Served, SqliteSettings,
    Synchronous, Timestamp, TokenDigest,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

/// A moment in 2027.
pub(crate) const START: i64 = 1_800_000_000_000;

pub(crate) struct Home {
    pub(crate) clock: ManualClock,
    pub(crate) path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pool.db");
        Self { clock: ManualClock::new(Timestamp::from_millis(START)), path, _folder: folder }
    }

    pub(crate) async fn open(&self) -> Engine {
        self.try_open(Sealer::plain()).await.unwrap()
    }

    pub(crate) async fn try_open(&self, sealer: Sealer) -> Result<Engine, OpenError> {
        Engine::open(self.settings(sealer)).await
    }

    /// Opens it with these admin tokens.
    pub(crate) async fn open_for(&self, admin_tokens: &[&str]) -> Engine {
        let admin_tokens = admin_tokens.iter().map(|token| TokenDigest::of(token)).collect();
        let settings = EngineSettings { admin_tokens, ..self.settings(Sealer::plain()) };
        Engine::open(settings).await.unwrap()
    }

    pub(crate) fn settings(&self, sealer: Sealer) -> EngineSettings {
        let store = SqliteSettings {
            path: self.path.clone(),
            synchronous: Synchronous::Normal,
            busy_timeout: Duration::from_millis(20),
        };
        let clock = Clock::Manual(self.clock.clone());
        EngineSettings {
            store: store.into(),
            sealer,
            admin_tokens: Vec::new(),
            clock,
            accept_clock: false,
        }
    }

    /// A connection of another program to the same file.
    pub(crate) async fn intruder(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(&self.path).foreign_keys(true).connect().await.unwrap()
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let mut intruder = self.intruder().await;
        let number = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        let number = number.fetch_one(&mut intruder).await.unwrap();
        intruder.close().await.unwrap();
        number
    }
}

/// Promise 3: every counter is its opening balance plus its events, to the unit.
pub(crate) async fn assert_counters_equal_events(home: &Home) {
    let budgets = "SELECT count(*) FROM budget_counters AS b WHERE used <> opening
        + (SELECT count(*) FROM usage_events AS e WHERE e.key_no = b.key_no AND e.id > opening_after)";
    let rates = "SELECT count(*) FROM rate_counters AS r WHERE used <> (SELECT count(*) FROM usage_events AS e
        WHERE e.key_no = r.key_no AND e.feature_no = r.feature_no AND e.id >= r.window_first)
        + coalesce((SELECT events FROM rate_openings AS o WHERE o.key_no = r.key_no AND o.feature_no = r.feature_no
        AND o.window_start_ms = r.window_start_ms), 0)";
    assert_eq!((home.number(budgets).await, home.number(rates).await), (0, 0));
}

pub(crate) fn limit(rate_limit: i64, window_seconds: i64) -> FeatureLimit {
    FeatureLimit { rate_limit, window_seconds }
}

/// Who makes the changes.
pub(crate) fn origin() -> Origin {
    Origin::command("a test")
}

pub(crate) async fn add_tier(engine: &Engine, name: &str, features: &[(&str, FeatureLimit)]) {
    let features = features.iter().map(|(name, limit)| ((*name).to_owned(), *limit)).collect();
    engine
        .add_tier(
            &origin(),
            NewTier { name: name.to_owned(), description: String::new(), features },
        )
        .await
        .unwrap();
}

pub(crate) fn key(name: &str, tier: &str) -> NewKey {
    NewKey {
        name: name.to_owned(),
        value: Plain::from(format!("value-of-{name}")),
        tier: tier.to_owned(),
        expires_at: None,
        usage_limit: None,
        usage_window_seconds: None,
        metadata: None,
        secrets: Vec::new(),
    }
}

/// A pool with one tier `t` that covers `f` without a limit to speak of, and keys `k1` to `kN` in it.
pub(crate) async fn with_keys(home: &Home, keys: usize, usage_limit: Option<i64>) -> Engine {
    let engine = home.open().await;
    add_tier(&engine, "t", &[("f", limit(1_000_000, 60))]).await;
    for n in 1..=keys {
        engine
            .add_key(&origin(), NewKey { usage_limit, ..key(&format!("k{n}"), "t") })
            .await
            .unwrap();
    }
    engine
}

pub(crate) async fn add_consumer(engine: &Engine, name: &str, scopes: &[&str]) -> (String, Caller) {
    let scopes = scopes.iter().map(|tier| (*tier).to_owned()).collect();
    let new = NewConsumer { name: name.to_owned(), scopes, ..NewConsumer::default() };
    let added = engine.add_consumer(&origin(), new).await.unwrap();
    let caller = engine.authenticate(added.token.expose()).unwrap();
    (added.id.to_string(), caller)
}

pub(crate) async fn draw(engine: &Engine, feature: &str) -> Result<Served, DrawError> {
    engine.draw(Caller::Admin, feature).await
}

/// The value that the admin draws.
pub(crate) async fn value(engine: &Engine, feature: &str) -> String {
    draw(engine, feature).await.unwrap().value.expose().to_owned()
}

pub(crate) fn refusal<T: std::fmt::Debug>(outcome: Result<T, DrawError>) -> Refusal {
    match outcome {
        Err(DrawError::Refused(refusal)) => refusal,
        other => panic!("not a refusal: {other:?}"),
    }
}
