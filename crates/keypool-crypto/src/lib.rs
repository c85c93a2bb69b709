//! Seals values at rest, makes and checks bearer tokens.
//!
//! Owns what is secret about a value: its encryption, its tag in storage, and the digests that stand
//! for tokens. Knows bytes and *ring* only: no storage, no rows, no clock. Every type here that
//! holds a secret prints none of it and is wiped when dropped, except that *ring* keeps its own copy
//! of the encryption key for as long as a [`Sealer`] lives.

mod digest;
mod encryption_key;
mod fingerprint;
mod place;
mod sealed_text;
mod sealer;
mod stored;
mod token;

pub use digest::{DigestFormatError, TokenDigest, TokenTag};
pub use encryption_key::{EncryptionKey, KeyFormatError, KeyId};
pub use fingerprint::{Fingerprint, Fingerprinter};
pub use place::Place;
pub use sealed_text::{Plain, SealedText};
pub use sealer::{OpenError, Seal, SealError, Sealer};
pub use stored::opened_len;
pub use token::{RandomUnavailable, Token, is_plausible};
