//! How a report tells what seals the values of a pool bear.

use std::fmt;

use keypool_engine::SealCounts;
use serde::Serialize;

/// How many values bear which seal.
#[derive(Debug, Serialize)]
pub(crate) struct Values {
    current: usize,
    previous: usize,
    original: usize,
    plain: usize,
}

impl From<SealCounts> for Values {
    fn from(counts: SealCounts) -> Self {
        let SealCounts { current, previous, original, plain } = counts;
        Self { current, previous, original, plain }
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { current, previous, original, plain } = self;
        write!(
            f,
            "values:   {current} under the current key, {previous} under the key before, {original} in the original's form, \
             {plain} plain"
        )
    }
}
