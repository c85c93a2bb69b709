//! Tells a supervisor that asks for it (systemd, by `NOTIFY_SOCKET` and `WATCHDOG_USEC`) how the server is doing.

use std::time::Duration;

use sd_notify::NotifyState;

/// It serves from now on.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It reads its files again; [`ready`] tells when it has.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(moment) => tell(&[NotifyState::Reloading, moment]),
        Err(error) => tracing::debug!("the supervisor is told nothing of a reload: {error}"),
    }
}

/// It finishes what is in flight.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells that it is alive, as often as is asked for, as long as this is polled.
pub(crate) async fn keep_alive() {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else {
        return std::future::pending().await;
    };
    // Half of the time is what sd_watchdog_enabled(3) advises.
    let mut moments = tokio::time::interval((limit / 2).max(Duration::from_millis(1)));
    loop {
        moments.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    // Where there is no supervisor this does nothing.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the supervisor can't be told: {error}");
    }
}
