//! Reads a secret out of a file, as container platforms and credential stores mount them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// More than any secret that configuration takes; a device that never ends is not read to its end.
const MAX_BYTES: usize = 16 * 1024;

/// The file's text without its one final line break (`\n` or `\r\n`), which editors and `echo` add.
///
/// # Errors
///
/// Says why the file can't be read, and nothing of what it holds.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<String>, io::Error> {
    // One allocation, so that no unwiped copy is left behind.
    let mut bytes = Zeroizing::new(vec![0; MAX_BYTES + 1]);
    let mut file = File::open(path)?;
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..])? {
            0 => break,
            count => length += count,
        }
    }
    if length > MAX_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_BYTES} bytes")));
    }
    let text = std::str::from_utf8(&bytes[..length])
        .map_err(|_| io::Error::other("it does not hold UTF-8 text"))?;
    let line = text.strip_suffix('\n').map(|it| it.strip_suffix('\r').unwrap_or(it));
    Ok(Zeroizing::new(line.unwrap_or(text).to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(content: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, content).unwrap();
        read_secret(&path).map(|text| text.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn drops_one_final_line_break() {
        assert_eq!(read(b"hush").unwrap(), "hush");
        assert_eq!(read(b"hush\n").unwrap(), "hush");
        assert_eq!(read(b"hush\r\n").unwrap(), "hush");
        assert_eq!(read(b"hush\n\n").unwrap(), "hush\n");
        assert_eq!(read(b"hush\r").unwrap(), "hush\r");
        assert_eq!(read(b"").unwrap(), "");
    }

    #[test]
    fn refuses_what_is_too_long_or_not_text() {
        assert_eq!(read(&[b'x'; MAX_BYTES]).unwrap().len(), MAX_BYTES);
        assert!(read(&[b'x'; MAX_BYTES + 1]).unwrap_err().contains("longer"));
        assert!(read(b"hush\xff").unwrap_err().contains("UTF-8"));
        assert!(read_secret(Path::new("/dev/zero")).is_err());
        assert!(read_secret(Path::new("/nowhere/secret")).is_err());
        assert!(read_secret(Path::new("/")).is_err());
    }
}
