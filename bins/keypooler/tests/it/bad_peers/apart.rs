//! Rows of the table in docs/http.md whose peers take all that there is of something: each has a server of its own.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::good::Good;
use super::peer::{HEALTH, answer, ask, send};
use super::{A_PAGES_AGE, Stage};
use crate::support::now;

/// Where no connection can be accepted, the server waits for so long before it tries again.
const PAUSE: Duration = Duration::from_millis(50);

/// What a peer does, told by what it got.
type Play = fn() -> String;

/// All of them.
pub(super) const ALL: &[(&str, Play)] = &[
    ("comes when there are too many connections", comes_too_many),
    ("comes when no file descriptor is left", comes_without_descriptors),
];

/// Comes when as many are busy as there may be.
fn comes_too_many() -> String {
    let stage = Stage::new(&[("SERVER_MAX_CONNECTIONS", "2")]);
    let peer = stage.peer([127, 0, 0, 2]);
    // The places of those who prepared the stage are free once the server has seen that they went.
    let place = || (0..1_000).find_map(|_| peer.busy()).expect("there is a place");
    let mut busy = [place(), place()];
    let got = stage.peer([127, 0, 0, 3]).gets("");
    for stream in &mut busy {
        send(stream, "{}");
        // Who is being answered has not given way.
        assert!(answer(stream).unwrap().starts_with("HTTP/1.1 400 "), "a consumer has a name");
    }
    got
}

/// Comes when the process may open no file any more.
fn comes_without_descriptors() -> String {
    const NEWCOMERS: usize = 12;
    let stage = Stage::new(&[("LOG_REQUESTS", "false")]);
    let mut good = Good::open(stage.address());
    let open_files = good.metric("process_open_fds");
    let id = i32::try_from(stage.server.id()).ok().and_then(Pid::from_raw);
    let limit = |limits| prlimit(id, Resource::Nofile, limits).unwrap();
    let start = now();
    let before = limit(Rlimit { current: Some(open_files + 4), ..getrlimit(Resource::Nofile) });

    let peer = stage.peer([127, 0, 0, 2]);
    let mut newcomers: Vec<TcpStream> = (0..NEWCOMERS).map(|_| peer.connect()).collect();
    newcomers.iter_mut().for_each(|stream| send(stream, HEALTH));
    // Who has a connection and uses it is served all the while.
    thread::scope(|scope| {
        let answers = scope.spawn(|| {
            for stream in &mut newcomers {
                assert!(answer(stream).expect("it is served").starts_with("HTTP/1.1 200 "));
            }
        });
        good.draw_while(|| !answers.is_finished());
    });
    assert_eq!(ask(&mut newcomers[0], HEALTH), None, "it gave way");

    limit(before);
    let pauses = start.elapsed().as_millis() / PAUSE.as_millis();
    good.draw_for(A_PAGES_AGE);
    let failures = good.metric("keypooler_http_connection_events_total{event=\"not_accepted\"}");
    assert!((1..=pauses + 1).contains(&failures.into()), "{failures} failures, {pauses} pauses");
    "served once another one gives way".to_owned()
}
