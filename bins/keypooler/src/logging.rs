//! Logging: turns events into lines, JSON for programs or coloured for people.
//!
//! Other crates than ours are heard from `warn` on only: sqlx logs statements, hyper headers.

mod fields;
mod line;

use std::io::{self, IsTerminal, Write};

use time::OffsetDateTime;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogFormat, LogSettings};
use fields::Fields;
use line::{Colour, Line};

/// The workspace's crates, which are heard at the level that is set.
const OURS: [&str; 6] = [
    "keypooler",
    "keypool_core",
    "keypool_crypto",
    "keypool_store",
    "keypool_engine",
    "keypool_http",
];

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogTo {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Starts logging for the rest of the process's life, panics included.
pub(crate) fn start(settings: LogSettings, to: LogTo) {
    let (is_terminal, out): (bool, fn(&[u8])) = match to {
        LogTo::Output => (io::stdout().is_terminal(), write_to_stdout),
        LogTo::Error => (io::stderr().is_terminal(), write_to_stderr),
    };
    let lines = Lines { format: settings.format, colour: colour(settings, is_terminal), out };
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter(settings.level)));
    // Fails only where logging was started before; then it goes on as it was.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked: {}", panic.payload_as_str().unwrap_or("no text"));
    }));
}

fn filter(level: LevelFilter) -> Targets {
    let others = level.min(LevelFilter::WARN);
    Targets::new().with_default(others).with_targets(OURS.map(|target| (target, level)))
}

fn colour(settings: LogSettings, is_terminal: bool) -> Colour {
    if is_terminal && !settings.no_color { Colour::On } else { Colour::Off }
}

/// A reader that went away, or a full disk, must not stop the server: the line is lost.
fn write_to_stdout(line: &[u8]) {
    let _ = io::stdout().lock().write_all(line);
}

fn write_to_stderr(line: &[u8]) {
    let _ = io::stderr().lock().write_all(line);
}

/// A layer that writes each event as one line, with the fields of the spans around it.
struct Lines<W> {
    format: LogFormat,
    colour: Colour,
    out: W,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&[u8]) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::of_an_event();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.extend(of_span);
            }
        }
        event.record(&mut fields);

        let line = Line {
            level: *event.metadata().level(),
            time: now(),
            component: component(event.metadata().target()),
            fields,
        };
        let text = match self.format {
            LogFormat::Json => line.json(),
            LogFormat::Pretty => line.pretty(self.colour).into_bytes(),
        };
        (self.out)(&text);
    }
}

#[expect(clippy::disallowed_methods, reason = "a log line tells when it was written")]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// The part of the program that speaks: a crate's name without what all of them share.
fn component(target: &str) -> &str {
    let krate = target.split("::").next().unwrap_or(target);
    krate.strip_prefix("keypool_").unwrap_or(krate)
}

#[cfg(test)]
mod tests;
