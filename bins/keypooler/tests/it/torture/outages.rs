//! Writes and flushes of a running server fail for a while: every draw is refused for certain or in doubt, none is granted
//! unrecorded, and once they succeed again it serves by itself. A commit that is reported as done and never was, as sqlx
//! 0.9.0 may after a full disk, is a grant without its event. Or it is killed while they fail, and what it told of them holds
//! for what the next start finds.

use std::time::Duration;

use super::ledger::{Ledger, SetUp};
use super::tracer::{self, Tracer};
use super::{tell, verify};
use crate::support::{Server, is_long, now};

const CLIENTS: usize = 4;

/// It serves again after so long.
const SOON: Duration = Duration::from_secs(5);

/// What fails, and with what error.
const FAULTS: [(&str, &str); 5] = [
    ("pwrite64", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("pwrite64", "EROFS"),
    ("fsync,fdatasync", "EIO"),
    ("pwrite64,fsync,fdatasync,ftruncate", "EDQUOT"),
];

#[test]
fn while_writes_fail_nothing_is_granted_unrecorded_and_then_it_serves_again() {
    if !tracer::is_there() {
        return;
    }
    let times = if is_long() { 20 } else { 2 };
    for (calls, error) in FAULTS {
        let folder = tempfile::tempdir().unwrap();
        let (server, mut ledger) = start(&folder);
        let mut worst = Duration::ZERO;
        ledger.draw_while(&server, |draws| {
            for _ in 0..times {
                draws.wait_for_grants(20);
                let fault = Tracer::attach(server.id(), calls, error).unwrap();
                draws.wait_for_failures(5);
                drop(fault);
                let start = now();
                draws.wait_for_grants(1);
                worst = worst.max(start.elapsed());
            }
        });
        assert!(worst < SOON, "{calls}, {error}: served again only after {worst:?}");
        ledger.check(&server);
        // What was committed is what a new start finds.
        drop(server);
        ledger.check(&Server::start(folder.path(), &[]));
        verify(folder.path());
        let told = ledger.answers();
        // SQLite knows that a full disk has taken nothing.
        assert!(error != "ENOSPC" || (told.failed > 0 && told.in_doubt == 0), "{told:?}");
        tell(&format!(
            "{calls} fail with {error}, {times} times: {} failed, {} in doubt; serves again after {worst:?} at most",
            told.failed, told.in_doubt
        ));
    }
}

#[test]
fn killed_while_writes_fail_it_was_right_in_what_it_told() {
    if !tracer::is_there() {
        return;
    }
    let times = if is_long() { 20 } else { 2 };
    for (calls, error) in FAULTS {
        let folder = tempfile::tempdir().unwrap();
        let (mut server, mut ledger) = start(&folder);
        for _ in 0..times {
            let fault = ledger.draw_while(&server, |draws| {
                draws.wait_for_grants(20);
                let fault = Tracer::attach(server.id(), calls, error).unwrap();
                draws.wait_for_failures(5);
                fault
            });
            // Each client has its answer: nothing but what was told to be in doubt may be.
            server.kill();
            drop(fault);
            server = Server::start(folder.path(), &[]);
            ledger.check(&server);
        }
        verify(folder.path());
        let told = ledger.answers();
        tell(&format!(
            "{calls} fail with {error} and it is killed, {times} times: {} failed, {} in doubt",
            told.failed, told.in_doubt
        ));
    }
}

/// A server whose keys may be drawn without end.
fn start(folder: &tempfile::TempDir) -> (Server, Ledger) {
    let server = Server::start(folder.path(), &[]);
    let ledger = Ledger::new(4, 100_000_000, CLIENTS);
    assert_eq!(ledger.set_up(&server), SetUp::Keys);
    (server, ledger)
}
