//! What a peer gets that does not behave: each row of the table in docs/http.md, over real sockets, and a good client
//! beside them all that hardly notices.

mod apart;
mod good;
mod peer;
mod rows;

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{ADMIN_TOKEN, Server, is_long};
use good::{Good, Latencies};
use peer::Peer;

const DOCUMENT: &str = include_str!("../../../../docs/http.md");

/// Connections of one address that the server takes here.
const OF_ADDRESS: usize = 8;

/// What the machine does beside the test falls on one side of a comparison alone, now and then: so often it is made.
const ATTEMPTS: u8 = 6;

/// A connection that waits for longer than a second gives way.
const GIVES_WAY: Duration = Duration::from_secs(2);

/// A page of metrics is as old as this at most.
const A_PAGES_AGE: Duration = Duration::from_secs(1);

/// A server that loses its patience soon.
const IMPATIENT: [(&str, &str); 6] = [
    ("SERVER_HEADER_TIMEOUT_SECONDS", "1"),
    ("SERVER_READ_TIMEOUT_SECONDS", "3"),
    ("SERVER_WRITE_TIMEOUT_SECONDS", "1"),
    ("SERVER_IDLE_TIMEOUT_SECONDS", "3"),
    ("SERVER_MAX_CONNECTIONS_PER_ADDRESS", "8"),
    ("LOG_REQUESTS", "false"),
];

/// A server with a key that may be drawn without end.
struct Stage {
    server: Server,
    _folder: TempDir,
}

impl Stage {
    fn new(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path(), environment);
        let tier = json!({ "name": "t", "features": { "f": { "rate_limit": 1_000_000_000 } } });
        let key = json!({ "name": "k", "key": "v", "tier": "t" });
        for (path, body) in [("/admin/tiers", tier), ("/admin/keys", key)] {
            let added = server.request("POST", path, Some(ADMIN_TOKEN), Some(&body.to_string()));
            assert_eq!(added.status, 201, "{}", added.body);
        }
        Self { server, _folder: folder }
    }

    fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// One of its peers.
    fn peer(&self, from: impl Into<Ipv4Addr>) -> Peer {
        Peer { address: self.address(), from: from.into() }
    }
}

/// The rows of the document's table: what a peer does, and what it gets.
fn documented() -> Vec<(&'static str, &'static str)> {
    let rows = DOCUMENT.lines().skip_while(|line| !line.starts_with("| peer | gets |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.split('|').map(str::trim).skip(1);
        (cells.next().unwrap(), cells.next().unwrap())
    })
    .collect()
}

#[test]
fn each_row_of_the_document_is_what_a_peer_gets() {
    let stage = Stage::new(&IMPATIENT);
    let documented = documented();
    let known = rows::ALL.len() + apart::ALL.len();
    assert_eq!(documented.len(), known, "each row has its peer, and each peer its row");
    let gets: Vec<String> = thread::scope(|scope| {
        let peers = (0..).zip(&documented).map(|(row, (what, _))| {
            let play = rows::ALL.iter().find(|(known, _)| known == what);
            let apart = apart::ALL.iter().find(|(known, _)| known == what);
            // Each has an address of its own.
            let peer = stage.peer([127, 0, 1, row]);
            scope.spawn(move || match (play, apart) {
                (Some((_, play)), None) => play(&peer),
                (None, Some((_, play))) => play(),
                _ => panic!("nobody plays: {what}"),
            })
        });
        peers.collect::<Vec<_>>().into_iter().map(|peer| peer.join().unwrap()).collect()
    });
    for ((what, expected), got) in documented.iter().zip(gets) {
        assert_eq!(got, *expected, "who {what}");
    }
}

#[test]
fn a_good_client_beside_bad_peers_hardly_notices() {
    let stage = Stage::new(&IMPATIENT);
    let mut good = Good::open(stage.address());
    assert_hardly_noticed(|attempt| {
        let mut calm = good.draw_often();
        let beside = thread::scope(|scope| {
            let peers = (0..).zip(rows::ALL).map(|(row, (_, play))| {
                // Who was throttled is another one the next time.
                let peer = stage.peer([127, 1, attempt, row]);
                scope.spawn(move || play(&peer))
            });
            let peers: Vec<_> = peers.collect();
            good.draw_while(|| peers.iter().any(|peer| !peer.is_finished()))
        });
        calm.add(good.draw_often());
        (calm, beside)
    });
}

/// 10,000 of them under `KEYPOOL_TEST_LONG`.
#[test]
fn idle_connections_are_hardly_noticed_and_give_way_beyond_the_limit() {
    let (limit, more) = if is_long() { (10_000, 2_000) } else { (300, 60) };
    // The test has as many files open as the server has.
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).unwrap();
    let environment = [("SERVER_MAX_CONNECTIONS", &*limit.to_string()), ("LOG_REQUESTS", "false")];
    let stage = Stage::new(&environment);
    let mut good = Good::open(stage.address());
    let address = stage.address();
    let peer_of = |count: usize| Peer {
        address,
        from: [127, 0, 2, u8::try_from(count % 100).unwrap()].into(),
    };

    assert_hardly_noticed(|_| {
        let mut calm = good.draw_often();
        // The good client has a place of its own.
        let idle: Vec<_> =
            (0..limit - 1).map(|count| peer_of(count).idle().expect("there is room")).collect();
        let mut beside = good.draw_for(GIVES_WAY);
        let newcomers = thread::scope(|scope| {
            let newcomers = scope.spawn(|| {
                let newcomers = (0..more).map(|count| peer_of(count).idle());
                newcomers.collect::<Result<Vec<_>, _>>().expect("older ones give way")
            });
            beside.add(good.draw_while(|| !newcomers.is_finished()));
            newcomers.join().unwrap()
        });
        drop((idle, newcomers));
        while good.metric("keypooler_http_connections") > 1 {
            good.draw_for(A_PAGES_AGE);
        }
        calm.add(good.draw_often());
        (calm, beside)
    });
}

/// A hundredth of the draws takes longer than this, beside bad peers no more than twice as long as without.
fn assert_hardly_noticed(mut compare: impl FnMut(u8) -> (Latencies, Latencies)) {
    let mut figures = String::new();
    for attempt in 0..ATTEMPTS {
        let (calm, beside) = compare(attempt);
        figures += &format!("calm: {calm}; beside bad peers: {beside}\n");
        if beside.percentile(99) <= calm.percentile(99) * 2 {
            return;
        }
    }
    panic!("a good client notices:\n{figures}");
}
