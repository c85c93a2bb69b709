//! The digest that stands for a bearer token wherever the token itself must not be kept.

use std::fmt;

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

const DIGEST_BYTES: usize = 32;
const TAG_BYTES: usize = 8;

/// SHA-256 of a bearer token's bytes (FIPS 180-4), stored as lower-case hexadecimal as the original
/// does.
///
/// `Eq` and `Hash` are for look-up tables, where what is compared is the digest of a token that the
/// other side chose; to judge one token against one digest, use [`TokenDigest::matches`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; DIGEST_BYTES]);

/// Tells the few tokens of one holder apart: the first 8 bytes of a digest. It proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenTag([u8; TAG_BYTES]);

/// The text given as a token's digest is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token digest is exactly 64 hexadecimal digits")]
pub struct DigestFormatError;

impl TokenDigest {
    /// The digest of a token.
    pub fn of(token: &str) -> Self {
        let mut bytes = [0; DIGEST_BYTES];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }

    /// Reads a stored digest: 64 hexadecimal digits of either case.
    ///
    /// # Errors
    ///
    /// [`DigestFormatError`] for anything else.
    pub fn from_hex(text: &str) -> Result<Self, DigestFormatError> {
        let mut bytes = [0; DIGEST_BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestFormatError)?;
        Ok(Self(bytes))
    }

    /// The digest as it is stored: 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// What tells the token from others of its holder.
    pub fn tag(&self) -> TokenTag {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        TokenTag([a, b, c, d, e, f, g, h])
    }

    /// Whether both are of the same token, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

impl fmt::Debug for TokenTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenTag(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of "abc": FIPS 180-4, its first example.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    /// A consumer of the original and the digest that it stored.
    const CONSUMER: &str = "9c9102b940509626cc78140767b3dffe3f76b46cac651bd367dacec91a8b6069";
    const STORED: &str = "cad966038125ac3b957fb53e93738e0092a9dd943b2e450e7b0ce84e9294ecd4";

    #[test]
    fn is_sha_256_as_the_original_stored_it() {
        assert_eq!(TokenDigest::of("abc").to_hex(), ABC);
        assert_eq!(TokenDigest::of(CONSUMER).to_hex(), STORED);
    }

    #[test]
    fn is_read_back_in_either_case() {
        assert_eq!(TokenDigest::from_hex(ABC).unwrap(), TokenDigest::of("abc"));
        assert_eq!(TokenDigest::from_hex(&ABC.to_uppercase()).unwrap(), TokenDigest::of("abc"));
    }

    #[test]
    fn refuses_what_is_not_a_digest() {
        for text in ["", "ba", &ABC.replace('b', "x"), &format!("{ABC}00"), &"é".repeat(32)] {
            assert_eq!(TokenDigest::from_hex(text), Err(DigestFormatError), "{text:?}");
        }
    }

    #[test]
    fn matches_itself_alone() {
        let abc = TokenDigest::of("abc");
        assert!(abc.matches(&TokenDigest::of("abc")));
        for byte in 0..DIGEST_BYTES {
            let mut other = abc;
            other.0[byte] ^= 1;
            assert!(!abc.matches(&other));
        }
    }

    #[test]
    fn its_tag_is_that_of_no_other() {
        assert_eq!(TokenDigest::of("abc").tag(), TokenDigest::from_hex(ABC).unwrap().tag());
        assert_ne!(TokenDigest::of("abc").tag(), TokenDigest::of("abd").tag());
    }

    #[test]
    fn does_not_print_itself() {
        assert_eq!(format!("{:?}", TokenDigest::of("abc")), "TokenDigest(..)");
        assert_eq!(format!("{:?}", TokenDigest::of("abc").tag()), "TokenTag(..)");
    }
}
