//! Signals: the first SIGTERM or SIGINT asks to drain, the second ends the process at once.

use std::io;
use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The request to drain, as it is waited for. Clones wait for the same one.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    asked: watch::Receiver<bool>,
}

/// Watches for signals until it is dropped.
#[derive(Debug)]
pub(crate) struct Signals {
    _watching: JoinSet<()>,
}

impl Signals {
    /// Begins to watch; from now on no signal ends the process before it was asked to drain.
    ///
    /// # Errors
    ///
    /// Fails where the operating system refuses.
    pub(crate) fn watch() -> io::Result<(Self, Drain)> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let (ask, asked) = watch::channel(false);
        let mut watching = JoinSet::new();
        watching.spawn(answer(terminate, interrupt, ask));
        Ok((Self { _watching: watching }, Drain { asked }))
    }
}

impl Drain {
    /// Waits until the first signal came.
    pub(crate) async fn asked(mut self) {
        // An error means that nobody watches any more: then nobody can ask either.
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits for a signal that asks a command to end; gives its name.
///
/// # Errors
///
/// Fails where the operating system refuses.
pub(crate) async fn interruption() -> io::Result<&'static str> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(next(&mut terminate, &mut interrupt).await.0)
}

async fn answer(mut terminate: Signal, mut interrupt: Signal, ask: watch::Sender<bool>) {
    let (name, _) = next(&mut terminate, &mut interrupt).await;
    tracing::info!("{name}: draining; a second signal ends at once");
    let _ = ask.send(true);
    let (name, code) = next(&mut terminate, &mut interrupt).await;
    tracing::warn!("{name} again: ending at once");
    process::exit(code);
}

/// A signal's name and the exit code that shells give to a process that it ended.
async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", 143),
        _ = interrupt.recv() => ("SIGINT", 130),
    }
}
