//! Log lines from events to text.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::subscriber::with_default;

use super::*;

/// What `speak` leads to in the log.
fn logged(format: LogFormat, colour: Colour, level: LevelFilter, speak: impl FnOnce()) -> String {
    let text = Arc::new(Mutex::new(String::new()));
    let out = {
        let text = Arc::clone(&text);
        move |line: &[u8]| text.lock().unwrap().push_str(std::str::from_utf8(line).unwrap())
    };
    let lines = Lines { format, colour, out };
    with_default(tracing_subscriber::registry().with(lines.with_filter(filter(level))), speak);
    let text = text.lock().unwrap();
    text.clone()
}

fn json(speak: impl FnOnce()) -> Value {
    let text = logged(LogFormat::Json, Colour::Off, LevelFilter::INFO, speak);
    serde_json::from_str(text.strip_suffix('\n').unwrap()).unwrap()
}

/// An error with a cause.
fn failure() -> io::Error {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot write")]
    struct CannotWrite(#[source] io::Error);
    io::Error::other(CannotWrite(io::Error::other("disk full")))
}

#[test]
fn a_json_line_has_the_original_s_members_first() {
    let text = logged(LogFormat::Json, Colour::Off, LevelFilter::INFO, || {
        tracing::info!(target: "keypool_http::draw_key", status = 200, "served");
    });
    assert!(text.starts_with(r#"{"level":"info","time":"2"#), "{text}");
    assert!(text.ends_with("\",\"message\":\"served\",\"component\":\"http\",\"status\":200}\n"));
}

#[test]
fn times_are_utc_to_the_millisecond() {
    let line = json(|| tracing::info!("now"));
    let time = line["time"].as_str().unwrap();
    assert_eq!(time.len(), "2026-11-23T16:11:19.817Z".len());
    assert!(time.ends_with('Z') && time.contains('T') && time.contains('.'), "{time}");
}

#[test]
fn fields_of_spans_stand_beside_the_event_s() {
    let line = json(|| {
        let outer = tracing::info_span!("request", request_id = "r-1", status = 0);
        let _outer = outer.enter();
        let inner = tracing::info_span!("draw_key", feature = "f", status = 1);
        let _inner = inner.enter();
        outer.record("request_id", "r-2");
        tracing::info!(status = 2, ok = true, took_ms = 1.5, "done");
    });
    assert_eq!(line["request_id"], "r-2");
    assert_eq!(line["feature"], "f");
    assert_eq!(line["status"], 2);
    assert_eq!(line["ok"], true);
    assert_eq!(line["took_ms"], 1.5);
}

#[test]
fn fields_cannot_pass_for_the_line_s_own() {
    let line = json(|| tracing::info!(level = "error", component = "x", "said"));
    assert_eq!(line["level"], "info");
    assert_eq!(line["level_"], "error");
    assert_eq!(line["component"], "keypooler");
    assert_eq!(line["component_"], "x");
}

#[test]
fn errors_are_told_with_their_causes() {
    let error = failure();
    let line = json(|| tracing::warn!(error = &error as &dyn std::error::Error, "trouble"));
    assert_eq!(line["level"], "warn");
    assert_eq!(line["error"], "cannot write: disk full");
}

#[test]
fn an_event_is_one_line_whatever_it_says() {
    let speak = || tracing::info!(name = "a\nb", "first\nsecond\u{1b}[2J");
    let text = logged(LogFormat::Json, Colour::Off, LevelFilter::INFO, speak);
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    let text = logged(LogFormat::Pretty, Colour::Off, LevelFilter::INFO, speak);
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.contains(r"first\nsecond"), "{text}");
}

#[test]
fn people_get_text_with_colours_where_they_can_be_seen() {
    let speak = || tracing::warn!(target: "keypool_store", table = "keys", name = "a b", "odd row");
    let plain = logged(LogFormat::Pretty, Colour::Off, LevelFilter::INFO, speak);
    assert!(plain.ends_with("Z WARN  store: odd row table=keys name=\"a b\"\n"), "{plain}");
    let coloured = logged(LogFormat::Pretty, Colour::On, LevelFilter::INFO, speak);
    assert!(coloured.contains("\u{1b}[33mWARN \u{1b}[0m"), "{coloured}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let settings = |no_color| LogSettings {
        level: LevelFilter::INFO,
        format: LogFormat::Pretty,
        requests: true,
        no_color,
    };
    assert_eq!(colour(settings(false), true), Colour::On);
    assert_eq!(colour(settings(true), true), Colour::Off);
    assert_eq!(colour(settings(false), false), Colour::Off);
}

#[test]
fn others_are_quiet_below_warn() {
    let text = logged(LogFormat::Json, Colour::Off, LevelFilter::TRACE, || {
        tracing::info!(target: "sqlx::query", "SELECT");
        tracing::debug!(target: "hyper::proto", "authorization");
        tracing::trace!(target: "libsql", "args");
        tracing::warn!(target: "sqlx::query", "slow");
        tracing::trace!(target: "keypool_core", "mine");
    });
    assert!(text.contains("slow") && text.contains("mine"), "{text}");
    assert!(!text.contains("SELECT") && !text.contains("authorization") && !text.contains("args"));
}

#[test]
fn the_level_holds_for_all() {
    let text = logged(LogFormat::Json, Colour::Off, LevelFilter::ERROR, || {
        tracing::warn!(target: "sqlx", "theirs");
        tracing::warn!("ours");
        tracing::error!("grave");
    });
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    assert!(text.contains("grave"), "{text}");
}

#[test]
fn components_are_the_last_part_of_a_crate_s_name() {
    assert_eq!(component("keypool_http::draw_key"), "http");
    assert_eq!(component("keypool_engine"), "engine");
    assert_eq!(component("keypooler::serve"), "keypooler");
    assert_eq!(component("sqlx::query"), "sqlx");
}
