//! The two faces of a value: as it is stored, and as it is opened. Neither prints what it holds.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A value as it is stored: sealed, or plain where there is no encryption key.
///
/// It may be plain, so it is treated as a secret.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SealedText(String);

impl SealedText {
    /// The text as it goes into storage.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Gives the text away; wiping it is then up to the caller.
    pub fn into_string(mut self) -> String {
        std::mem::take(&mut self.0)
    }
}

impl From<String> for SealedText {
    fn from(stored: String) -> Self {
        Self(stored)
    }
}

impl fmt::Debug for SealedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedText(..)")
    }
}

/// An opened value: a key's value or a bound secret in clear.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Plain(String);

impl Plain {
    /// The value itself. What it is copied into must not print it either.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Plain {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_wiped_on_drop<T: ZeroizeOnDrop>() {}

    #[test]
    fn neither_prints_its_content() {
        let printed = format!(
            "{:?} {:?}",
            SealedText::from("hush".to_owned()),
            Plain::from("hush".to_owned())
        );
        assert_eq!(printed, "SealedText(..) Plain(..)");
    }

    #[test]
    fn both_are_wiped_when_dropped() {
        is_wiped_on_drop::<SealedText>();
        is_wiped_on_drop::<Plain>();
    }

    #[test]
    fn gives_back_what_it_was_given() {
        let stored = SealedText::from("a".to_owned());
        assert_eq!(stored.as_str(), "a");
        assert_eq!(stored.into_string(), "a");
        assert_eq!(Plain::from("b".to_owned()).expose(), "b");
    }
}
