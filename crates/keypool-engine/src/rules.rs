//! What fields may hold. Everything that an admin sends is checked here, whole, before anything is changed.

use std::collections::HashSet;

use keypool_core::Timestamp;
use keypool_crypto::opened_len;

use crate::roster::SealedKey;
use crate::{FeatureLimit, Invalid, KeyPatch, NewConsumer, NewKey, metadata};

const NAME_CHARS: usize = 128;
const VALUE_BYTES: usize = 16_384;
const SECRETS: usize = 64;
const KEY_BYTES: usize = 256 * 1_024;
const DESCRIPTION_BYTES: usize = 16 * 1_024;
const FEATURES: usize = 256;
/// Keys that one call may add.
pub(crate) const KEYS_AT_ONCE: usize = 10_000;
const RATE_LIMIT: i64 = 1_000_000_000;
const WINDOW_SECONDS: i64 = 31_622_400;
const USAGE_LIMIT: i64 = 1_000_000_000_000_000;
const USAGE_WINDOW_SECONDS: i64 = 316_224_000;
const OVERLAP_SECONDS: i64 = 31_622_400;

/// Whether a text may name a feature: 1 to 128 characters of `A-Z a-z 0-9 _ . : / -`.
#[must_use]
pub fn is_feature_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:/-".contains(&b);
    (1..=NAME_CHARS).contains(&text.len()) && text.bytes().all(allowed)
}

