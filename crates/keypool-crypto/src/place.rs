//! Names the place that a sealed value belongs to, so that a copy of it elsewhere does not open.

/// The place of a value in storage: what it is and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// The value of a key.
    KeyValue {
        /// The key's UUID.
        key: &'a str,
    },
    /// A secret bound to a key.
    Secret {
        /// The key's UUID.
        key: &'a str,
        /// The secret's name.
        name: &'a str,
    },
}

impl Place<'_> {
    /// The associated data that a value is sealed with.
    ///
    /// Parts are separated by NUL, which no UUID holds, so that no two places share their data:
    ///
    /// - key value: `keys.key_value` NUL key
    /// - secret: `key_secrets.value` NUL key NUL name
    pub(crate) fn associated_data(&self) -> Vec<u8> {
        match self {
            Place::KeyValue { key } => ["keys.key_value", key].join("\0").into_bytes(),
            Place::Secret { key, name } => ["key_secrets.value", key, name].join("\0").into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_column_key_and_secret() {
        let value = Place::KeyValue { key: "k" };
        let secret = Place::Secret { key: "k", name: "n" };
        assert_eq!(value.associated_data(), b"keys.key_value\0k");
        assert_eq!(secret.associated_data(), b"key_secrets.value\0k\0n");
    }
}
