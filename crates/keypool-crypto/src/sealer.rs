//! Seals values for storage and opens them again; how a stored value is tagged is decided here.
//!
//! A stored value describes itself:
//!
//! - `enc:gcm:2:` key id `:` hex: sealed by this program, bound to its [`Place`],
//! - `enc:gcm:` hex: sealed by the original, bound to nothing,
//! - `enc:none:` text: plain text that would look tagged without this,
//! - anything else: plain text.
//!
//! The hex is, in this order, a nonce of 12 bytes, the ciphertext, and a tag of 16 bytes
//! (AES-256-GCM, NIST SP 800-38D). The associated data is that of the place; the original has none.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::{EncryptionKey, KeyId, Place, Plain, SealedText};

const ANY_TAG: &str = "enc:";
const PLAIN_TAG: &str = "enc:none:";
const SEALED_TAG: &str = "enc:gcm:";
const SEALED_TAG_2: &str = "enc:gcm:2:";
/// AES-GCM's tag.
const MAC_LEN: usize = 16;

/// Seals and opens values, with an encryption key or without one.
pub struct Sealer {
    keyed: Option<Keyed>,
}

struct Keyed {
    // *ring* offers no way to wipe it.
    cipher: LessSafeKey,
    id: KeyId,
}

/// A value could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There was no nonce to seal it with.
    #[error("the operating system gave no random bytes")]
    RandomUnavailable,
    /// It is longer than AES-GCM can seal (some 64 GiB).
    #[error("the value is too long to be sealed")]
    TooLong,
}

/// A stored value could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is sealed, and there is no encryption key.
    #[error("the value is sealed, but no encryption key is set")]
    KeyMissing,
    /// It is sealed under a key that is not the one set.
    #[error("the value is sealed under another encryption key (its id is {key_id})")]
    OtherKey {
        /// The id of the key that it needs.
        key_id: KeyId,
    },
    /// Its seal is broken: some bytes are not those that were sealed, or it was copied here from
    /// another place. An original's value sealed under another key shows in the same way, as it
    /// does not name its key.
    #[error("the value's seal is broken: it was damaged, or copied from elsewhere")]
    Damaged,
    /// It is tagged as sealed but not of a shape that this program knows.
    #[error("the value is tagged as sealed, but not in a form that this program knows")]
    Malformed,
}

/// What a stored value turns out to be.
enum Stored<'a> {
    Plain(&'a str),
    /// The original's.
    Unbound(Zeroizing<Vec<u8>>),
    /// Ours.
    Bound(KeyId, Zeroizing<Vec<u8>>),
}

impl Sealer {
    /// A sealer without a key: it stores plain text and opens nothing that is sealed.
    pub fn plain() -> Self {
        Self { keyed: None }
    }

    /// A sealer that seals every new value under the key, and opens plain ones too.
    #[expect(clippy::needless_pass_by_value, reason = "taken by value so that it is wiped here")]
    pub fn with_key(key: EncryptionKey) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, key.as_bytes())
            .expect("an encryption key has the length that AES-256 takes");
        let keyed = Keyed { cipher: LessSafeKey::new(unbound), id: key.key_id().clone() };
        Self { keyed: Some(keyed) }
    }

    /// Whether new values are sealed, rather than stored as plain text.
    pub fn is_encrypting(&self) -> bool {
        self.keyed.is_some()
    }

    /// The id of the key that new values are sealed under, if there is one.
    pub fn key_id(&self) -> Option<&KeyId> {
        self.keyed.as_ref().map(|keyed| &keyed.id)
    }

    /// Makes of a value what is stored in `place`.
    ///
    /// # Errors
    ///
    /// [`SealError`] where the operating system gives no random bytes, or the value is beyond what
    /// AES-GCM can seal.
    pub fn seal(&self, place: Place<'_>, value: &str) -> Result<SealedText, SealError> {
        match &self.keyed {
            Some(keyed) => keyed.seal(place, value),
            None if value.starts_with(ANY_TAG) => Ok(format!("{PLAIN_TAG}{value}").into()),
            None => Ok(value.to_owned().into()),
        }
    }

    /// Opens what was stored in `place`.
    ///
    /// # Errors
    ///
    /// [`OpenError`] tells a missing or other key from a value that is damaged or of no known form.
    pub fn open(&self, place: Place<'_>, stored: &str) -> Result<Plain, OpenError> {
        match Stored::parse(stored)? {
            Stored::Plain(text) => Ok(text.to_owned().into()),
            Stored::Unbound(sealed) => self.keyed()?.open(&[], sealed),
            Stored::Bound(key_id, sealed) => {
                let keyed = self.keyed()?;
                if keyed.id != key_id {
                    return Err(OpenError::OtherKey { key_id });
                }
                keyed.open(&place.associated_data(), sealed)
            }
        }
    }

    /// Whether a stored value says that it was sealed under this sealer's key, be it damaged or not.
    pub fn claims(&self, stored: &str) -> bool {
        matches!(Stored::parse(stored), Ok(Stored::Bound(key_id, _)) if self.key_id() == Some(&key_id))
    }

    fn keyed(&self) -> Result<&Keyed, OpenError> {
        self.keyed.as_ref().ok_or(OpenError::KeyMissing)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("key_id", &self.key_id()).finish()
    }
}

impl Keyed {
    fn seal(&self, place: Place<'_>, value: &str) -> Result<SealedText, SealError> {
        // Random nonces: NIST SP 800-38D section 8.2.2, at most 2^32 of them under one key.
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::RandomUnavailable)?;
        let mut text = Zeroizing::new(value.as_bytes().to_vec());
        let aad = Aad::from(place.associated_data());
        let mac = self
            .cipher
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .map_err(|_| SealError::TooLong)?;

        let [nonce, text, mac] = [hex::encode(nonce), hex::encode(&*text), hex::encode(mac)];
        Ok(format!("{SEALED_TAG_2}{}:{nonce}{text}{mac}", self.id).into())
    }

    /// Opens nonce, ciphertext and tag.
    fn open(&self, aad: &[u8], mut sealed: Zeroizing<Vec<u8>>) -> Result<Plain, OpenError> {
        let (nonce, text) =
            sealed.split_first_chunk_mut::<NONCE_LEN>().ok_or(OpenError::Malformed)?;
        let opened = self
            .cipher
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), text)
            .map_err(|_| OpenError::Damaged)?;
        let value = std::str::from_utf8(opened).map_err(|_| OpenError::Malformed)?;
        Ok(value.to_owned().into())
    }
}

impl<'a> Stored<'a> {
    fn parse(stored: &'a str) -> Result<Self, OpenError> {
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

/// Reads hexadecimal digits of either case, as the original does; at least a nonce and a tag.
fn sealed_bytes(digits: &str) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let bytes = Zeroizing::new(hex::decode(digits).map_err(|_| OpenError::Malformed)?);
    let is_long_enough = bytes.len() >= NONCE_LEN + MAC_LEN;
    is_long_enough.then_some(bytes).ok_or(OpenError::Malformed)
}

#[cfg(test)]
mod tests;
