//! The binary is killed as it enters a system call that changes a file: the first such call of a thread, the second, and so
//! on, from an empty folder over the schema's migration, the set-up and draws to the end of a stop. After each, it starts
//! again on what is there.

use std::path::Path;
use std::process::{Command, Stdio};

use super::ledger::{CLIENTS, Ledger, Watch, set_up, verify};
use super::{can_trace, tell};
use crate::support::{Server, is_long, usual_command};

const KEYS: usize = 2;
const BUDGET: usize = 12;

/// Where the file comes from and goes to: each is tried by itself.
const CALLS: [&str; 3] = ["pwrite64", "fsync,fdatasync", "ftruncate"];

/// All points under `KEYPOOL_TEST_LONG`, else fewer the farther they are.
#[test]
fn killed_at_whatever_write_it_goes_on_from_what_was_committed() {
    if !can_trace() {
        return;
    }
    for calls in CALLS {
        let mut tried = 0;
        let mut granted = 0;
        let mut point = 1;
        // The last one lies behind the last call.
        while let Some(so_many) = killed_at(calls, point) {
            granted += so_many;
            tried += 1;
            point += if is_long() { 1 } else { point / 2 + 1 };
        }
        assert!(tried >= 1, "it makes no {calls}");
        tell(&format!(
            "{calls}: killed at {tried} calls up to {point}, {granted} grants, none lost"
        ));
    }
}

/// Kills it at this call, if it makes so many, and looks at what is left. How many draws were granted before.
fn killed_at(calls: &str, point: usize) -> Option<usize> {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::default();
    let was_killed = match Server::try_start_by(traced(folder.path(), calls, point)) {
        Err(_) => true,
        Ok(mut server) => {
            if set_up(&server, KEYS, BUDGET) {
                ledger.draw(server.address, &Watch::default());
            }
            server.terminate_if_it_runs();
            server.wait().is_none()
        }
    };

    let server = Server::start(folder.path(), &[]);
    // Where nothing was granted, the set-up may not be complete.
    if ledger.granted() > 0 {
        let charged = ledger.check(&server, BUDGET);
        let granted_before = ledger.granted();
        ledger.draw(server.address, &Watch::default());
        let left = ledger.granted() - granted_before;
        assert_eq!(charged + left, KEYS * BUDGET, "killed at {calls} {point}, {CLIENTS} clients");
        ledger.check(&server, BUDGET);
    }
    verify(folder.path());
    was_killed.then(|| ledger.granted())
}

/// The binary under a tracer that kills it.
fn traced(folder: &Path, calls: &str, point: usize) -> Command {
    let plain = usual_command(folder);
    let mut traced = Command::new("strace");
    // The tracer is the grandchild, so that what is started is the server itself.
    traced.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    traced.args(["-e", &format!("inject={calls}:signal=SIGKILL:when={point}")]);
    traced.arg(plain.get_program()).current_dir(folder).env_clear().stdin(Stdio::null());
    traced.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced
}
