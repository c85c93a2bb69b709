//! Fingerprints of values: they tell whether two values are the same, in this process and while it lives.

use std::fmt;

use ring::digest::SHA256_OUTPUT_LEN;
use ring::hmac;
use ring::rand::SystemRandom;

use crate::{Plain, RandomUnavailable};

/// Makes fingerprints under a random key of its own, which is never written anywhere: what one makes means nothing to
/// another.
#[derive(Clone)]
pub struct Fingerprinter(hmac::Key);

/// HMAC-SHA-256 (FIPS 198-1) of a value. It is for look-up tables in memory, and is not to be stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; SHA256_OUTPUT_LEN]);

impl Fingerprinter {
    /// One with a fresh key.
    ///
    /// # Errors
    ///
    /// [`RandomUnavailable`] where the operating system gives no random bytes.
    pub fn generate() -> Result<Self, RandomUnavailable> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        key.map(Self).map_err(|_| RandomUnavailable)
    }

    /// The fingerprint of a value.
    pub fn of(&self, value: &Plain) -> Fingerprint {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(hmac::sign(&self.0, value.expose().as_bytes()).as_ref());
        Fingerprint(bytes)
    }
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprinter(..)")
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: &str) -> Plain {
        Plain::from(value.to_owned())
    }

    #[test]
    fn like_values_have_like_fingerprints_and_others_do_not() {
        let fingerprinter = Fingerprinter::generate().unwrap();
        let of = |value: &str| fingerprinter.of(&plain(value));
        assert_eq!(of("value"), of("value"));
        assert_eq!(fingerprinter.clone().of(&plain("value")), of("value"));
        let values = ["", "value", "Value", "value ", "\0value", "wert"];
        let distinct: std::collections::HashSet<_> = values.iter().map(|value| of(value)).collect();
        assert_eq!(distinct.len(), values.len());
    }

    #[test]
    fn they_mean_nothing_to_another_process() {
        let of = || Fingerprinter::generate().unwrap().of(&plain("value"));
        assert_ne!(of(), of());
    }

    /// RFC 4231 section 4.3, its second test case.
    #[test]
    fn is_hmac_sha_256() {
        let fingerprinter = Fingerprinter(hmac::Key::new(hmac::HMAC_SHA256, b"Jefe"));
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let made = fingerprinter.of(&plain("what do ya want for nothing?"));
        assert_eq!(hex::encode(made.0), expected);
    }

    #[test]
    fn neither_prints_itself() {
        let fingerprinter = Fingerprinter::generate().unwrap();
        let printed = format!("{fingerprinter:?} {:?}", fingerprinter.of(&plain("value")));
        assert_eq!(printed, "Fingerprinter(..) Fingerprint(..)");
    }
}
