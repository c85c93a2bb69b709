//! What a test plays on: a database server on a file of its own, and replicas as processes. One test at a time.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use keypool_test_server::{Faults, ServerSettings, TestServer};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::{ADMIN_TOKEN, Answer, Server};

/// Times are measured: no test shares the machine with another.
static ALONE: Mutex<()> = Mutex::new(());

/// A database and those who serve it. Fields are dropped in this order.
pub(crate) struct Stage {
    replicas: Vec<Replica>,
    pub(crate) database: TestServer,
    pub(crate) folder: TempDir,
    /// The database server is asked for on it.
    _runtime: Runtime,
    _alone: MutexGuard<'static, ()>,
}

/// One place for a process, which may be restarted in it.
pub(crate) struct Replica {
    pub(crate) server: Mutex<Server>,
    door: Mutex<Option<SocketAddr>>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Stage {
    /// A database server, and nobody on it yet.
    pub(crate) fn empty(change: impl FnOnce(&mut ServerSettings)) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let mut settings = ServerSettings::at(folder.path().join("pool.db"));
        change(&mut settings);
        let runtime = Runtime::new().unwrap();
        let database = runtime.block_on(TestServer::start(settings)).unwrap();
        Self { replicas: Vec::new(), database, folder, _runtime: runtime, _alone: alone }
    }

    /// With so many replicas.
    pub(crate) fn with(replicas: usize) -> Self {
        let mut stage = Self::empty(|_| {});
        for _ in 0..replicas {
            stage.add_replica(&[]);
        }
        stage
    }

    /// Starts one more replica.
    pub(crate) fn add_replica(&mut self, environment: &[(&str, &str)]) {
        let replica = self.replica(&[], environment);
        self.replicas.push(replica);
    }

    /// Starts so many replicas at the same moment.
    pub(crate) fn add_at_once(
        &mut self,
        replicas: usize,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) {
        let added: Vec<Replica> = thread::scope(|scope| {
            let stage = &*self;
            let start = |_| scope.spawn(move || stage.replica(arguments, environment));
            let starting: Vec<_> = (0..replicas).map(start).collect();
            starting.into_iter().map(|replica| replica.join().unwrap()).collect()
        });
        self.replicas.extend(added);
    }

    fn replica(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Replica {
        let arguments = arguments.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let environment = self.environment(environment);
        let server = start(&self.folder, &arguments, &environment);
        let door = Mutex::new(Some(server.address));
        Replica { server: Mutex::new(server), door, arguments, environment }
    }

    /// What a replica is started with, and this.
    pub(crate) fn environment(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let url = self.database.url();
        let usual = [
            ("DATABASE_URL", url.as_str()),
            ("ADMIN_TOKEN", ADMIN_TOKEN),
            ("SERVER_HOST", "127.0.0.1"),
            ("SERVER_PORT", "0"),
            ("LOG_REQUESTS", "false"),
        ];
        let is_given = |name: &str| more.iter().any(|(given, _)| *given == name);
        let usual = usual.iter().filter(|(name, _)| !is_given(name));
        usual.chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    pub(crate) fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    pub(crate) fn faults(&self) -> Faults {
        self.database.faults()
    }

    /// The SQLite file behind the database server.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("pool.db")
    }

    /// What an admin asks for through a replica; it must succeed.
    pub(crate) fn admin(&self, replica: usize, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(replica, method, path, ADMIN_TOKEN, Some(body));
        assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.body);
        answer.json()
    }

    /// One request to a replica.
    pub(crate) fn ask(
        &self,
        replica: usize,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Answer {
        let body = body.filter(|body| !body.is_null()).map(Value::to_string);
        self.replicas[replica].server().request(method, path, Some(token), body.as_deref())
    }

    /// Stops a replica's process, or lets it go on.
    pub(crate) fn signal(&self, replica: usize, signal: Signal) {
        self.replicas[replica].server().signal(signal);
    }

    /// Ends a replica as `kill -9` does.
    pub(crate) fn kill(&self, replica: usize) {
        let replica = &self.replicas[replica];
        *replica.door() = None;
        replica.server().kill();
    }

    /// Starts a replica that was killed, on another port.
    pub(crate) fn restart(&self, replica: usize) {
        let replica = &self.replicas[replica];
        let server = start(&self.folder, &replica.arguments, &replica.environment);
        let address = server.address;
        *replica.server() = server;
        *replica.door() = Some(address);
    }

    /// What the replicas warned of, for a test that failed.
    pub(crate) fn complaints(&self) -> String {
        let mut text = String::new();
        for (number, replica) in self.replicas.iter().enumerate() {
            for line in
                replica.server().log().lines().filter(|line| !line.contains("\"level\":\"info\""))
            {
                text.push_str(&format!("replica {}: {line}\n", number + 1));
            }
        }
        text
    }
}

impl Replica {
    pub(crate) fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is to be found, while it runs.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        *self.door()
    }

    fn door(&self) -> MutexGuard<'_, Option<SocketAddr>> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start(folder: &TempDir, arguments: &[String], environment: &[(String, String)]) -> Server {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Server::start_with(folder.path(), &arguments, &environment)
}

/// Lets time pass, for servers that go by their own.
pub(crate) fn pause(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}
