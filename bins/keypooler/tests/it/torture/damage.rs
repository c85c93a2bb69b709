//! Databases that are damaged in ways of chance, each from its number: the binary refuses them and says why, or serves what
//! is sound. It never panics, never hangs, and grants nothing that is not on record.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

use super::ledger::set_up;
use super::tell;
use crate::support::{ADMIN_TOKEN, Server, is_long, run, usual_command};

const PAGE: usize = 4096;

/// 1,000 under `KEYPOOL_TEST_LONG`.
#[test]
fn a_damaged_database_is_refused_or_served_and_never_a_reason_to_panic() {
    let sound = sound();
    let (mut refused, mut served, mut failed) = (0, 0, 0);
    let many = if is_long() { 1_000 } else { 40 };
    for number in 0..many {
        match try_one(&sound, number) {
            Outcome::Refused => refused += 1,
            Outcome::Served => served += 1,
            Outcome::Failed => failed += 1,
        }
    }
    assert!(refused > 0 && served > 0, "{refused} refused, {served} served, {failed} failed");
    tell(&format!(
        "{many} damaged databases: {refused} refused at the start, {served} serve, {failed} start and refuse draws"
    ));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Refused,
    Served,
    /// It started, and draws failed with a clear answer.
    Failed,
}

/// A pool with events, as it is left by a server that was stopped.
fn sound() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    assert!(set_up(&server, 40, 1_000));
    let mut connection = server.connect();
    for _ in 0..300 {
        let answer = connection.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    server.terminate();
    server.wait();
    fs::read(folder.path().join("data/pool.db")).unwrap()
}

fn try_one(sound: &[u8], number: u64) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let damaged = damaged(sound.to_vec(), number);
    fs::write(folder.path().join("data/pool.db"), damaged).unwrap();

    // Whatever it finds, it says so and ends.
    let report = run(folder.path(), &["verify"], &[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    let said = String::from_utf8_lossy(&report.stderr);
    assert!(report.status.code().is_some_and(|code| code != 101), "{number}: {said}");

    let outcome = match Server::try_start_by(usual_command(folder.path())) {
        Err(log) => {
            assert!(log.contains("\"error\""), "{number}: it does not say why: {log}");
            assert!(!log.contains("panicked"), "{number}: {log}");
            Outcome::Refused
        }
        Ok(server) => serve(&server, number),
    };
    assert!(folder.path().join("data/pool.db").exists(), "{number}: it lost the file");
    outcome
}

/// Draws from it; each grant is on record, as far as what is on record can be read.
fn serve(server: &Server, number: u64) -> Outcome {
    let mut granted = Vec::new();
    let mut outcome = Outcome::Served;
    for _ in 0..5 {
        let answer = server.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None);
        match answer.status {
            200 => granted.push(answer.json()["draw_id"].as_str().unwrap().to_owned()),
            429 | 404 | 503 => outcome = Outcome::Failed,
            _ => panic!("{number}: {} {}\n{}", answer.status, answer.body, server.log()),
        }
    }
    // A page of the file in the place of another may list an event twice: what counts is that it is there.
    let page = server.request("GET", "/admin/usage?limit=1000", Some(ADMIN_TOKEN), None);
    match page.status {
        200 if outcome == Outcome::Served => {
            assert!(granted.iter().all(|id| page.body.contains(id)), "{number}: not on record");
        }
        200 | 503 => {}
        _ => panic!("{number}: {} {}\n{}", page.status, page.body, server.log()),
    }
    assert!(!server.log().contains("panicked"), "{number}: {}", server.log());
    outcome
}

/// The file, damaged in the way of this number.
fn damaged(mut file: Vec<u8>, number: u64) -> Vec<u8> {
    let pages = file.len() / PAGE;
    let page = chance(number, 0, 0..pages) * PAGE;
    match number % 5 {
        // Some bytes of a page, often of its head.
        0 => {
            for byte in 0..8 {
                let at = page
                    + chance(number, byte, 0..if number.is_multiple_of(2) { 16 } else { PAGE });
                file[at] = u8::try_from(chance(number, byte + 100, 0..256)).unwrap();
            }
        }
        // A page of zeros.
        1 => file[page..page + PAGE].fill(0),
        // A page in the place of another.
        2 => {
            let other = chance(number, 1, 0..pages) * PAGE;
            file.copy_within(other..other + PAGE, page);
        }
        // Its end is missing.
        3 => {
            let length = chance(number, 2, 0..file.len());
            file.truncate(length);
        }
        // A bit anywhere.
        _ => {
            let at = chance(number, 3, 0..file.len());
            file[at] ^= 1 << chance(number, 4, 0..8);
        }
    }
    file
}

/// The same number each time.
fn chance(number: u64, question: u64, range: Range<usize>) -> usize {
    let mut hasher = DefaultHasher::new();
    (number, question).hash(&mut hasher);
    let hash = usize::try_from(hasher.finish() >> 1).unwrap();
    range.start + hash % range.len()
}
