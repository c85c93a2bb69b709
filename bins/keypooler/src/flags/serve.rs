//! Flags of the commands that are about a server: `serve`, and `health`, which asks one.

use clap::Args;
use keypool_http::Question;

use super::shared::{GeneralFlags, ReportFlags, SharedFlags, given};
use crate::config::Mode;

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// IP address to listen on [env: SERVER_HOST] [default: ::, both families]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<String>,
    /// Port to listen on, 0 for any free one [env: SERVER_PORT] [default: 8080]
    #[arg(long)]
    pub(crate) port: Option<String>,
    /// Start even if the system clock is more than 24 hours behind the newest usage event
    #[arg(long)]
    pub(crate) accept_clock: bool,
    /// Try it out without any set-up: on 127.0.0.1, with ./data/dev.db, a made-up admin token and
    /// sample keys
    #[arg(long)]
    pub(crate) dev: bool,
}

/// Flags of `health`.
#[derive(Debug, Args)]
pub(crate) struct HealthFlags {
    #[command(flatten)]
    pub(crate) general: GeneralFlags,
    /// IP address that the server listens on [env: SERVER_HOST] [default: ::, both families]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// Port that the server listens on [env: SERVER_PORT] [default: 8080]
    #[arg(long)]
    port: Option<String>,
    /// Ask whether it could record a draw (/ready), not just whether it answers (/health)
    #[arg(long)]
    pub(crate) ready: bool,
    #[command(flatten)]
    pub(crate) report: ReportFlags,
}

impl ServeFlags {
    /// Whether to serve for real.
    pub(crate) fn mode(&self) -> Mode {
        if self.dev { Mode::Dev } else { Mode::Serve }
    }

    /// The settings that were given, by their variables' names.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let own = given([("SERVER_HOST", &self.host), ("SERVER_PORT", &self.port)]);
        self.shared.settings().into_iter().chain(own).collect()
    }
}

impl HealthFlags {
    /// What is asked.
    pub(crate) fn question(&self) -> Question {
        if self.ready { Question::Ready } else { Question::Health }
    }

    /// The settings that were given, by their variables' names.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let own = given([("SERVER_HOST", &self.host), ("SERVER_PORT", &self.port)]);
        self.general.settings().into_iter().chain(own).collect()
    }
}
