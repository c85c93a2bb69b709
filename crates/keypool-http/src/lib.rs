//! Speaks HTTP for the pool: routes, who may call, JSON shapes, status codes, connections and their deadlines.
//!
//! It knows nothing of storage, sealing or rotation: whatever it is asked it hands to [`keypool_engine::Engine`].
//!
//! The way of a request, in a straight line: [`serve`] accepts it (or [`answer()`] takes it in process), it gets a
//! request id and a span, the one table in `routes` finds its endpoint, `auth` turns its token into the proof that the
//! endpoint demands in its signature, `body` reads what was sent, the endpoint answers with a `Reply` or a `Problem`,
//! and one line goes to the log.
//!
//! A request is judged in this order: path (404), method (405), token (401), right (403), input (400), state.

mod admission;
mod answer;
mod app;
mod auth;
mod body;
mod connection;
mod door;
mod endpoints;
mod framing;
mod gate;
mod input;
mod key_list;
mod listener;
mod members;
mod meters;
mod metrics;
mod own_answer;
mod page;
mod patch;
mod percent;
mod probe;
mod problem;
mod progress;
mod query;
mod rarely;
mod reply;
mod request_id;
mod request_log;
mod routes;
mod secret_buffer;
mod server;
mod settings;
mod socket;
mod source;
mod stream;
mod tally;
mod target;
mod throttle;
mod times;
mod tls;

pub use answer::answer;
pub use app::App;
pub use endpoints::grant_body;
pub use key_list::{ListedKey, Values, read_keys, write_keys};
pub use listener::Listener;
pub use meters::{ConnectionEvent, HttpMetrics, RequestReading, StatusClass, TokenRefused};
pub use probe::{Question, probe, tls_to_myself};
pub use routes::{RouteInfo, routes};
pub use server::{Drained, serve};
pub use settings::HttpSettings;
pub use source::{TrustedProxies, TrustedProxiesError};
pub use tls::{Tls, TlsError, TlsFiles};
