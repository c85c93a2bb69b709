//! The API over a real engine: in process for what is said, over sockets for how it is carried.
//!
//! Most of it shows promises 5, 7, 8 and 9 as callers see them; tests and pages name the one that they show.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails in a test's helpers fails the test"
)]

mod add_consumer;
mod add_key;
mod add_scope;
mod add_tier;
mod bodies;
mod connections;
mod delete_consumer;
mod delete_key;
mod delete_tier;
mod document;
mod draw_key;
mod everywhere;
mod health;
mod issue_token;
mod list_changes;
mod list_consumers;
mod list_keys;
mod list_tiers;
mod list_usage;
mod log;
mod metrics_documents;
mod pool;
mod ready;
mod remove_scope;
mod server;
mod show_key;
mod show_metrics;
mod show_openapi;
mod show_pool_health;
mod sockets;
mod summarise_usage;
mod throttle;
mod tls;
mod update_consumer;
mod update_key;
mod update_tier;
mod update_tier_by_id;
