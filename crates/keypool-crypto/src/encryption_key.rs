//! The key that values are sealed with, and the short id that sealed values name it by.

use std::fmt;

use ring::digest::{Context, SHA256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Keeps the id's digest apart from any other digest of the same bytes.
const ID_DOMAIN: &[u8] = b"keypooler encryption key id\0";
const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 4;

/// A key for AES-256-GCM. Prints nothing of itself and is wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct EncryptionKey {
    // On the heap: a moved array would leave copies behind that nobody wipes.
    bytes: Vec<u8>,
    #[zeroize(skip)]
    id: KeyId,
}

/// The text given as an encryption key is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an encryption key is exactly 64 hexadecimal digits (32 bytes)")]
pub struct KeyFormatError;

impl EncryptionKey {
    /// Reads a key from 64 hexadecimal digits of either case.
    ///
    /// # Errors
    ///
    /// [`KeyFormatError`] for anything else; it says nothing of what was given.
    pub fn parse_hex(text: &str) -> Result<Self, KeyFormatError> {
        let mut bytes = vec![0; KEY_BYTES];
        let decoded = hex::decode_to_slice(text, &mut bytes);
        let id = KeyId::of(&bytes);
        let key = Self { bytes, id };
        decoded.map(|()| key).map_err(|_| KeyFormatError)
    }

    /// The id under which values sealed with this key are stored.
    pub fn key_id(&self) -> &KeyId {
        &self.id
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(..)")
    }
}

/// A short digest that tells encryption keys apart: the first 8 hexadecimal digits of SHA-256 over
/// a fixed prefix and the key. It is no secret: it stands in every sealed value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    fn of(key: &[u8]) -> Self {
        let mut digest = Context::new(&SHA256);
        digest.update(ID_DOMAIN);
        digest.update(key);
        let head: Vec<u8> = digest.finish().as_ref().iter().copied().take(ID_BYTES).collect();
        Self(hex::encode(head))
    }

    /// Reads an id out of a sealed value: 8 lower-case hexadecimal digits, or `None`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_id = text.len() == 2 * ID_BYTES && text.bytes().all(is_digit);
        is_id.then(|| Self(text.to_owned()))
    }

    /// The id as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn is_wiped_on_drop<T: ZeroizeOnDrop>() {}

    #[test]
    fn reads_either_case() {
        let lower = EncryptionKey::parse_hex(HEX).unwrap();
        let upper = EncryptionKey::parse_hex(&HEX.to_uppercase()).unwrap();
        assert_eq!(lower.as_bytes(), (0..32).collect::<Vec<u8>>());
        assert_eq!(upper.as_bytes(), lower.as_bytes());
    }

    #[test]
    fn refuses_all_but_64_hexadecimal_digits() {
        let short = HEX.strip_suffix('f').unwrap();
        let odd = format!("{short}g");
        let spaced = format!(" {short}");
        let long = format!("{HEX}00");
        for text in ["", "00", short, &odd, &spaced, &long, &"é".repeat(32)] {
            assert_eq!(EncryptionKey::parse_hex(text).unwrap_err(), KeyFormatError, "{text:?}");
        }
    }

    #[test]
    fn has_a_stable_id() {
        // Computed with Python's hashlib; changing it would orphan every sealed value.
        assert_eq!(EncryptionKey::parse_hex(HEX).unwrap().key_id().as_str(), "efbb1f50");
    }

    #[test]
    fn different_keys_have_different_ids() {
        let other = EncryptionKey::parse_hex(&"0".repeat(64)).unwrap();
        assert_ne!(other.key_id(), EncryptionKey::parse_hex(HEX).unwrap().key_id());
    }

    #[test]
    fn an_id_is_eight_lower_case_digits() {
        assert_eq!(KeyId::parse("efbb1f50").unwrap().to_string(), "efbb1f50");
        for text in ["", "efbb1f5", "efbb1f500", "EFBB1F50", "efbb1f5g", "éfbb1f5"] {
            assert_eq!(KeyId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn does_not_print_itself_and_is_wiped() {
        is_wiped_on_drop::<EncryptionKey>();
        let key = EncryptionKey::parse_hex(HEX).unwrap();
        assert_eq!(format!("{key:?}"), "EncryptionKey(..)");
    }
}
