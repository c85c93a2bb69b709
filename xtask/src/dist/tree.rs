//! A tree of files to be packed, and its archive: the same bytes for the same tree, whoever packs it, wherever.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

/// Files and folders by their paths, without a slash at either end.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    Folder,
    File { bytes: Vec<u8>, mode: u32 },
}

impl Tree {
    /// A folder, with those that it lies in.
    pub(crate) fn folder(&mut self, path: &str) {
        let parents = path.match_indices('/').map(|(end, _)| &path.as_bytes()[..end]);
        for parent in parents.chain([path.as_bytes()]) {
            let parent = String::from_utf8_lossy(parent).into_owned();
            self.entries.entry(parent).or_insert(Entry::Folder);
        }
    }

    /// A file that everybody may read.
    pub(crate) fn file(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.insert(path, bytes.into(), 0o644);
    }

    /// A file that everybody may run.
    pub(crate) fn program(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.insert(path, bytes.into(), 0o755);
    }

    /// All files of a folder of this machine, with those in its folders.
    ///
    /// # Errors
    /// If one can't be read.
    pub(crate) fn copy(&mut self, path: &str, from: &Path) -> anyhow::Result<()> {
        let entries = fs::read_dir(from).with_context(|| from.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("a file's name is UTF-8")?;
            let to = format!("{path}/{name}");
            if entry.file_type()?.is_dir() {
                self.copy(&to, &entry.path())?;
            } else {
                self.file(&to, fs::read(entry.path())?);
            }
        }
        Ok(())
    }

    /// The bytes of all files together.
    pub(crate) fn size(&self) -> usize {
        self.files().map(|(_, bytes)| bytes.len()).sum()
    }

    /// All files by their paths.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().filter_map(|(path, entry)| match entry {
            Entry::Folder => None,
            Entry::File { bytes, .. } => Some((path.as_str(), bytes.as_slice())),
        })
    }

    /// The archive: root's files, in the order of their paths behind `prefix`, of one date (seconds since 1970).
    ///
    /// # Errors
    /// If a path is too long.
    pub(crate) fn tar(&self, prefix: &str, epoch: u64) -> anyhow::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut append = |path: &str, kind, mode, bytes: &[u8]| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_username("root")?;
            header.set_groupname("root")?;
            header.set_mtime(epoch);
            header.set_size(u64::try_from(bytes.len()).map_err(std::io::Error::other)?);
            archive.append_data(&mut header, path, bytes)
        };
        append(prefix, EntryType::Directory, 0o755, &[])?;
        for (path, entry) in &self.entries {
            match entry {
                Entry::Folder => {
                    append(&format!("{prefix}{path}/"), EntryType::Directory, 0o755, &[])
                }
                Entry::File { bytes, mode } => {
                    append(&format!("{prefix}{path}"), EntryType::Regular, *mode, bytes)
                }
            }
            .with_context(|| path.clone())?;
        }
        Ok(archive.into_inner()?)
    }

    fn insert(&mut self, path: &str, bytes: Vec<u8>, mode: u32) {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder);
        }
        self.entries.insert(path.to_owned(), Entry::File { bytes, mode });
    }
}

/// Compresses, without a date or a name.
///
/// # Errors
/// If there is not enough memory.
pub(crate) fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn example() -> Tree {
        let mut tree = Tree::default();
        tree.file("doc/z", "last");
        tree.program("bin/run", "#!/bin/sh\n");
        tree.folder("data/empty");
        tree.file("doc/a", "first");
        tree
    }

    #[test]
    fn the_archive_holds_the_tree_in_order_as_files_of_root_of_one_date() {
        let archive = example().tar("top/", 1_700_000_000).unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let mut entries = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.username(), Ok(Some("root")));
            assert_eq!(header.mtime().unwrap(), 1_700_000_000);
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            entries.push((path, header.mode().unwrap(), text));
        }
        let expected = [
            ("top/", 0o755, ""),
            ("top/bin/", 0o755, ""),
            ("top/bin/run", 0o755, "#!/bin/sh\n"),
            ("top/data/", 0o755, ""),
            ("top/data/empty/", 0o755, ""),
            ("top/doc/", 0o755, ""),
            ("top/doc/a", 0o644, "first"),
            ("top/doc/z", 0o644, "last"),
        ];
        let expected = expected.map(|(path, mode, text)| (path.to_owned(), mode, text.to_owned()));
        assert_eq!(entries, expected);
    }

    #[test]
    fn the_same_tree_gives_the_same_bytes_in_whatever_order_it_grew() {
        let mut other = Tree::default();
        other.file("doc/a", "first");
        other.folder("data/empty");
        other.file("doc/z", "last");
        other.program("bin/run", "#!/bin/sh\n");
        let [one, other] =
            [example(), other].map(|tree| gzip(&tree.tar("./", 5).unwrap()).unwrap());
        assert_eq!(one, other);
        // No date (bytes 4 to 7) and no system (9): RFC 1952 section 2.3.1.
        assert_eq!((&one[4..8], one[9]), (&[0; 4][..], 255));
    }

    #[test]
    fn copies_a_folder_with_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("more")).unwrap();
        fs::write(folder.path().join("one.md"), "1").unwrap();
        fs::write(folder.path().join("more/two.md"), "2").unwrap();
        let mut tree = Tree::default();
        tree.copy("docs", folder.path()).unwrap();
        let files: Vec<_> = tree.files().collect();
        assert_eq!(files, [("docs/more/two.md", &b"2"[..]), ("docs/one.md", b"1")]);
        assert_eq!(tree.size(), 2);
    }

    #[test]
    fn what_was_compressed_comes_out() {
        let mut text = String::new();
        GzDecoder::new(gzip(b"hello").unwrap().as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }
}
