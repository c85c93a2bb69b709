//! An address that the server listens on: taken early, so that a taken port is known before anything else is touched, and
//! opened late, when there is something to serve.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// A socket that has its address but does not listen yet.
#[derive(Debug)]
pub(super) struct TcpAddress {
    socket: Socket,
}

impl TcpAddress {
    /// Takes an address. `::` stands for all addresses of both families, or of version 4 alone where
    /// there is no version 6.
    ///
    /// # Errors
    ///
    /// Fails where the address is not this machine's, or its port is taken.
    pub(super) fn bind(host: IpAddr, port: u16) -> io::Result<Self> {
        let is_any_v6 = matches!(host, IpAddr::V6(host) if host.is_unspecified());
        match bind(SocketAddr::new(host, port)) {
            Err(error) if is_any_v6 && is_unknown_family(&error) => {
                tracing::info!("there is no IPv6 here: listening on all IPv4 addresses alone");
                bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
            }
            bound => bound,
        }
    }

    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// Fails where another process began to listen there in the meantime.
    pub(super) fn listen(self) -> io::Result<TcpListener> {
        self.socket.listen(BACKLOG)?;
        TcpListener::from_std(self.socket.into())
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpAddress> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for the last run's connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(TcpAddress { socket })
}

/// Whether the machine has no IPv6, rather than the address being taken.
fn is_unknown_family(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own in the standard library.
    let no_family = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.raw_os_error() == Some(no_family) || error.kind() == io::ErrorKind::AddrNotAvailable
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, TcpStream};

    use super::*;

    #[tokio::test]
    async fn all_addresses_are_those_of_both_families() {
        let listener = TcpAddress::bind(Ipv6Addr::UNSPECIFIED.into(), 0).unwrap().listen().unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        if listener.local_addr().unwrap().is_ipv6() {
            assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok());
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_known_before_listening() {
        let first = TcpAddress::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap().listen().unwrap();
        let port = first.local_addr().unwrap().port();
        let error = TcpAddress::bind(Ipv4Addr::LOCALHOST.into(), port).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_missing_family_is_not_a_taken_port() {
        assert!(!is_unknown_family(&io::Error::from(io::ErrorKind::AddrInUse)));
        assert!(is_unknown_family(&io::Error::from_raw_os_error(97)));
    }
}
