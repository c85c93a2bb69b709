//! Databases that are damaged: the binary refuses them and says why, or serves. It never panics, never
//! hangs, never gives a wrong value (which is for sealed ones to tell), and grants nothing that is not on record.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;

use serde_json::Value;

use super::ledger::{Ledger, SetUp, value};
use super::tell;
use crate::support::{ADMIN_TOKEN, Server, is_long, keys, run, usual_command};

const PAGE: usize = 4096;
const KEYS: usize = 40;

/// Values are sealed, and only sealed ones are taken.
const SEALED: [(&str, &str); 2] = [
    ("ENCRYPTION_KEY", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ("ENCRYPTION_REQUIRED", "true"),
];

/// 1,000 under `KEYPOOL_TEST_LONG`.
#[test]
fn a_damaged_database_is_refused_or_served_and_gives_no_wrong_value() {
    let sound = Sound::new();
    let mut times: HashMap<Outcome, usize> = HashMap::new();
    let many = if is_long() { 1_000 } else { 40 };
    for number in 0..many {
        *times.entry(sound.try_damaged(number)).or_default() += 1;
    }
    assert!(times.contains_key(&Outcome::Refused) && times.contains_key(&Outcome::Serves));
    tell(&format!("{many} damaged databases: {times:?}"));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    Refused,
    Serves,
    /// It started, and some draws failed with a clear answer.
    SomeDrawsFail,
    /// What was written over was the same.
    NotDamaged,
}

/// A pool with events, as it is left by a server that was stopped.
struct Sound {
    file: Vec<u8>,
    /// The value of each key, by its id.
    values: HashMap<String, String>,
}

impl Sound {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::start(folder.path(), &SEALED);
        assert_eq!(Ledger::new(KEYS, 1_000, 1).set_up(&server), SetUp::Keys);
        for _ in 0..300 {
            let answer = server.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None);
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        let id = |key: &Value| key["id"].as_str().unwrap().to_owned();
        let number =
            |key: &Value| key["name"].as_str().unwrap().trim_start_matches('k').parse().unwrap();
        let values = keys(&server).iter().map(|key| (id(key), value(number(key)))).collect();
        server.terminate();
        server.wait();
        Self { file: fs::read(folder.path().join("data/pool.db")).unwrap(), values }
    }

    /// Where something is amiss, the folder stays, with the file as it was before anything had it open.
    fn try_damaged(&self, number: u64) -> Outcome {
        let damaged = damaged(self.file.clone(), number);
        if damaged == self.file {
            return Outcome::NotDamaged;
        }
        let mut folder = tempfile::tempdir().unwrap();
        folder.disable_cleanup(true);
        let file = folder.path().join("data/pool.db");
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(&file, &damaged).unwrap();
        fs::write(folder.path().join("damaged.db"), &damaged).unwrap();
        let what = format!("{number} in {}", folder.path().display());

        let report = run(folder.path(), &["verify"], &SEALED);
        let said = String::from_utf8_lossy(&report.stderr);
        assert!(report.status.code().is_some_and(|code| code != 101), "{what}: {said}");

        let outcome = match Server::try_start_by(usual_command(folder.path(), &SEALED)) {
            Err(ended) => {
                assert!(ended.status.code().is_some_and(|code| code != 101), "{what}: {ended}");
                assert!(ended.log.contains("\"error\""), "{what}: {ended}");
                // What is found after it was opened may come after a number was issued to who opened it.
                let is_opened = ended.log.contains("the pool could not be loaded");
                assert!(
                    is_opened || fs::read(&file).unwrap() == damaged,
                    "{what}: changed: {ended}"
                );
                Outcome::Refused
            }
            Ok(server) => self.serve(&server, &what),
        };
        folder.disable_cleanup(false);
        outcome
    }

    /// Draws: each grant is of its key's own value, and on record, as far as what is on record can be read.
    fn serve(&self, server: &Server, what: &str) -> Outcome {
        let mut granted = Vec::new();
        let mut outcome = Outcome::Serves;
        for _ in 0..KEYS + 5 {
            let answer = server.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None);
            match answer.status {
                200 => {
                    let body = answer.json();
                    let id = body["key_id"].as_str().unwrap();
                    let right = self.values.get(id).map(String::as_str);
                    assert_eq!(body["value"].as_str(), right, "{what}: a wrong value");
                    granted.push(body["draw_id"].as_str().unwrap().to_owned());
                }
                429 | 404 | 503 => outcome = Outcome::SomeDrawsFail,
                _ => panic!("{what}: {} {}\n{}", answer.status, answer.body, server.log()),
            }
        }
        // A page of the file in the place of another may list an event twice: what counts is that it is there.
        let page = server.request("GET", "/admin/usage?limit=1000", Some(ADMIN_TOKEN), None);
        match page.status {
            200 => assert!(
                granted.iter().all(|id| page.body.contains(id)),
                "{what}: not on record\n{}",
                server.log()
            ),
            503 => {}
            _ => panic!("{what}: {} {}\n{}", page.status, page.body, server.log()),
        }
        assert!(!server.log().contains("panicked"), "{what}: {}", server.log());
        outcome
    }
}

/// The file, damaged in the way of this number.
fn damaged(mut file: Vec<u8>, number: u64) -> Vec<u8> {
    let pages = file.len() / PAGE;
    let mut chance = Chance(number);
    let page = chance.of(0..pages) * PAGE;
    match number % 5 {
        // Some bytes of a page, often of its head.
        0 => {
            let far = if number.is_multiple_of(2) { 16 } else { PAGE };
            for _ in 0..8 {
                let at = page + chance.of(0..far);
                file[at] = u8::try_from(chance.of(0..256)).unwrap();
            }
        }
        // A page of zeros.
        1 => file[page..page + PAGE].fill(0),
        // A page in the place of another.
        2 => {
            let other = chance.of(0..pages) * PAGE;
            file.copy_within(other..other + PAGE, page);
        }
        // Its end is missing.
        3 => {
            let length = chance.of(0..file.len());
            file.truncate(length);
        }
        // A bit anywhere.
        _ => {
            let at = chance.of(0..file.len());
            file[at] ^= 1 << chance.of(0..8);
        }
    }
    file
}

/// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
struct Chance(u64);

impl Chance {
    fn of(&mut self, range: Range<usize>) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        range.start + usize::try_from(mixed >> 1).unwrap() % range.len()
    }
}
