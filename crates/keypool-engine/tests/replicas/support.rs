//! One database server, and engines that share it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use keypool_engine::{
    Caller, Clock, DatabaseUrl, DrawError, Engine, EngineSettings, FeatureLimit, Guest,
    LibsqlSettings, ManualClock, NewConsumer, NewKey, NewTier, OpenError, Origin, Plain, Refusal,
    Sealer, Served, Timestamp,
};
use keypool_test_server::{Faults, ServerSettings, TestServer};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

/// A moment in 2027.
pub(crate) const START: i64 = 1_800_000_000_000;

/// A database that replicas share, with a clock that stands still.
pub(crate) struct Hub {
    pub(crate) server: TestServer,
    folder: tempfile::TempDir,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = ServerSettings::at(folder.path().join("pool.db"));
        let server = TestServer::start(settings).await.unwrap();
        server.faults().set_clock(Some(START));
        Self { server, folder }
    }

    pub(crate) fn faults(&self) -> Faults {
        self.server.faults()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("pool.db")
    }

    /// A replica whose own clock shows the database's time.
    pub(crate) async fn replica(&self) -> Engine {
        self.replica_at(&ManualClock::new(Timestamp::from_millis(START))).await
    }

    pub(crate) async fn replica_at(&self, clock: &ManualClock) -> Engine {
        self.try_replica_at(clock).await.unwrap()
    }

    pub(crate) async fn try_replica_at(&self, clock: &ManualClock) -> Result<Engine, OpenError> {
        Engine::open(self.settings(clock)).await
    }

    pub(crate) async fn guest(&self) -> Result<Guest, OpenError> {
        Guest::open("a guest", self.settings(&ManualClock::new(Timestamp::from_millis(START))))
            .await
    }

    fn settings(&self, clock: &ManualClock) -> EngineSettings {
        let (url, auth_token) = DatabaseUrl::parse(&self.server.url()).unwrap();
        let store = LibsqlSettings {
            url,
            auth_token,
            ca_file: None,
            connections: NonZeroUsize::new(4).unwrap(),
            deadline: Duration::from_secs(2),
            clock_leeway: Some(Duration::from_secs(1)),
        };
        EngineSettings {
            store: store.into(),
            sealer: Sealer::plain(),
            admin_tokens: Vec::new(),
            clock: Clock::Manual(clock.clone()),
            accept_clock: false,
        }
    }

    /// A connection to the file behind the server.
    pub(crate) async fn intruder(&self) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(self.path())
            .foreign_keys(true)
            .connect()
            .await
            .unwrap()
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let mut intruder = self.intruder().await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut intruder).await.unwrap()
    }

    pub(crate) async fn events(&self) -> i64 {
        self.number("SELECT count(*) FROM usage_events").await
    }

    /// Promise 3: every counter is its opening balance plus its events, to the unit.
    pub(crate) async fn assert_counters_equal_events(&self) {
        let budgets = "SELECT count(*) FROM budget_counters AS b WHERE used <> opening
            + (SELECT count(*) FROM usage_events AS e WHERE e.key_no = b.key_no AND e.id > opening_after)";
        let rates = "SELECT count(*) FROM rate_counters AS r WHERE used <> (SELECT count(*) FROM usage_events AS e
            WHERE e.key_no = r.key_no AND e.feature_no = r.feature_no AND e.id >= r.window_first)
            + coalesce((SELECT events FROM rate_openings AS o WHERE o.key_no = r.key_no AND o.feature_no = r.feature_no
            AND o.window_start_ms = r.window_start_ms), 0)";
        assert_eq!((self.number(budgets).await, self.number(rates).await), (0, 0));
    }
}

/// Who makes the changes.
pub(crate) fn origin() -> Origin {
    Origin::command("a test")
}

pub(crate) async fn add_tier(engine: &Engine, name: &str, feature: &str, calls: i64, secs: i64) {
    let limit = FeatureLimit { rate_limit: calls, window_seconds: secs };
    let features = vec![(feature.to_owned(), limit)];
    let tier = NewTier { name: name.to_owned(), description: String::new(), features };
    engine.add_tier(&origin(), tier).await.unwrap();
}

pub(crate) fn key(name: &str, usage_limit: Option<i64>) -> NewKey {
    NewKey {
        name: name.to_owned(),
        value: Plain::from(format!("value-of-{name}")),
        tier: "t".to_owned(),
        expires_at: None,
        usage_limit,
        usage_window_seconds: None,
        metadata: None,
        secrets: Vec::new(),
    }
}

/// A tier `t` that covers `f`, and keys `k1` to `kN` in it.
pub(crate) async fn fill(engine: &Engine, keys: usize, usage_limit: Option<i64>, calls: i64) {
    add_tier(engine, "t", "f", calls, 60).await;
    let keys = (1..=keys).map(|n| key(&format!("k{n}"), usage_limit)).collect();
    engine.add_keys(&origin(), keys).await.unwrap();
}

pub(crate) async fn add_consumer(engine: &Engine, name: &str) -> (String, String) {
    let scopes = vec!["t".to_owned()];
    let new = NewConsumer { name: name.to_owned(), scopes, ..NewConsumer::default() };
    let added = engine.add_consumer(&origin(), new).await.unwrap();
    (added.id.to_string(), added.token.expose().to_owned())
}

pub(crate) async fn draw(engine: &Engine) -> Result<Served, DrawError> {
    engine.draw(Caller::Admin, "f").await
}

pub(crate) async fn value(engine: &Engine) -> String {
    draw(engine).await.unwrap().value.expose().to_owned()
}

pub(crate) fn refusal<T: std::fmt::Debug>(outcome: Result<T, DrawError>) -> Refusal {
    match outcome {
        Err(DrawError::Refused(refusal)) => refusal,
        other => panic!("not a refusal: {other:?}"),
    }
}

/// Comes to an end once the condition holds; fails where it takes long.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let all = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
}
