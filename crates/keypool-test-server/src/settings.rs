//! What a server is started with.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where a server keeps its data and how patient it is. [`ServerSettings::at`] gives those of a hosted server.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The SQLite file. It is created where it is missing.
    pub path: PathBuf,
    /// The bearer token that requests must carry. None: everybody may ask.
    pub token: Option<String>,
    /// How long a stream may be idle until it expires.
    pub stream_idle: Duration,
    /// How long a stream's transaction may hold the write lock until another writer may steal it.
    pub lock_timeout: Duration,
    /// How long a writer waits for the write lock until it gives up with `SQLITE_BUSY`.
    pub busy_timeout: Duration,
    /// How many streams may be open at a time; the next is answered 429.
    pub most_streams: usize,
    /// When a commit is on disk.
    pub synchronous: Synchronous,
    /// Serves HTTPS under this identity. None: plain HTTP.
    pub tls: Option<TlsIdentity>,
}

/// SQLite's `PRAGMA synchronous` in WAL mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// A power cut may take the last commits. The default of a self-hosted server.
    Normal,
    /// A commit is on disk before it is acknowledged.
    Full,
}

/// A certificate chain and its private key, both in PEM.
#[derive(Clone)]
pub struct TlsIdentity {
    /// The certificate chain, the server's own first.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl ServerSettings {
    /// The settings of a hosted server, for the database at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            token: None,
            stream_idle: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(5),
            most_streams: 128,
            synchronous: Synchronous::Normal,
            tls: None,
        }
    }
}

impl Synchronous {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Full => "FULL",
        }
    }
}

impl TlsIdentity {
    /// A self-signed identity for `localhost` and `127.0.0.1`. Its key is public; clients trust its certificate as a root.
    pub fn localhost() -> Self {
        Self {
            certificate: include_str!("../identity/certificate.pem").to_owned(),
            key: include_str!("../identity/key.pem").to_owned(),
        }
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}
