//! How values are sealed at rest: the encryption key, the one before it, and whether plain text is refused.

use keypool_engine::{EncryptionKey, Sealer};

use super::error::ConfigError;
use super::layers::Layers;
use super::{read_secret, refuse_secret, values};

/// What seals and opens values.
#[derive(Debug)]
pub(crate) struct EncryptionSettings {
    /// None: values are stored as plain text.
    pub(crate) key: Option<EncryptionKey>,
    /// Opens what was sealed before the key was replaced; only beside one.
    pub(crate) previous: Option<EncryptionKey>,
    pub(crate) plain_text: PlainText,
}

/// Whether plain text at rest is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainText {
    Accepted,
    /// Only beside a key.
    Refused,
}

impl EncryptionSettings {
    /// Reads them.
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let key = read_key(layers, "ENCRYPTION_KEY", "ENCRYPTION_KEY_FILE")?;
        let (name, file_name) = ("ENCRYPTION_KEY_PREVIOUS", "ENCRYPTION_KEY_PREVIOUS_FILE");
        let previous = read_key(layers, name, file_name)?;
        let is_required = layers.parse("ENCRYPTION_REQUIRED", values::truth)?;
        let plain_text = if is_required { PlainText::Refused } else { PlainText::Accepted };
        match (&key, &previous) {
            (None, Some((_, blame))) => return Err(needs_key(layers, blame)),
            (None, None) if is_required => return Err(needs_key(layers, "ENCRYPTION_REQUIRED")),
            (Some((key, _)), Some((previous, blame))) if key.key_id() == previous.key_id() => {
                let blame = layers.blame(blame);
                let error = format!("{blame} takes another key than ENCRYPTION_KEY: unset it");
                return Err(ConfigError::new(error));
            }
            _ => {}
        }
        let [key, previous] = [key, previous].map(|read| read.map(|(key, _)| key));
        Ok(Self { key, previous, plain_text })
    }

    /// What seals and opens by them.
    pub(crate) fn sealer(self) -> Sealer {
        let sealer = self.key.map_or_else(Sealer::plain, Sealer::with_key);
        let sealer = match self.previous {
            Some(previous) => sealer.opening_previous(previous),
            None => sealer,
        };
        match self.plain_text {
            PlainText::Accepted => sealer,
            PlainText::Refused => sealer.refusing_plain_text(),
        }
    }
}

/// A key, and the setting that it came by.
fn read_key<'a>(
    layers: &Layers,
    name: &'a str,
    file_name: &'a str,
) -> Result<Option<(EncryptionKey, &'a str)>, ConfigError> {
    let Some((key, blame)) = read_secret(layers, name, file_name)? else {
        return Ok(None);
    };
    let key = EncryptionKey::parse_hex(&key);
    key.map(|key| Some((key, blame))).map_err(|_| refuse_secret(layers, blame, name))
}

fn needs_key(layers: &Layers, name: &str) -> ConfigError {
    ConfigError::new(format!("{} is set without an ENCRYPTION_KEY", layers.blame(name)))
}
