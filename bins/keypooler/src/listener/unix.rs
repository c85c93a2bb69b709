//! A socket in the file system: in nobody's way, for its group alone, and gone when the server is.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as BlockingListener, UnixStream};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Owner and group may connect.
const MODE: u32 = 0o660;

/// Where a socket is to be, and nobody listens.
#[derive(Debug)]
pub(super) struct UnixPlace(PathBuf);

/// A socket's file, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and number of the file: at its path there may be another's by then.
    identity: (u64, u64),
}

impl UnixPlace {
    /// Looks whether a socket can be there.
    ///
    /// # Errors
    ///
    /// Somebody listens there, or something lies there that is no socket.
    pub(super) fn look(path: &Path) -> io::Result<Self> {
        refuse_taken(path)?;
        Ok(Self(path.to_owned()))
    }

    /// Begins to listen. A socket that was left behind is replaced.
    ///
    /// # Errors
    ///
    /// The place is taken by now, or nothing can be made there.
    pub(super) fn listen(self) -> io::Result<(UnixListener, SocketFile)> {
        let Self(path) = self;
        refuse_taken(&path)?;
        // It is made beside its place, so that nobody meets it before it has its mode, nor finds the place empty.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let made = tempfile::Builder::new()
            .prefix(".")
            .make_in(folder.unwrap_or(Path::new(".")), |name| BlockingListener::bind(name))?;
        fs::set_permissions(made.path(), fs::Permissions::from_mode(MODE))?;
        let metadata = fs::symlink_metadata(made.path())?;
        let (listener, name) = made.into_parts();
        name.persist(&path).map_err(|error| error.error)?;
        let file = SocketFile { path, identity: (metadata.dev(), metadata.ino()) };
        listener.set_nonblocking(true)?;
        Ok((UnixListener::from_std(listener)?, file))
    }
}

impl SocketFile {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("the socket {} could not be removed: {error}", self.path.display());
        }
    }
}

fn refuse_taken(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, "another program listens there")),
        // Nobody listens: it was left behind by a program that was killed.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
        UnixPlace::look(path)?.listen()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn it_is_for_owner_and_group_and_goes_with_its_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let (listener, file) = listen(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(names(folder.path()), ["socket"]);
        UnixStream::connect(&path).unwrap();
        drop((listener, file));
        assert!(names(folder.path()).is_empty());
    }

    #[tokio::test]
    async fn what_was_left_behind_is_replaced_and_what_is_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        drop(BlockingListener::bind(&path).unwrap());
        let (_listener, file) = listen(&path).unwrap();
        assert_eq!(listen(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();

        // Another program took the place over: it is not ours to remove.
        fs::remove_file(&path).unwrap();
        let _other = BlockingListener::bind(&path).unwrap();
        drop(file);
        assert_eq!(names(folder.path()), ["socket"]);
    }

    #[tokio::test]
    async fn no_other_file_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        fs::write(&path, "notes").unwrap();
        assert_eq!(listen(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "notes");
        assert!(listen(&folder.path().join("nowhere/socket")).is_err());
        assert_eq!(names(folder.path()), ["notes"]);
    }
}
