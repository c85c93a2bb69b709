//! The binary is killed as one of its threads enters a system call that changes a file: its first such call, its second, and so
//! on, from an empty folder over the schema's migration, the set-up and draws to the end of a stop. After each, it starts
//! again on what is there.

use std::os::unix::process::ExitStatusExt as _;

use super::ledger::{Ledger, SetUp};
use super::{tell, tracer, verify};
use crate::support::{ADMIN_TOKEN, Server, is_long, usual_command};

const KEYS: usize = 2;
const BUDGET: usize = 25;
const CLIENTS: usize = 4;

/// A thread makes fewer calls than this.
const FAR: usize = 10_000;

/// How many calls there are differs from run to run: only after so many runs in a row that were not killed is there no more.
const MISSES: usize = 3;

#[test]
fn killed_at_a_write_it_goes_on_from_what_was_committed() {
    assert!(grants_before_kills("pwrite64").is_none_or(|grants| grants > 0));
}

#[test]
fn killed_at_a_flush_it_goes_on_from_what_was_committed() {
    assert!(grants_before_kills("fsync,fdatasync").is_none_or(|grants| grants > 0));
}

/// Files are cut off and made longer at a start and a stop: none of it is among draws.
#[test]
fn killed_at_a_truncate_it_goes_on_from_what_was_committed() {
    grants_before_kills("ftruncate");
}

/// Kills it at each of these calls under `KEYPOOL_TEST_LONG`, else at fewer the farther they are. How many grants were received
/// before kills, in all; nothing where nobody may kill it so.
fn grants_before_kills(calls: &str) -> Option<usize> {
    if !tracer::is_there() {
        return None;
    }
    let (mut kills, mut grants, mut last, mut misses) = (0, 0, 0, 0);
    let mut n = 1;
    while misses < MISSES {
        assert!(n < FAR, "it does not come to its end");
        match grants_before_kill(calls, n) {
            Some(received) => {
                (kills, grants, last, misses) = (kills + 1, grants + received, n, 0);
            }
            None => misses += 1,
        }
        n += if is_long() { 1 } else { n / 2 + 1 };
    }
    assert!(kills > 0, "it makes no {calls}");
    tell(&format!("{calls}: killed {kills} times, the last at n = {last}; {grants} grants before"));
    Some(grants)
}

/// Kills it at this call, if it makes so many, and looks at what is left. How many grants were received before.
fn grants_before_kill(calls: &str, n: usize) -> Option<usize> {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(KEYS, BUDGET, CLIENTS);
    let command = tracer::killed_at(&usual_command(folder.path(), &[]), calls, n);
    let (set_up, ended) = match Server::try_start_by(command) {
        Err(ended) => (SetUp::Nothing, ended),
        Ok(mut server) => {
            let set_up = ledger.set_up(&server);
            if set_up == SetUp::Keys {
                ledger.draw_all(&server);
            }
            server.terminate_if_it_runs();
            (set_up, server.end())
        }
    };
    let is_killed = match (ended.status.signal(), ended.status.code()) {
        (Some(9), _) => true,
        (_, Some(0)) => false,
        _ => panic!("{calls}, {n}: {ended}"),
    };
    let received = ledger.answers().granted();

    let server = Server::start(folder.path(), &[]);
    match set_up {
        SetUp::Nothing => {}
        SetUp::Tier => {
            let tiers = server.request("GET", "/admin/tiers", Some(ADMIN_TOKEN), None);
            assert_eq!(tiers.json()[0]["name"], "t", "{calls}, {n}: {}", tiers.body);
        }
        SetUp::Keys => ledger.check_to_the_last(&server),
    }
    verify(folder.path());
    is_killed.then_some(received)
}
