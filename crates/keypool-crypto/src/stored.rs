//! What a stored value says of itself by its tag.
//!
//! - `enc:gcm:2:` key id `:` hex: sealed by this program, bound to its [`Place`](crate::Place),
//! - `enc:gcm:` hex: sealed by the original, bound to nothing,
//! - `enc:none:` text: plain text that would look tagged without this,
//! - anything else: plain text.
//!
//! The hex is, in this order, a nonce of 12 bytes, the ciphertext, and a tag of 16 bytes
//! (AES-256-GCM, NIST SP 800-38D). The associated data is that of the place; the original has none.

use ring::aead::NONCE_LEN;
use zeroize::Zeroizing;

use crate::{KeyId, OpenError};

pub(crate) const ANY_TAG: &str = "enc:";
pub(crate) const PLAIN_TAG: &str = "enc:none:";
pub(crate) const SEALED_TAG: &str = "enc:gcm:";
pub(crate) const SEALED_TAG_2: &str = "enc:gcm:2:";
/// AES-GCM's tag.
pub(crate) const MAC_LEN: usize = 16;

/// What a stored value turns out to be.
pub(crate) enum Stored<'a> {
    Plain(&'a str),
    /// The original's.
    Unbound(Zeroizing<Vec<u8>>),
    /// Ours.
    Bound(KeyId, Zeroizing<Vec<u8>>),
}

impl<'a> Stored<'a> {
    pub(crate) fn parse(stored: &'a str) -> Result<Self, OpenError> {
        if let Some(text) = stored.strip_prefix(PLAIN_TAG) {
            return Ok(Self::Plain(text));
        }
        if let Some(rest) = stored.strip_prefix(SEALED_TAG_2) {
            let (key_id, digits) = rest.split_once(':').ok_or(OpenError::Malformed)?;
            let key_id = KeyId::parse(key_id).ok_or(OpenError::Malformed)?;
            return Ok(Self::Bound(key_id, sealed_bytes(digits)?));
        }
        if let Some(digits) = stored.strip_prefix(SEALED_TAG) {
            return Ok(Self::Unbound(sealed_bytes(digits)?));
        }
        Ok(Self::Plain(stored))
    }
}

/// How many bytes a stored value has when it is opened, seen from its form alone: right for every value that opens.
pub fn opened_len(stored: &str) -> usize {
    let of_sealed = |digits: &str| (digits.len() / 2).saturating_sub(NONCE_LEN + MAC_LEN);
    if let Some(text) = stored.strip_prefix(PLAIN_TAG) {
        text.len()
    } else if let Some(rest) = stored.strip_prefix(SEALED_TAG_2) {
        of_sealed(rest.split_once(':').map_or(rest, |(_, digits)| digits))
    } else if let Some(digits) = stored.strip_prefix(SEALED_TAG) {
        of_sealed(digits)
    } else {
        stored.len()
    }
}

/// Reads hexadecimal digits of either case, as the original does; at least a nonce and a tag.
fn sealed_bytes(digits: &str) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let bytes = Zeroizing::new(hex::decode(digits).map_err(|_| OpenError::Malformed)?);
    let is_long_enough = bytes.len() >= NONCE_LEN + MAC_LEN;
    is_long_enough.then_some(bytes).ok_or(OpenError::Malformed)
}
