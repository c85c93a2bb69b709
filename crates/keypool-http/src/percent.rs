//! Percent escapes of paths and query strings, read strictly (RFC 3986 section 2.1).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The text behind the escapes; `None` if an escape is not two hex digits or the bytes are not UTF-8.
pub(crate) fn decode(escaped: &str) -> Option<String> {
    let mut bytes = escaped.bytes();
    while let Some(byte) = bytes.next() {
        let whole =
            byte != b'%' || (0..2).all(|_| bytes.next().is_some_and(|b| b.is_ascii_hexdigit()));
        if !whole {
            return None;
        }
    }
    Some(percent_decode_str(escaped).decode_utf8().ok()?.into_owned())
}

/// The text with everything escaped that could mean something in a URL.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_escapes_and_refuses_broken_ones() {
        let cases = [
            ("", Some("")),
            ("plain", Some("plain")),
            ("a%20b%2Fc", Some("a b/c")),
            ("%c3%A9", Some("é")),
            ("é", Some("é")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%+1", None),
            ("a%2", None),
            ("%%41", None),
            ("%ff", None),
            ("%é1", None),
        ];
        for (escaped, text) in cases {
            assert_eq!(decode(escaped).as_deref(), text, "{escaped}");
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let text = "a b/ü&=?#%\"<>\u{0}";
        let encoded = encode(text);
        assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"%-._~".contains(&b)));
        assert_eq!(decode(&encoded).as_deref(), Some(text));
    }
}
