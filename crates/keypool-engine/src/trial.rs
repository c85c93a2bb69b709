//! Every stored value is tried before anything is changed: whether the encryption keys at hand are those that it needs.

use std::collections::BTreeSet;

use keypool_crypto::{OpenError as SealError, Place, Seal, Sealer};
use keypool_store::StoredValue;

use crate::OpenError;

/// Keys that are named where values of many are refused.
const MOST_NAMED: usize = 10;

/// Tries every value.
///
/// A single value that does not open under a key that fits is not an error here: its key is loaded as damaged.
///
/// # Errors
/// [`OpenError::KeyMissing`] if values are sealed and the sealer has no key, [`OpenError::OtherKey`] if they are sealed
/// under one that it does not have, [`OpenError::PlainValues`] if values are plain text and that is refused.
pub(crate) fn try_values(values: &[StoredValue], sealer: &Sealer) -> Result<(), OpenError> {
    let mut trial = Trial::default();
    for value in values {
        trial.take(value, sealer)?;
    }
    trial.judge()
}

/// The place that a value is sealed for.
pub(crate) fn place_of(value: &StoredValue) -> Place<'_> {
    match &value.secret {
        None => Place::KeyValue { key: &value.key },
        Some(name) => Place::Secret { key: &value.key, name },
    }
}

#[derive(Default)]
struct Trial<'a> {
    missing: Vec<&'a StoredValue>,
    plain: Vec<&'a StoredValue>,
    /// How many of ours name a key at hand, and of the original's open under one.
    fitting: usize,
    fitting_originals: usize,
    /// Those that do not open and do not say whose they are.
    strangers: Vec<&'a StoredValue>,
    /// Keys that hold one of the original's among them.
    strange_originals: BTreeSet<&'a str>,
}

impl<'a> Trial<'a> {
    fn take(&mut self, value: &'a StoredValue, sealer: &Sealer) -> Result<(), OpenError> {
        let seal = sealer.seal_of(&value.text);
        match (sealer.open(place_of(value), &value.text), seal) {
            (Ok(_), Ok(Seal::Missing)) => {}
            (Ok(_), Ok(Seal::Original)) => self.fitting_originals += 1,
            (_, Ok(Seal::Current | Seal::Previous)) => self.fitting += 1,
            (Err(SealError::KeyMissing), _) => self.missing.push(value),
            (Err(SealError::OtherKey { .. }), _) => return Err(other_key(value)),
            (Err(SealError::PlainText), _) => self.plain.push(value),
            (_, seal) => {
                self.strangers.push(value);
                if seal == Ok(Seal::Original) {
                    self.strange_originals.insert(&value.key);
                }
            }
        }
        Ok(())
    }

    fn judge(self) -> Result<(), OpenError> {
        if let Some(first) = self.missing.first() {
            let (name, id) = (first.name.clone(), first.key.clone());
            return Err(OpenError::KeyMissing { count: self.missing.len(), name, id });
        }
        if !self.plain.is_empty() {
            return Err(plain_values(&self.plain));
        }
        // One may be damaged. Where several of the original's are strangers and none opens, it is the key that is wrong,
        // whatever others fit.
        let is_alone = self.fitting + self.fitting_originals == 0;
        let are_of_another = self.fitting_originals == 0 && self.strange_originals.len() > 1;
        match self.strangers.first() {
            Some(stranger) if is_alone || are_of_another => Err(other_key(stranger)),
            Some(_) | None => Ok(()),
        }
    }
}

fn other_key(value: &StoredValue) -> OpenError {
    OpenError::OtherKey { name: value.name.clone(), id: value.key.clone() }
}

fn plain_values(values: &[&StoredValue]) -> OpenError {
    let keys: BTreeSet<(&str, &str)> =
        values.iter().map(|value| (value.name.as_str(), value.key.as_str())).collect();
    let mut named: Vec<String> =
        keys.iter().take(MOST_NAMED).map(|(name, id)| format!("{name:?} ({id})")).collect();
    if let Some(others) = keys.len().checked_sub(MOST_NAMED).filter(|others| *others > 0) {
        named.push(format!("and {others} others"));
    }
    OpenError::PlainValues { count: values.len(), keys: named.join(", ") }
}

#[cfg(test)]
mod tests {
    use keypool_crypto::EncryptionKey;

    use super::*;

    fn key(digit: char) -> EncryptionKey {
        EncryptionKey::parse_hex(&digit.to_string().repeat(64)).unwrap()
    }

    fn value(key: &str, text: &str) -> StoredValue {
        let (key, name) = (key.to_owned(), format!("name of {key}"));
        StoredValue { key, name, secret: None, text: text.to_owned(), orphan: None }
    }

    /// A value that the original could have sealed under nobody's key.
    fn stranger(key: &str) -> StoredValue {
        value(key, &format!("enc:gcm:{}", "5a".repeat(40)))
    }

    fn sealed(key: &str, sealer: &Sealer) -> StoredValue {
        value(key, sealer.seal(Place::KeyValue { key }, "hush").unwrap().as_str())
    }

    #[test]
    fn a_single_damaged_value_is_left_to_its_key_and_several_of_the_original_s_are_another_key_s() {
        let sealer = Sealer::with_key(key('a'));
        let fits = sealed("k1", &sealer);
        try_values(&[fits.clone(), stranger("k2")], &sealer).unwrap();
        let refused = try_values(&[stranger("k2")], &sealer).unwrap_err();
        assert!(matches!(refused, OpenError::OtherKey { id, .. } if id == "k2"));
        let refused = try_values(&[fits, stranger("k2"), stranger("k3")], &sealer).unwrap_err();
        assert!(matches!(refused, OpenError::OtherKey { id, .. } if id == "k2"));
    }

    #[test]
    fn plain_values_are_named_as_far_as_there_is_room() {
        let sealer = Sealer::with_key(key('a')).refusing_plain_text();
        let values: Vec<_> = (1..=12).map(|n| value(&format!("k{n:02}"), "plain-hush")).collect();
        let refused = try_values(&values, &sealer).unwrap_err().to_string();
        assert!(refused.contains("12 of the stored values are plain text"), "{refused}");
        assert!(refused.contains("\"name of k10\" (k10), and 2 others"), "{refused}");
        assert!(!refused.contains("k11") && !refused.contains("hush"), "{refused}");
        try_values(&values, &Sealer::with_key(key('a'))).unwrap();
    }

    #[test]
    fn a_value_of_the_key_before_needs_it() {
        let old = sealed("k1", &Sealer::with_key(key('b')));
        let refused = try_values(std::slice::from_ref(&old), &Sealer::with_key(key('a')));
        assert!(matches!(refused, Err(OpenError::OtherKey { .. })));
        let both = Sealer::with_key(key('a')).opening_previous(key('b'));
        try_values(std::slice::from_ref(&old), &both).unwrap();
        let refused = try_values(&[old], &Sealer::plain());
        assert!(matches!(refused, Err(OpenError::KeyMissing { count: 1, .. })));
    }
}
