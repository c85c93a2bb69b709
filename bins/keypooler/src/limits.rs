//! Settles with the operating system what the process may do, before it does anything.

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::process::{getrlimit, set_dumpable_behavior, setrlimit};

/// Asks for no core dumps, neither to a file nor to a handler: the memory holds secrets.
pub(crate) fn forbid_core_dumps() {
    // Neither can fail where it matters: lowering a limit and giving up a right need no privilege.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Asks for as many open files, which connections are, as may be had without privilege. Go programs
/// do so by themselves.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused the limit stays as it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
