//! Serves: takes the port, opens the pool, answers until it is asked to drain or can't go on, closes.

use std::future;

use anyhow::{Context, bail};
use keypool_engine::{Broken, Clock, Engine, EngineSettings, Token, TokenDigest};
use keypool_http::{App, Drained, HttpSettings};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{Mode, ServerSettings, Settings};
use crate::dev::{self, AdminShown, Tour};
use crate::limits;
use crate::listener::{Activated, Listening, Places};
use crate::reload::{self, Hangups};
use crate::signals::Signals;
use crate::supervisor;

/// Serves until a signal asks for the end, or the engine broke: then it fails, for a supervisor to start it again.
pub(crate) async fn serve(
    settings: Settings,
    activated: Vec<Activated>,
    accept_clock: bool,
    mode: Mode,
) -> anyhow::Result<()> {
    let (_signals, drain) = Signals::watch().context("signals can't be watched")?;
    // Who tries it out and closes the terminal does not want it to go on.
    let hangups = (mode == Mode::Serve).then(Hangups::watch);
    let hangups = hangups.transpose().context("signals can't be watched")?;
    // Before the database is touched: another program may still serve it on this port.
    let places = Places::take(&settings.server, activated, mode)?;
    let admin_shown = match (&settings.admin_token, settings.admin_token_is_in_environment) {
        (None, _) => AdminShown::Plain,
        (Some(_), true) => AdminShown::Variable,
        (Some(_), false) => AdminShown::Placeholder,
    };
    let admin_token = settings.admin_token.map_or_else(make_up_admin_token, Ok)?;

    let digest = |token: &SecretString| TokenDigest::of(token.expose_secret());
    let previous = settings.previous_admin_token.map(|token| digest(&token));
    let admin_digests = [Some(digest(&admin_token)), previous].into_iter().flatten().collect();
    // From here on the digests are enough, except to show how to call.
    let shown_token = (mode == Mode::Dev).then_some(admin_token);

    let database = settings.database.to_string();
    let engine = Engine::open(EngineSettings {
        store: settings.database.into(),
        sealer: settings.encryption.sealer(),
        admin_tokens: admin_digests,
        clock: Clock::System,
        accept_clock,
    })
    .await?;

    let ServerSettings { tls, http, .. } = settings.server;
    let Listening { listeners, address, socket_file } = places.listen(tls.as_ref())?;
    tracing::info!(database, "serving");
    supervisor::ready();

    let http = HttpSettings { metrics_token: settings.metrics_token, ..http };
    let app = App::new(engine.clone(), &within_open_files(http));
    let end = async {
        end(drain.asked(), engine.broken()).await;
        supervisor::stopping();
        drop(socket_file);
    };
    let show = async {
        if let (Some(admin_token), Some(address)) = (&shown_token, address) {
            let tour = Tour { address, database: &database, admin_token, admin_shown };
            dev::show(tour).await;
        }
    };
    let serving = async { tokio::join!(keypool_http::serve(app, listeners, end), show).0 };
    let drained = tokio::select! {
        drained = serving => drained,
        () = reload::keep_fresh(hangups, tls.as_ref()) => unreachable!("it goes on for ever"),
        () = supervisor::keep_alive() => unreachable!("it goes on for ever"),
    };
    engine.close().await;
    report(drained);
    // It may have broken while it drained, too.
    verdict(engine.broken()).await
}

/// Comes to pass when serving is to end.
async fn end(asked: impl Future<Output = ()>, broken: impl Future<Output = Broken>) {
    tokio::select! {
        () = asked => {}
        _ = broken => tracing::error!("the engine can record nothing more: draining"),
    }
}

/// Fails if the engine broke.
async fn verdict(broken: impl Future<Output = Broken>) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        broken = broken => bail!("{}", match broken {
            Broken::Bug => {
                "the engine broke, through a bug in keypooler, and could record nothing more: start it again"
            }
            Broken::Outdated => {
                "a newer keypooler has brought the database to its schema, and this one can record nothing more: \
                 start the newer version"
            }
        }),
        () = future::ready(()) => Ok(()),
    }
}

/// The same, with no more connections than files may be open.
fn within_open_files(settings: HttpSettings) -> HttpSettings {
    let possible = limits::most_connections();
    let asked = settings.max_connections;
    if let Some(asked) = asked.filter(|asked| *asked > possible) {
        tracing::warn!(
            asked,
            possible,
            "SERVER_MAX_CONNECTIONS is more than the limit of open files has room for (ulimit -n, LimitNOFILE)"
        );
    }
    let max_connections = Some(asked.map_or(possible, |asked| asked.min(possible)));
    HttpSettings { max_connections, ..settings }
}

fn make_up_admin_token() -> anyhow::Result<SecretString> {
    let token = Token::generate().context("no admin token can be made up")?;
    Ok(SecretString::from(token.expose()))
}

fn report(drained: Drained) {
    match drained {
        Drained::All => tracing::info!("drained: all requests were answered"),
        Drained::Cut(connections) => tracing::warn!(
            connections,
            "drained as far as SERVER_SHUTDOWN_TIMEOUT_SECONDS allowed: connections were cut"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn serving_ends_when_it_is_asked_to_and_when_the_engine_broke() {
        end(ready(()), pending()).await;
        end(pending(), ready(Broken::Bug)).await;
    }

    #[tokio::test]
    async fn only_a_broken_engine_is_a_failure_and_it_is_said_what_to_do() {
        assert!(verdict(pending()).await.is_ok());
        let said = verdict(ready(Broken::Bug)).await.unwrap_err().to_string();
        assert!(said.contains("the engine broke") && said.contains("start it again"), "{said}");
        let said = verdict(ready(Broken::Outdated)).await.unwrap_err().to_string();
        assert!(said.contains("start the newer version"), "{said}");
    }
}