pub(crate) fn check_name(field: &str, name: &str) -> Result<(), Invalid> {
    let fits =
        (1..=NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    require(fits, field, || {
        format!("takes 1 to {NAME_CHARS} characters, none of them a control character")
    })
}

/// `is_known` tells the features that the pool has: a name taken over from the original may be outside today's rules.
pub(crate) fn check_features(
    features: &[(String, FeatureLimit)],
    is_known: impl Fn(&str) -> bool,
) -> Result<(), Invalid> {
    require((1..=FEATURES).contains(&features.len()), "features", || {
        format!("takes 1 to {FEATURES} features")
    })?;
    let mut seen = HashSet::new();
    for (name, limit) in features {
        let named = is_feature_name(name) || is_known(name);
        require(named, "features", || {
            format!("a feature's name takes 1 to {NAME_CHARS} characters of A-Z a-z 0-9 _ . : / -")
        })?;
        require(seen.insert(name), "features", || format!("names {name} twice"))?;
        check_range(&format!("features.{name}.rate_limit"), limit.rate_limit, RATE_LIMIT)?;
        check_range(
            &format!("features.{name}.window_seconds"),
            limit.window_seconds,
            WINDOW_SECONDS,
        )?;
    }
    Ok(())
}

pub(crate) fn check_key(key: &NewKey, now: Timestamp) -> Result<(), Invalid> {
    check_name("name", &key.name)?;
    check_value("key", key.value.expose())?;
    check_expiry(key.expires_at, now)?;
    check_budget(key.usage_limit, key.usage_window_seconds)?;
    check_window(key.usage_limit, key.usage_window_seconds)?;
    key.metadata.as_deref().map_or(Ok(()), check_metadata)?;
    let names: HashSet<_> = key.secrets.iter().map(|(name, _)| name).collect();
    require(names.len() == key.secrets.len(), "secrets", || "names a secret twice".to_owned())?;
    for (name, value) in &key.secrets {
        check_secret(name, value.expose())?;
    }
    let sizes = key.secrets.iter().map(|(_, value)| value.expose().len());
    check_sizes(key.value.expose().len(), sizes)
}

/// What is given, each on its own; the key as it would be is judged by [`check_window`] and [`check_sealed`].
pub(crate) fn check_key_patch(patch: &KeyPatch) -> Result<(), Invalid> {
    patch.name.as_deref().map_or(Ok(()), |name| check_name("name", name))?;
    patch.value.as_ref().map_or(Ok(()), |value| check_value("key", value.expose()))?;
    check_budget(patch.usage_limit.flatten(), patch.usage_window_seconds.flatten())?;
    if let Some(count) = patch.usage_count {
        require((0..=USAGE_LIMIT).contains(&count), "usage_count", || {
            format!("takes a whole number from 0 to {USAGE_LIMIT}")
        })?;
    }
    patch.metadata.as_deref().map_or(Ok(()), check_metadata)?;
    let mut set = patch.secrets.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    set.try_for_each(|(name, value)| check_secret(name, value.expose()))
}

/// A budget as it would be: windows are those of a limit.
pub(crate) fn check_window(limit: Option<i64>, window: Option<i64>) -> Result<(), Invalid> {
    require(limit.is_some() || window.is_none(), "usage_window_seconds", || {
        "is taken only with a usage_limit".to_owned()
    })
}

/// The value and the secrets that a key would have.
pub(crate) fn check_sealed(key: &SealedKey) -> Result<(), Invalid> {
    let sizes = key.secrets.iter().map(|(_, value)| opened_len(value.as_str()));
    check_sizes(opened_len(key.value.as_str()), sizes)
}

pub(crate) fn check_consumer(consumer: &NewConsumer, now: Timestamp) -> Result<(), Invalid> {
    check_name("name", &consumer.name)?;
    check_description(&consumer.description)?;
    check_expiry(consumer.expires_at, now)
}

/// How long a token may still work beside the one that takes its place.
pub(crate) fn check_overlap(seconds: i64) -> Result<(), Invalid> {
    require((0..=OVERLAP_SECONDS).contains(&seconds), "overlap_seconds", || {
        format!("takes a whole number from 0 to {OVERLAP_SECONDS}")
    })
}

/// An expiry that something is made with.
fn check_expiry(expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), Invalid> {
    let lies_ahead = expires_at.is_none_or(|expires_at| expires_at > now);
    require(lies_ahead, "expires_at", || "lies in the past".to_owned())
}

fn check_budget(limit: Option<i64>, window: Option<i64>) -> Result<(), Invalid> {
    limit.map_or(Ok(()), |limit| check_range("usage_limit", limit, USAGE_LIMIT))?;
    window
        .map_or(Ok(()), |window| check_range("usage_window_seconds", window, USAGE_WINDOW_SECONDS))
}

fn check_secret(name: &str, value: &str) -> Result<(), Invalid> {
    check_name("secrets", name)?;
    check_value(&format!("secrets.{name}"), value)
}

/// The bytes of a key's value and of each of its secrets.
fn check_sizes(value: usize, secrets: impl ExactSizeIterator<Item = usize>) -> Result<(), Invalid> {
    require(secrets.len() <= SECRETS, "secrets", || format!("takes at most {SECRETS} secrets"))?;
    let bytes = secrets.fold(value, usize::saturating_add);
    require(bytes <= KEY_BYTES, "secrets", || {
        format!("a key and its secrets take at most {} KiB in all", KEY_BYTES / 1_024)
    })
}

fn check_metadata(text: &str) -> Result<(), Invalid> {
    require(metadata::is_sound(text), "metadata", || {
        format!(
            "takes a JSON object of at most {} KiB, nested at most {} deep, no member twice",
            metadata::MOST_BYTES / 1_024,
            metadata::DEEPEST
        )
    })
}

/// A tier's or consumer's description.
pub(crate) fn check_description(description: &str) -> Result<(), Invalid> {
    require(description.len() <= DESCRIPTION_BYTES, "description", || {
        format!("takes at most {} KiB", DESCRIPTION_BYTES / 1_024)
    })
}

fn check_value(field: &str, value: &str) -> Result<(), Invalid> {
    require((1..=VALUE_BYTES).contains(&value.len()), field, || {
        format!("takes 1 to {VALUE_BYTES} bytes")
    })
}

fn check_range(field: &str, number: i64, most: i64) -> Result<(), Invalid> {
    require((1..=most).contains(&number), field, || {
        format!("takes a whole number from 1 to {most}")
    })
}

fn require(holds: bool, field: &str, problem: impl FnOnce() -> String) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid { field: field.to_owned(), problem: problem() }) }
}

#[cfg(test)]
mod tests {
    use keypool_crypto::Plain;

    use super::*;

    fn key() -> NewKey {
        NewKey {
            name: "k".to_owned(),
            value: Plain::from("v".to_owned()),
            tier: "t".to_owned(),
            expires_at: None,
            usage_limit: None,
            usage_window_seconds: None,
            metadata: None,
            secrets: Vec::new(),
        }
    }

    fn field_at_fault(change: impl FnOnce(&mut NewKey)) -> Option<String> {
        let mut key = key();
        change(&mut key);
        check_key(&key, Timestamp::from_millis(1_000)).err().map(|invalid| invalid.field)
    }

