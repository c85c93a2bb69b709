//! Seals values for storage and opens them again: with the encryption key, with the one before it, or without any. How
//! what is stored is written stands in [`stored`](crate::stored).
//!
//! A value of ours names its key, and only that one is tried. One of the original names none. AES-GCM does not commit to
//! a key: whoever knows two keys can make a text that opens under both. Whoever knows neither cannot make one that opens
//! at all, and one that was sealed in good faith opens under another key with a chance of 2^-128. So the original's values
//! are tried with the key, then with the one before it, and the first that opens has it; nothing more is at stake than
//! what a holder of the older key can write anyway.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::stored::{ANY_TAG, PLAIN_TAG, SEALED_TAG_2, Stored};
use crate::{EncryptionKey, KeyId, Place, Plain, SealedText};

/// Seals and opens values, with an encryption key or without one.
pub struct Sealer {
    current: Option<Keyed>,
    previous: Option<Keyed>,
    plain_text: PlainText,
}

/// Whether plain text is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlainText {
    Accepted,
    Refused,
}

/// The seal that a stored value bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seal {
    /// Ours, under the key that new values are sealed under.
    Current,
    /// Ours, under the key before.
    Previous,
    /// The original's: it names no key and is bound to no place.
    Original,
    /// None: it is plain text.
    Missing,
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
    /// It is plain text, and that is refused.
    #[error("the value is plain text, which ENCRYPTION_REQUIRED refuses")]
    PlainText,
    /// It is tagged as sealed but not of a shape that this program knows.
    #[error("the value is tagged as sealed, but not in a form that this program knows")]
    Malformed,
}

impl Sealer {
    /// A sealer without a key: it stores plain text and opens nothing that is sealed.
    pub fn plain() -> Self {
        Self { current: None, previous: None, plain_text: PlainText::Accepted }
    }

    /// A sealer that seals every new value under the key, and opens plain ones too.
    pub fn with_key(key: EncryptionKey) -> Self {
        Self { current: Some(Keyed::new(key)), ..Self::plain() }
    }

    /// The same, which also opens what was sealed under the key before.
    #[must_use]
    pub fn opening_previous(self, key: EncryptionKey) -> Self {
        Self { previous: Some(Keyed::new(key)), ..self }
    }

    /// The same, which does not open plain text.
    #[must_use]
    pub fn refusing_plain_text(self) -> Self {
        Self { plain_text: PlainText::Refused, ..self }
    }

    /// Whether new values are sealed, rather than stored as plain text.
    pub fn is_encrypting(&self) -> bool {
        self.current.is_some()
    }

    /// The id of the key that new values are sealed under, if there is one.
    pub fn key_id(&self) -> Option<&KeyId> {
        self.current.as_ref().map(|keyed| &keyed.id)
    }

    /// The ids of the keys whose values it opens, that of new ones first.
    pub fn key_ids(&self) -> impl Iterator<Item = &KeyId> {
        self.current.iter().chain(&self.previous).map(|keyed| &keyed.id)
    }

    /// Makes of a value what is stored in `place`.
    ///
    /// # Errors
    ///
    /// [`SealError`] where the operating system gives no random bytes, or the value is beyond what
    /// AES-GCM can seal.
    pub fn seal(&self, place: Place<'_>, value: &str) -> Result<SealedText, SealError> {
        match &self.current {
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
            Stored::Plain(text) if self.plain_text == PlainText::Accepted => {
                Ok(text.to_owned().into())
            }
            Stored::Plain(_) => Err(OpenError::PlainText),
            Stored::Unbound(sealed) => self.open_unbound(sealed),
            Stored::Bound(key_id, sealed) => {
                self.with_id(key_id)?.open(&place.associated_data(), sealed)
            }
        }
    }

    /// The seal that a stored value bears, by its tag alone: whether it opens is another question.
    ///
    /// # Errors
    ///
    /// [`OpenError`] where its tag names a key that is not here, or is of no known form.
    pub fn seal_of(&self, stored: &str) -> Result<Seal, OpenError> {
        match Stored::parse(stored)? {
            Stored::Plain(_) => Ok(Seal::Missing),
            Stored::Unbound(_) => Ok(Seal::Original),
            Stored::Bound(key_id, _) => {
                let id = &self.with_id(key_id)?.id;
                Ok(if self.key_id() == Some(id) { Seal::Current } else { Seal::Previous })
            }
        }
    }

    fn open_unbound(&self, sealed: Zeroizing<Vec<u8>>) -> Result<Plain, OpenError> {
        let current = self.current.as_ref().ok_or(OpenError::KeyMissing)?;
        match &self.previous {
            None => current.open(&[], sealed),
            Some(previous) => {
                let opened = current.open(&[], sealed.clone());
                opened.or_else(|_| previous.open(&[], sealed))
            }
        }
    }

    fn with_id(&self, key_id: KeyId) -> Result<&Keyed, OpenError> {
        let mut keys = self.current.iter().chain(&self.previous);
        match keys.find(|keyed| keyed.id == key_id) {
            Some(keyed) => Ok(keyed),
            None if self.current.is_none() => Err(OpenError::KeyMissing),
            None => Err(OpenError::OtherKey { key_id }),
        }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("key_id", &self.key_id()).finish()
    }
}

impl Keyed {
    #[expect(clippy::needless_pass_by_value, reason = "taken by value so that it is wiped here")]
    fn new(key: EncryptionKey) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, key.as_bytes())
            .expect("an encryption key has the length that AES-256 takes");
        Self { cipher: LessSafeKey::new(unbound), id: key.key_id().clone() }
    }

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

#[cfg(test)]
mod tests;
