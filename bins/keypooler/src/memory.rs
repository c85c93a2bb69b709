//! Keeps the process's memory, which holds secrets, to itself.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Asks the operating system for no core dumps of this process, neither to a file nor to a handler.
pub(crate) fn keep_out_of_core_dumps() {
    // Neither can fail where it matters: lowering a limit and giving up a right need no privilege.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
