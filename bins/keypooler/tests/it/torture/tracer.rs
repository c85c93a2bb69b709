//! `strace`, as what kills the binary at a system call, or lets its system calls fail.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::tell;
use crate::support::{is_long, now};

/// It lets go of a process within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lets system calls of a process fail until it is dropped.
#[derive(Debug)]
pub(super) struct Tracer(Child);

/// What a command runs, killed when one of its threads enters the n-th of these system calls, from 1.
pub(super) fn killed_at(command: &Command, calls: &str, n: usize) -> Command {
    let mut traced = Command::new("strace");
    // The tracer is the grandchild, so that what is started is the command itself. Without --seccomp-bpf: with it, strace 6.1
    // takes no n but 1.
    traced.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    traced.args(["-e", &format!("inject={calls}:signal=SIGKILL:when={n}")]);
    traced.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null()).env_clear();
    traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        traced.current_dir(folder);
    }
    traced
}

impl Tracer {
    /// Lets these calls of a process fail with this error, from now on; nothing where it may not.
    pub(super) fn attach(id: u32, calls: &str, error: &str) -> Option<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
        command.args(["-e", &format!("inject={calls}:error={error}"), "-p", &id.to_string()]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let mut tracer = Self(child);
        loop {
            // https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
            let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
            let traced_by = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
            if traced_by.trim() != "0" {
                return Some(tracer);
            }
            if tracer.0.try_wait().ok()?.is_some() {
                return None;
            }
            thread::yield_now();
        }
    }
}

impl Drop for Tracer {
    /// What it traced goes on.
    fn drop(&mut self) {
        if let Some(id) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // It may have ended with what it traced.
            let _ = kill_process(id, Signal::INT);
        }
        let start = now();
        while start.elapsed() < PATIENCE && matches!(self.0.try_wait(), Ok(None)) {
            thread::yield_now();
        }
        // Both fail only where it has ended, as it has but in the worst case.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether it is there and may do what is asked of it here.
///
/// # Panics
/// If it may not, where all is to be tried.
pub(super) fn is_there() -> bool {
    let may = may_kill() && may_fail();
    assert!(may || !is_long(), "strace is not installed, or may not trace");
    if !may {
        tell("not tried: strace is not installed, or may not trace");
    }
    may
}

/// Whether a shell is killed at its second word, and not before.
fn may_kill() -> bool {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "echo first; echo second; echo third"]);
    let output = killed_at(&shell, "write", 2).output();
    output.is_ok_and(|it| it.status.signal() == Some(9) && it.stdout == b"first\n")
}

/// Whether what runs already can be made to fail.
fn may_fail() -> bool {
    let cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let Ok(mut cat) = cat else { return false };
    let tracer = Tracer::attach(cat.id(), "write", "EIO");
    let mut input = cat.stdin.take().expect("it is piped");
    input.write_all(b"a line\n").expect("it reads");
    drop(input);
    let status = cat.wait().expect("a child can be waited for");
    tracer.is_some() && !status.success()
}
