//! Bytes that may hold secrets: a buffer that wipes what it lets go of, when it grows and when it is dropped.

use std::fmt;
use std::io;

use bytes::Bytes;
use zeroize::Zeroizing;

/// A growing run of bytes, wiped when dropped; a copy that it grew out of is wiped too.
#[derive(Default)]
pub(crate) struct SecretBuffer(Zeroizing<Vec<u8>>);

impl SecretBuffer {
    /// An empty one with room for `capacity` bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    /// Adds bytes at the end.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        let needed = self.0.len().saturating_add(bytes.len());
        if needed > self.0.capacity() {
            let mut larger =
                Zeroizing::new(Vec::with_capacity(needed.max(self.0.capacity().saturating_mul(2))));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    /// Takes away bytes from the start. The others move there; all are wiped in the end.
    pub(crate) fn discard(&mut self, length: usize) {
        let length = length.min(self.0.len());
        self.0.drain(..length);
    }

    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, wiped when dropped.
    pub(crate) fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// The bytes, to be sent; wiped when the last holder drops them.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.0)
    }
}

impl io::Write for SecretBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for SecretBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBuffer({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_byte_as_it_grows() {
        let mut buffer = SecretBuffer::with_capacity(1);
        for byte in 0..=255_u8 {
            buffer.extend(&[byte, byte]);
        }
        let expected: Vec<u8> = (0..=255).flat_map(|byte| [byte, byte]).collect();
        assert_eq!(buffer.as_slice(), expected);
        assert_eq!(buffer.into_bytes(), expected);
    }

    #[test]
    fn does_not_print_its_content() {
        let mut buffer = SecretBuffer::default();
        buffer.extend(b"swordfish");
        assert_eq!(format!("{buffer:?}"), "SecretBuffer(9 bytes)");
    }
}
