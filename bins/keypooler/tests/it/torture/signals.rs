//! The binary is killed under load at moments of chance, and stopped for a while.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::ledger::{Ledger, SetUp};
use super::verify;
use crate::support::{Server, is_long};

const CLIENTS: usize = 16;

#[test]
fn killed_under_load_it_never_overruns_and_never_forgets() {
    let folder = tempfile::tempdir().unwrap();
    let (rounds, budget) = if is_long() { (40, 10_000) } else { (4, 1_000) };
    let mut ledger = Ledger::new(4, budget, CLIENTS);
    for round in 0..rounds {
        let mut server = Server::start(folder.path(), &[]);
        if round == 0 {
            assert_eq!(ledger.set_up(&server), SetUp::Keys);
        }
        ledger.draw_while(&server, |draws| {
            draws.wait_for_grants(150 + round * 17);
            server.signal(Signal::KILL);
        });
        server.wait();
        ledger.check(&Server::start(folder.path(), &[]));
    }
    ledger.check_to_the_last(&Server::start(folder.path(), &[]));
    verify(folder.path());
}

/// For 30 s under `KEYPOOL_TEST_LONG`.
#[test]
fn stopped_and_continued_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let mut ledger = Ledger::new(4, 100_000_000, CLIENTS);
    assert_eq!(ledger.set_up(&server), SetUp::Keys);
    ledger.draw_while(&server, |draws| {
        draws.wait_for_grants(20);
        server.signal(Signal::STOP);
        thread::sleep(Duration::from_secs(if is_long() { 30 } else { 1 }));
        server.signal(Signal::CONT);
        draws.wait_for_grants(20);
    });
    // Only who waited all the time may be told that it took too long.
    let told = ledger.answers();
    assert!(told.failed + told.in_doubt <= CLIENTS, "{} {}", told.failed, told.in_doubt);
    ledger.check(&server);
    verify(folder.path());
}
