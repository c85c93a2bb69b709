//! Sockets that a supervisor listens on and hands over at the start: systemd's socket activation.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

/// A socket that was handed over. It listens already.
#[derive(Debug)]
pub(crate) enum HandedOver {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Takes what was handed over (`LISTEN_FDS`, sd_listen_fds(3)) and forgets that it was. To be called while the process has
/// one thread, as it changes the environment.
///
/// # Errors
///
/// Something was handed over that is neither a TCP nor a Unix socket that listens.
pub(crate) fn take() -> io::Result<Vec<HandedOver>> {
    let mut descriptors = ListenFd::from_env();
    (0..descriptors.len()).map(|index| take_one(&mut descriptors, index)).collect()
}

fn take_one(descriptors: &mut ListenFd, index: usize) -> io::Result<HandedOver> {
    // Where one does not fit, it stays for the other to be tried.
    if let Ok(Some(tcp)) = descriptors.take_tcp_listener(index) {
        tcp.set_nonblocking(true)?;
        return Ok(HandedOver::Tcp(tcp));
    }
    let unix = descriptors.take_unix_listener(index)?;
    let unix = unix.ok_or_else(|| io::Error::other("a descriptor is there twice"))?;
    unix.set_nonblocking(true)?;
    Ok(HandedOver::Unix(unix))
}

impl HandedOver {
    /// Its address, if it has one.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}
