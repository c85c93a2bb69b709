//! The id that ties an answer to its line in the log.

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries it, both ways.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LONGEST: usize = 128;

/// The caller's id if it is 1 to 128 printable ASCII characters, else a fresh UUIDv7.
pub(crate) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(X_REQUEST_ID).iter();
    match (given.next(), given.next()) {
        (Some(id), None) if is_acceptable(id.as_bytes()) => id.clone(),
        _ => fresh(),
    }
}

/// A UUIDv7 (RFC 9562 section 5.7).
pub(crate) fn fresh() -> HeaderValue {
    HeaderValue::from_str(&Uuid::now_v7().to_string()).expect("a UUID is printable ASCII")
}

fn is_acceptable(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.iter().all(|byte| (0x20..=0x7e).contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(given: &[&[u8]]) -> HeaderValue {
        let mut headers = HeaderMap::new();
        for id in given {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(id).unwrap());
        }
        request_id(&headers)
    }

    #[test]
    fn keeps_the_callers_id_if_it_is_short_printable_and_the_only_one() {
        let longest = [b'a'; 128];
        for id in [b"x".as_slice(), b"a b~!", &longest] {
            assert_eq!(chosen(&[id]).as_bytes(), id);
        }
        let too_long = [b'a'; 129];
        let refused: [&[&[u8]]; 6] =
            [&[], &[b""], &[&too_long], &[b"a\tb"], &[b"\xff"], &[b"a", b"b"]];
        for ids in refused {
            let id = chosen(ids);
            assert_eq!(Uuid::try_parse_ascii(id.as_bytes()).unwrap().get_version_num(), 7);
        }
    }
}
