//! Reads the certificate again at SIGHUP, and looks once a day whether it is about to expire.

use std::io;
use std::time::Duration;

use keypool_engine::Clock;
use keypool_http::Tls;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::supervisor;

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The signal that asks to read again what may have changed.
#[derive(Debug)]
pub(crate) struct Hangups(Signal);

impl Hangups {
    /// Begins to watch; from now on SIGHUP does not end the process.
    ///
    /// # Errors
    ///
    /// Fails where the operating system refuses.
    pub(crate) fn watch() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }
}

/// Does so as long as this is polled; without a certificate SIGHUP changes nothing.
pub(crate) async fn keep_fresh(mut hangups: Option<Hangups>, tls: Option<&Tls>) {
    let mut days = tokio::time::interval(A_DAY);
    loop {
        tokio::select! {
            _ = days.tick() => {}
            () = next(hangups.as_mut()) => {
                supervisor::reloading();
                read_again(tls);
                supervisor::ready();
            }
        }
        if let Some(tls) = tls {
            tls.warn(Clock::System.now());
        }
    }
}

async fn next(hangups: Option<&mut Hangups>) {
    match hangups {
        Some(Hangups(signal)) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

fn read_again(tls: Option<&Tls>) {
    match tls.map(Tls::reload) {
        None => tracing::info!("SIGHUP: there is no certificate to read again"),
        Some(Ok(())) => tracing::info!("SIGHUP: the certificate was read again"),
        Some(Err(error)) => {
            let error = anyhow::Error::from(error);
            tracing::error!("SIGHUP: the certificate stays as it was: {error:#}");
        }
    }
}
