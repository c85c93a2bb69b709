//! Drawing a key: the question, the grant that was recorded, and the refusal.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use keypool_core::{GrantId, Limit};
use keypool_crypto::Plain;

use crate::Unavailable;

/// Names a usage event; opaque to callers, ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrawId(pub(crate) GrantId);

/// A text that is no draw id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a draw_id")]
pub struct DrawIdError;

/// A further named value bound to a key, opened.
#[derive(Debug)]
pub struct Secret {
    /// Its name.
    pub name: Arc<str>,
    /// Its value.
    pub value: Plain,
}

/// A grant that is on record, with the key's value.
#[derive(Debug)]
pub struct Served {
    /// UUID of the key.
    pub key_id: Arc<str>,
    /// The key's value.
    pub value: Plain,
    /// The text of a JSON object, as it was given.
    pub metadata: Arc<str>,
    /// The secrets that travel with it, in order of name.
    pub secrets: Vec<Secret>,
    /// Names the usage event.
    pub draw_id: DrawId,
}

/// Why a draw was refused. Nothing was used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The caller is no longer known: its consumer was removed or deactivated.
    UnknownCaller,
    /// No tier in the consumer's scope covers the feature, whether or not any other does.
    OutOfScope,
    /// No tier covers the feature (said to the admin only).
    UnknownFeature,
    /// Every usable key is at a limit for now.
    Spent {
        /// What holds longest the key that is back first.
        limit: Limit,
        /// The first moment at which the same draw would succeed lies this far ahead.
        retry_after: Duration,
    },
    /// Time will not heal it: no key, or all are inactive, expired or have spent a budget for life.
    NoUsableKey,
}

/// A draw that brought no key.
#[derive(Clone, Debug)]
pub enum DrawError {
    /// Refused, with the reason.
    Refused(Refusal),
    /// The grant could not be recorded.
    Unavailable(Unavailable),
}

impl fmt::Display for DrawId {
    /// Sixteen hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0.get())
    }
}

impl FromStr for DrawId {
    type Err = DrawIdError;

    fn from_str(text: &str) -> Result<Self, DrawIdError> {
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(DrawIdError);
        }
        i64::from_str_radix(text, 16).map(|id| Self(GrantId::new(id))).map_err(|_| DrawIdError)
    }
}
