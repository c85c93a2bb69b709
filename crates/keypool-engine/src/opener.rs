//! What looks into stored values: opens them, and makes fingerprints by which like values are found.

use keypool_crypto::{Fingerprint, Fingerprinter, OpenError, Sealer};

use crate::roster::SealedKey;

/// Whatever it takes to look into a stored value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opener<'a> {
    pub(crate) sealer: &'a Sealer,
    pub(crate) fingerprinter: &'a Fingerprinter,
}

impl Opener<'_> {
    /// The fingerprint of a key's value, once the value and every secret were opened.
    ///
    /// # Errors
    /// Those of [`Sealer::open`], for the first that does not open.
    pub(crate) fn examine(self, key: &SealedKey) -> Result<Fingerprint, OpenError> {
        let (value, _) = key.open(self.sealer)?;
        Ok(self.fingerprinter.of(&value))
    }
}
