//! Writes and flushes of a running server fail for a while: every draw is refused for certain or in doubt, none is granted
//! unrecorded, and once they succeed again it serves by itself. A commit that is reported as done and never was, as sqlx
//! 0.9.0 may after a full disk, is a grant without its event.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::ledger::{CLIENTS, Ledger, Watch, set_up, verify};
use super::{can_trace, skipped, tell};
use crate::support::{Server, is_long, now};

/// More than anybody draws here.
const BUDGET: usize = 100_000_000;

/// It serves again after so long, whatever the machine does beside.
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
    if !can_trace() {
        return;
    }
    for (calls, error) in FAULTS {
        let times = if is_long() { 20 } else { 2 };
        let Some(worst) = fails_for_a_while(calls, error, times) else {
            return skipped("strace may not attach to what runs");
        };
        tell(&format!(
            "{calls} fails with {error}, {times} times: serves again after {worst:?} at most"
        ));
    }
}

#[test]
fn stopped_and_continued_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    assert!(set_up(&server, 4, BUDGET));
    let watch = Watch::default();
    let mut ledger = Ledger::default();
    thread::scope(|scope| {
        let draws = scope.spawn(|| ledger.draw(server.address, &watch));
        watch.wait_for_grants(20);
        server.signal(Signal::STOP);
        thread::sleep(Duration::from_secs(if is_long() { 30 } else { 1 }));
        server.signal(Signal::CONT);
        watch.wait_for_grants(20);
        watch.is_over.store(true, Ordering::SeqCst);
        draws.join().unwrap();
    });
    // Who waited all the time may be told that it took too long, and what was held is given back.
    assert!(ledger.failed <= CLIENTS, "{} failed", ledger.failed);
    ledger.check(&server, BUDGET);
    verify(folder.path());
}

/// Lets calls of a server under load fail for a while, again and again. How long it took at most until it served again; nothing
/// where nobody may attach to it.
fn fails_for_a_while(calls: &str, error: &str, times: usize) -> Option<Duration> {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    assert!(set_up(&server, 4, BUDGET));
    let watch = Watch::default();
    let mut ledger = Ledger::default();
    let worst = thread::scope(|scope| {
        let draws = scope.spawn(|| ledger.draw(server.address, &watch));
        let mut worst = Some(Duration::ZERO);
        for _ in 0..times {
            watch.wait_for_grants(20);
            let enough = watch.failed.load(Ordering::SeqCst) + 5;
            let mut fault = Fault::attach(server.id(), calls, error);
            watch.wait_until(|| fault.has_ended() || watch.failed.load(Ordering::SeqCst) >= enough);
            if fault.has_ended() {
                worst = None;
                break;
            }
            fault.end();
            let start = now();
            watch.wait_for_grants(1);
            worst = worst.max(Some(start.elapsed()));
        }
        watch.is_over.store(true, Ordering::SeqCst);
        draws.join().unwrap();
        worst
    })?;
    assert!(worst < SOON, "{calls} failed with {error}: served again only after {worst:?}");
    ledger.check(&server, BUDGET);
    verify(folder.path());
    // What was committed is what a new start finds.
    drop(server);
    ledger.check(&Server::start(folder.path(), &[]), BUDGET);
    Some(worst)
}

/// A tracer that lets calls fail as long as it is attached.
struct Fault(Child);

impl Fault {
    fn attach(id: u32, calls: &str, error: &str) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
        command.args(["-e", &format!("inject={calls}:error={error}"), "-p", &id.to_string()]);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Whether it ended by itself, as it may not attach.
    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Lets go of the server, which goes on.
    fn end(mut self) {
        let id = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(id, Signal::INT).unwrap();
        self.0.wait().unwrap();
    }
}