    #[test]
    fn tells_feature_names_from_other_texts() {
        for good in ["a", "firecrawl_scrape", "llm/gpt-4.1:chat", &"x".repeat(128)] {
            assert!(is_feature_name(good), "{good}");
        }
        for bad in ["", " ", "a b", "ä", "a\n", "a?", &"x".repeat(129)] {
            assert!(!is_feature_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn takes_a_plain_key() {
        assert_eq!(field_at_fault(|_| ()), None);
    }

    #[test]
    fn names_the_field_that_is_at_fault() {
        let at = |field: &str| Some(field.to_owned());
        assert_eq!(field_at_fault(|k| k.name = String::new()), at("name"));
        assert_eq!(field_at_fault(|k| k.name = "ü".repeat(128)), None);
        assert_eq!(field_at_fault(|k| k.name = "x".repeat(129)), at("name"));
        assert_eq!(field_at_fault(|k| k.name = "a\u{0}".to_owned()), at("name"));
        assert_eq!(field_at_fault(|k| k.value = Plain::from(String::new())), at("key"));
        assert_eq!(field_at_fault(|k| k.value = Plain::from("x".repeat(16_385))), at("key"));
        assert_eq!(field_at_fault(|k| k.value = Plain::from("x".repeat(16_384))), None);
        assert_eq!(
            field_at_fault(|k| k.expires_at = Some(Timestamp::from_millis(1_000))),
            at("expires_at")
        );
        assert_eq!(field_at_fault(|k| k.expires_at = Some(Timestamp::from_millis(1_001))), None);
        assert_eq!(field_at_fault(|k| k.usage_limit = Some(0)), at("usage_limit"));
        assert_eq!(field_at_fault(|k| k.usage_limit = Some(USAGE_LIMIT + 1)), at("usage_limit"));
        assert_eq!(
            field_at_fault(|k| k.usage_window_seconds = Some(5)),
            at("usage_window_seconds")
        );
        let windowed = |seconds| {
            field_at_fault(|k| {
                k.usage_limit = Some(1);
                k.usage_window_seconds = Some(seconds);
            })
        };
        assert_eq!(windowed(316_224_000), None);
        assert_eq!(windowed(316_224_001), at("usage_window_seconds"));
        assert_eq!(field_at_fault(|k| k.metadata = Some("[]".to_owned())), at("metadata"));
        assert_eq!(field_at_fault(|k| k.metadata = Some("{".to_owned())), at("metadata"));
        assert_eq!(field_at_fault(|k| k.metadata = Some(r#"{"n":1}"#.to_owned())), None);
    }

    #[test]
    fn bounds_the_overlap_of_tokens() {
        for (seconds, fits) in
            [(-1, false), (0, true), (31_622_400, true), (31_622_401, false), (i64::MAX, false)]
        {
            assert_eq!(check_overlap(seconds).is_ok(), fits, "{seconds}");
        }
    }

    #[test]
    fn bounds_descriptions() {
        assert!(check_description(&"x".repeat(16_384)).is_ok());
        assert!(check_description(&"x".repeat(16_385)).is_err());
    }

    #[test]
    fn bounds_secrets_in_number_and_size() {
        let secret = |name: &str, bytes: usize| (name.to_owned(), Plain::from("x".repeat(bytes)));
        let with = |secrets: Vec<(String, Plain)>| field_at_fault(|k| k.secrets = secrets);
        assert_eq!(with((0..64).map(|n| secret(&n.to_string(), 1)).collect()), None);
        assert_eq!(
            with((0..65).map(|n| secret(&n.to_string(), 1)).collect()),
            Some("secrets".to_owned())
        );
        assert_eq!(with(vec![secret("a", 0)]), Some("secrets.a".to_owned()));
        assert_eq!(with(vec![secret("a", 1), secret("a", 1)]), Some("secrets".to_owned()));
        assert_eq!(
            with((0..17).map(|n| secret(&n.to_string(), 16_384)).collect()),
            Some("secrets".to_owned())
        );
    }

    #[test]
    fn bounds_features_and_their_limits() {
        let limit = |rate_limit, window_seconds| FeatureLimit { rate_limit, window_seconds };
        let check = |name: &str, limit| {
            check_features(&[(name.to_owned(), limit)], |known| known == "odd one")
                .err()
                .map(|i| i.field)
        };
        assert_eq!(check("f", limit(1, 1)), None);
        assert_eq!(check("odd one", limit(1, 1)), None);
        assert_eq!(check("other odd one", limit(1, 1)), Some("features".to_owned()));
        assert_eq!(check("f", limit(0, 1)), Some("features.f.rate_limit".to_owned()));
        assert_eq!(check("f", limit(RATE_LIMIT + 1, 1)), Some("features.f.rate_limit".to_owned()));
        assert_eq!(
            check("f", limit(1, WINDOW_SECONDS + 1)),
            Some("features.f.window_seconds".to_owned())
        );
        assert!(check_features(&[], |_| false).is_err());
    }
}
