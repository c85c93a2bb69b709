//! The binary over real sockets, as its callers and operators meet it.

mod configuration;
mod development;
mod migration;
mod serving;
mod support;
