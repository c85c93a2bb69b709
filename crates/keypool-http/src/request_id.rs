//! The id that ties an answer to its line in the log.

use std::cell::RefCell;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::fmt::Hyphenated;
use uuid::{Builder, NoContext, Timestamp};

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
    let (secs, nanos) = Timestamp::now(NoContext).to_unix();
    let millis = secs.saturating_mul(1_000).saturating_add(u64::from(nanos / 1_000_000));
    let random = RANDOM.with_borrow_mut(Random::take);
    let id = Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    let mut text = [0; Hyphenated::LENGTH];
    let text = id.hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).expect("a UUID is printable ASCII")
}

thread_local! {
    static RANDOM: RefCell<Random> = const { RefCell::new(Random { bytes: [0; POOL], rest: 0 }) };
}

/// How much randomness is asked of the system at a time: enough for a hundred ids.
const POOL: usize = 1_000;

/// Random bytes, each handed out once: asking the system for every id costs more than the rest of it.
struct Random {
    bytes: [u8; POOL],
    /// How many of them, from the start, are still to be handed out.
    rest: usize,
}

impl Random {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        if self.rest < N {
            getrandom::fill(&mut self.bytes).expect("the system has random bytes");
            self.rest = POOL;
        }
        self.rest -= N;
        let mut taken = [0; N];
        taken.copy_from_slice(&self.bytes[self.rest..][..N]);
        taken
    }
}

fn is_acceptable(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.iter().all(|byte| (0x20..=0x7e).contains(byte))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Uuid;

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

    #[test]
    fn fresh_ids_differ() {
        let ids: HashSet<_> = (0..1_000).map(|_| fresh()).collect();
        assert_eq!(ids.len(), 1_000);
    }
}
