//! Where the server listens: an address, a socket in the file system, and what a supervisor hands over.

mod handed_over;
mod tcp;
mod unix;

use std::io;
use std::net::SocketAddr;

use anyhow::Context;
use keypool_http::{Listener, Tls};
use tokio::net::{TcpListener, UnixListener};

use crate::config::{Mode, Port, ServerSettings};
use handed_over::HandedOver;
use tcp::TcpAddress;
use unix::{SocketFile, UnixPlace};

pub(crate) use handed_over::{HandedOver as Activated, take as take_handed_over};

/// What was taken to listen on, before anything is served.
#[derive(Debug)]
pub(crate) struct Places {
    tcp: Option<TcpAddress>,
    unix: Option<UnixPlace>,
    handed_over: Vec<HandedOver>,
}

/// What listens.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) listeners: Vec<Listener>,
    /// The address that was asked for, or one that was handed over.
    pub(crate) address: Option<SocketAddr>,
    /// Goes when serving ends.
    pub(crate) socket_file: Option<SocketFile>,
}

impl Places {
    /// Takes all that is asked for. The address is taken if somebody asks for it, or for nothing else.
    ///
    /// # Errors
    ///
    /// One of them is taken, or can't be had.
    pub(crate) fn take(
        server: &ServerSettings,
        handed_over: Vec<HandedOver>,
        mode: Mode,
    ) -> anyhow::Result<Self> {
        let is_tcp_wanted = match (handed_over.is_empty(), &server.socket) {
            _ if mode == Mode::Dev => true,
            (false, _) => server.is_address_asked_now,
            (true, Some(_)) => server.is_address_asked,
            (true, None) => true,
        };
        let tcp = is_tcp_wanted.then(|| bind(server, mode)).transpose()?;
        let unix = server.socket.as_deref().map(|path| {
            let place = UnixPlace::look(path);
            place.with_context(|| format!("can't listen on {} (SERVER_SOCKET)", path.display()))
        });
        Ok(Self { tcp, unix: unix.transpose()?, handed_over })
    }

    /// Begins to listen, and says so. Peers of addresses speak TLS if there is a certificate.
    ///
    /// # Errors
    ///
    /// One was taken in the meantime.
    pub(crate) fn listen(self, tls: Option<&Tls>) -> anyhow::Result<Listening> {
        let of_tcp = |listener: TcpListener| match tls {
            Some(tls) => Listener::Tls(listener, tls.clone()),
            None => Listener::Tcp(listener),
        };
        let with = if tls.is_some() { " with TLS" } else { "" };
        let mut listening = Listening { listeners: Vec::new(), address: None, socket_file: None };
        if let Some(tcp) = self.tcp {
            let listener = tcp.listen().context("the port was taken in the meantime")?;
            let address = listener.local_addr().context("the socket has no address")?;
            tracing::info!("listening on {address}{with}");
            listening.address = Some(address);
            listening.listeners.push(of_tcp(listener));
        }
        if let Some(unix) = self.unix {
            let (listener, file) = unix.listen().context("SERVER_SOCKET can't be listened on")?;
            tracing::info!("listening on {}", file.path().display());
            listening.socket_file = Some(file);
            listening.listeners.push(Listener::Unix(listener));
        }
        for socket in self.handed_over {
            match socket.address() {
                Some(address) => tracing::info!("listening on {address}{with}, as handed over"),
                None => tracing::info!("listening on a socket, as handed over"),
            }
            listening.address = listening.address.or(socket.address());
            let listener = match socket {
                HandedOver::Tcp(listener) => TcpListener::from_std(listener).map(of_tcp),
                HandedOver::Unix(listener) => UnixListener::from_std(listener).map(Listener::Unix),
            };
            listening.listeners.push(listener.context("what was handed over can't be used")?);
        }
        Ok(listening)
    }
}

/// Takes the port; in development another one where it is taken and nobody asked for it.
fn bind(server: &ServerSettings, mode: Mode) -> anyhow::Result<TcpAddress> {
    let (Port::Asked(port) | Port::Default(port)) = server.port;
    let bound = match TcpAddress::bind(server.host, port) {
        Err(error) if mode == Mode::Dev && is_taken(server, &error) => {
            TcpAddress::bind(server.host, 0)
        }
        bound => bound,
    };
    bound.with_context(|| {
        let address = SocketAddr::new(server.host, port);
        format!("can't listen on {address} (SERVER_HOST, SERVER_PORT)")
    })
}

fn is_taken(server: &ServerSettings, error: &io::Error) -> bool {
    matches!(server.port, Port::Default(_)) && error.kind() == io::ErrorKind::AddrInUse
}
