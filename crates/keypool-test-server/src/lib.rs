//! A libSQL server for tests and benchmarks: speaks Hrana 3 over HTTP on a SQLite file, with a knob for every fault.
//!
//! It does what a real server does where a client can tell the difference: streams that expire, a write lock that can be
//! stolen, batches with conditions, SQLite's error codes. It knows nothing of the pool and its tables.
//!
//! The way of a request: [`TestServer`] accepts its socket, `answer` reads it and asks [`Faults`] what is to go wrong,
//! `pipeline` or `cursor` acts on it in a `session` of `streams`, and `reply` writes the JSON as the rows come.
//!
//! ```no_run
//! # async fn example() -> Result<(), keypool_test_server::StartError> {
//! use keypool_test_server::{Fault, ServerSettings, TestServer, When};
//!
//! let server = TestServer::start(ServerSettings::at("/tmp/test.db")).await?;
//! let lost = server.faults().inject(Fault::DropAnswer, When::once().matching("draw_batch"));
//! // ... the client at server.url() draws, and does not learn the outcome ...
//! assert_eq!(lost.hits(), 1);
//! # Ok(())
//! # }
//! ```

mod answer;
mod batch;
mod clock;
mod core;
mod counts;
mod cursor;
mod database;
mod faults;
mod pipeline;
mod plan;
mod refusal;
mod reply;
mod server;
mod session;
mod settings;
mod sql_error;
mod statement;
mod streams;
mod tls;
mod wire;
mod write_lock;

pub use counts::Counts;
pub use faults::{Fault, Faults, Injection, When};
pub use server::{StartError, TestServer};
pub use settings::{ServerSettings, Synchronous, TlsIdentity};
pub use tls::IdentityError;
