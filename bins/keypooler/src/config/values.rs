//! Reads the text of a setting into a type that cannot be wrong. `None` is for what does not fit.

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A whole number in a range, as Go's `strconv.Atoi` reads it (a plus sign may lead).
pub(crate) fn number<T: FromStr + PartialOrd>(text: &str, range: RangeInclusive<T>) -> Option<T> {
    text.parse().ok().filter(|number| range.contains(number))
}

/// Seconds, of which 0 stands for no timeout.
pub(crate) fn timeout(text: &str) -> Option<Option<Duration>> {
    let secs = number(text, 0..=31_536_000)?;
    Some((secs > 0).then(|| Duration::from_secs(secs)))
}

/// How many there may be at most; 0 stands for no limit.
pub(crate) fn limit(text: &str) -> Option<Option<NonZeroU64>> {
    number(text, 0..=1_000_000_000).map(NonZeroU64::new)
}

/// Milliseconds, as many as SQLite takes for its busy timeout.
pub(crate) fn busy_timeout(text: &str) -> Option<Duration> {
    number(text, 0..=2_147_483_647).map(Duration::from_millis)
}

/// A truth value as Go's `strconv.ParseBool` reads it.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// One of a few words, in any case.
pub(crate) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, meaning)| *meaning)
}

/// An IP address; one of version 6 may stand in brackets.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match bare {
        Some(version_6) => version_6.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

/// The path of a database file. What SQLite would not take for one is refused: a database in memory
/// would be lost with the process, and a URI can switch off what durability rests on. So is the URL of a database server,
/// which may hold a token.
pub(crate) fn database_path(text: &str) -> Option<PathBuf> {
    let is_uri = ["file:", "libsql:", "http:", "https:", "ws:", "wss:"].iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    });
    let is_file = !text.is_empty()
        && !text.contains('\0')
        && !text.ends_with('/')
        && text != ":memory:"
        && !is_uri;
    let path = PathBuf::from(text);
    (is_file && !path.is_dir()).then_some(path)
}

/// The path of a socket. An address of its kind holds little more than this, and beside it one is made first.
pub(crate) fn socket_path(text: &str) -> Option<PathBuf> {
    let fits = (1..=100).contains(&text.len()) && !text.contains('\0') && !text.ends_with('/');
    fits.then(|| PathBuf::from(text))
}

/// Whether a text can be sent as the token of a database server: those are signed and may be long.
#[cfg(feature = "libsql")]
pub(crate) fn is_auth_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a text can be sent as a bearer token, and by any client.
pub(crate) fn is_bearer_token(text: &str) -> bool {
    (1..=1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_is_read_as_go_reads_it() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(truth(text), Some(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(truth(text), Some(false), "{text}");
        }
        for text in ["", "yes", "no", "on", "tRUE", " true", "2"] {
            assert_eq!(truth(text), None, "{text}");
        }
    }

    #[test]
    fn a_timeout_of_0_is_none() {
        assert_eq!(timeout("0"), Some(None));
        assert_eq!(timeout("30"), Some(Some(Duration::from_secs(30))));
        for text in ["-1", "31536001", "1.5", "30s", "", " 1"] {
            assert_eq!(timeout(text), None, "{text}");
        }
    }

    #[test]
    fn a_limit_of_0_is_none() {
        assert_eq!(limit("0"), Some(None));
        assert_eq!(limit("7"), Some(NonZeroU64::new(7)));
        assert_eq!(limit("1000000001"), None);
    }

    #[test]
    fn a_busy_timeout_of_0_is_no_waiting() {
        assert_eq!(busy_timeout("0"), Some(Duration::ZERO));
        assert_eq!(busy_timeout("2147483648"), None);
    }

    #[test]
    fn numbers_keep_to_their_range() {
        assert_eq!(number("65535", 0..=u16::MAX), Some(65535));
        assert_eq!(number("+80", 0..=u16::MAX), Some(80));
        for text in ["65536", "-1", "0x50", "8080 ", "99999999999999999999999"] {
            assert_eq!(number(text, 0..=u16::MAX), None, "{text}");
        }
    }

    #[test]
    fn words_are_read_in_any_case() {
        let words = [("full", 1), ("normal", 2)];
        assert_eq!(word("FULL", &words), Some(1));
        assert_eq!(word("Normal", &words), Some(2));
        assert_eq!(word("off", &words), None);
    }

    #[test]
    fn addresses_are_literal() {
        for text in ["::", "0.0.0.0", "127.0.0.1", "[::1]", "::1"] {
            assert!(address(text).is_some(), "{text}");
        }
        for text in ["", "localhost", "[127.0.0.1]", "127.0.0.1:80", "[::1", "300.0.0.1"] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn a_database_is_a_file() {
        assert_eq!(database_path("./data/pool.db"), Some(PathBuf::from("./data/pool.db")));
        assert_eq!(database_path("filed:x"), Some(PathBuf::from("filed:x")));
        let folder = tempfile::tempdir().unwrap();
        for text in ["", ":memory:", "file:x.db", "FILE:x.db?mode=memory", "data/", "a\0b", "."] {
            assert_eq!(database_path(text), None, "{text}");
        }
        assert_eq!(database_path(folder.path().to_str().unwrap()), None);
    }

    #[test]
    fn a_bearer_token_is_visible_ascii() {
        assert!(is_bearer_token("a!~"));
        assert!(is_bearer_token(&"x".repeat(1024)));
        for text in ["", "two words", "tab\t", "line\n", "schlüssel", &"x".repeat(1025)] {
            assert!(!is_bearer_token(text), "{text}");
        }
    }
}
