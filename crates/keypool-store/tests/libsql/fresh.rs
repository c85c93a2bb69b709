//! Databases for the tests: behind a libSQL server that is started for each, so that the file can be looked at past it, or
//! the one of a real server, wiped.

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use hyper_of_libsql::client::HttpConnector;
use keypool_store::{DatabaseUrl, LibsqlSettings, Prospect, Store, inspect};
use keypool_test_server::{ServerSettings, TestServer};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use crate::support::{rows_of_file, try_run_on_file};

/// Servers live as long as the runtimes that they were started on.
static SERVERS: Mutex<Vec<TestServer>> = Mutex::new(Vec::new());

/// A store on a database of its own.
pub(crate) struct Fresh {
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
    /// Held while the real server's one database is in use.
    _turn: Option<File>,
}

impl Fresh {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("pool.db")
    }
}

/// An empty store.
pub(crate) async fn empty() -> Fresh {
    let turn = wipe_real_server().await;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("pool.db")).await;
    Fresh { store, folder, _turn: turn }
}

/// The database in a file, looked at through a server of its own; or the real server's.
pub(crate) async fn prospect(path: &Path) -> Prospect {
    if let Some(settings) = real_server() {
        return inspect(settings).await.unwrap();
    }
    let server = TestServer::start(ServerSettings::at(path)).await.unwrap();
    let prospect = inspect(settings_of(&server.url())).await.unwrap();
    SERVERS.lock().unwrap().push(server);
    prospect
}

pub(crate) async fn open(path: &Path) -> Store {
    prospect(path).await.open().await.unwrap()
}

/// How a server is called; a batch's time of sending is not judged.
pub(crate) fn settings_of(url: &str) -> LibsqlSettings {
    let (url, auth_token) = DatabaseUrl::parse(url).unwrap();
    LibsqlSettings {
        url,
        auth_token,
        ca_file: None,
        connections: NonZeroUsize::new(4).unwrap(),
        deadline: Duration::from_secs(5),
        clock_leeway: None,
    }
}

/// Runs SQL past the store.
pub(crate) async fn run(path: &Path, sql: &str) {
    try_run(path, sql).await.unwrap();
}

/// Runs SQL past the store, or says why it was refused.
pub(crate) async fn try_run(path: &Path, sql: &str) -> Result<(), String> {
    let Some(settings) = real_server() else { return try_run_on_file(path, sql).await };
    let outcome = real_connection(&settings).await.execute_batch(sql).await;
    outcome.map(drop).map_err(|error| error.to_string())
}

/// The rows of a query past the store.
pub(crate) async fn rows(path: &Path, sql: &str) -> Vec<String> {
    let Some(settings) = real_server() else { return rows_of_file(path, sql).await };
    let mut found = real_connection(&settings).await.query(sql, ()).await.unwrap();
    let mut rows = Vec::new();
    while let Some(row) = found.next().await.unwrap() {
        rows.push(row.get::<String>(0).unwrap());
    }
    rows
}

/// The real server that is to be tested on, if there is one.
#[expect(clippy::disallowed_methods, reason = "a test that is told what to run on")]
fn real_server() -> Option<LibsqlSettings> {
    let mut settings = settings_of(&std::env::var("KEYPOOL_TEST_LIBSQL_URL").ok()?);
    if let Ok(token) = std::env::var("KEYPOOL_TEST_LIBSQL_TOKEN") {
        settings.auth_token = Some(SecretString::from(token));
    }
    Some(settings)
}

/// A connection past the store, in the clear.
async fn real_connection(settings: &LibsqlSettings) -> libsql::Connection {
    let token = settings.auth_token.as_ref().map_or("", |token| token.expose_secret());
    let connector = HttpConnector::new();
    let database = libsql::Builder::new_remote(settings.url.to_string(), token.to_owned());
    database.connector(connector).build().await.unwrap().connect().unwrap()
}

/// Takes turns on the real server's database and leaves nothing in it.
async fn wipe_real_server() -> Option<File> {
    let settings = real_server()?;
    let turn = File::create(std::env::temp_dir().join("keypool-test-libsql.lock")).unwrap();
    turn.lock().unwrap();
    let connection = real_connection(&settings).await;
    let everything = "SELECT 'DROP ' || type || ' IF EXISTS \"' || name || '\"' FROM sqlite_master
        WHERE type IN ('view', 'trigger', 'table') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
            AND name NOT LIKE 'libsql\\_%' ESCAPE '\\' AND name NOT LIKE '\\_litestream\\_%' ESCAPE '\\'
        ORDER BY type DESC";
    let drops = rows(Path::new(""), everything).await;
    let script = format!("PRAGMA foreign_keys = OFF; {};", drops.join("; "));
    connection.execute_batch(&script).await.unwrap();
    Some(turn)
}
