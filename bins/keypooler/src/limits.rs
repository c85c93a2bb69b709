//! Settles with the operating system what the process may do, before it does anything.

use std::num::NonZeroU64;

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

/// Files that are open beside connections: those of the database, its connections, the log, what listens, and connections
/// that are told that there are too many.
const OTHER_FILES: u64 = 256;

/// So many connections there are at least, however few files may be open.
const FEWEST: u64 = 16;

/// How many connections there may be, as many files as may be open.
pub(crate) fn most_connections() -> NonZeroU64 {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    beside_others(files)
}

fn beside_others(files: u64) -> NonZeroU64 {
    let connections = files.saturating_sub(OTHER_FILES).max(FEWEST);
    NonZeroU64::new(connections).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_left_for_the_database() {
        let cases =
            [(u64::MAX, u64::MAX - 256), (20_000, 19_744), (1_024, 768), (256, 16), (0, 16)];
        for (files, connections) in cases {
            assert_eq!(beside_others(files).get(), connections, "{files}");
        }
    }
}
