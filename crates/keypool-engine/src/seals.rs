//! What seals the values of a pool bear, and which of them do not open.

use std::fmt;

use keypool_crypto::{OpenError as ValueError, Seal, Sealer};
use keypool_store::StoredValue;

use crate::trial::place_of;

/// How many values bear which seal. One that does not open is not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealCounts {
    /// Under the current key.
    pub current: usize,
    /// Under the key before.
    pub previous: usize,
    /// The original's, which is bound to no place.
    pub original: usize,
    /// None: plain text.
    pub plain: usize,
}

/// A value that does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unopened {
    /// The UUID of its key.
    pub key: String,
    /// The name of its key; empty where it belongs to nothing.
    pub name: String,
    /// The name of the secret, if it is one.
    pub secret: Option<String>,
    /// Why.
    pub why: ValueError,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, name, secret, why } = self;
        if let Some(secret) = secret {
            write!(f, "secret {secret:?} of ")?;
        }
        write!(f, "key {name:?} ({key}): {why}")
    }
}

/// Opens each of these, and tells how many bear which seal, and which do not open.
pub(crate) fn survey(
    values: impl IntoIterator<Item = StoredValue>,
    sealer: &Sealer,
) -> (SealCounts, Vec<Unopened>) {
    let (mut counts, mut unopened) = (SealCounts::default(), Vec::new());
    for value in values {
        let opened = sealer.open(place_of(&value), &value.text);
        match opened.and_then(|_| sealer.seal_of(&value.text)) {
            Ok(Seal::Current) => counts.current += 1,
            Ok(Seal::Previous) => counts.previous += 1,
            Ok(Seal::Original) => counts.original += 1,
            Ok(Seal::Missing) => counts.plain += 1,
            Err(why) => {
                let StoredValue { key, name, secret, .. } = value;
                unopened.push(Unopened { key, name, secret, why });
            }
        }
    }
    (counts, unopened)
}
