//! How a connection to a libSQL server is made: TCP, and TLS on rustls with ring. The libsql crate's own way to it rests
//! on an older rustls; it takes this one instead, in the terms of hyper 0.14.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_of_libsql::Uri;
use hyper_of_libsql::client::connect::{Connected, Connection};
use hyper_of_libsql::service::Service;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::DatabaseUrl;

/// Opens sockets to the one server, whatever a request's URI says: the host is checked against its certificate.
#[derive(Clone)]
pub(crate) struct Connector {
    host: Arc<str>,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    /// A connector to the server of this address, which trusts the certificates in `ca_file` where there is one, and
    /// those of webpki-roots otherwise.
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate, or the host is no name that a certificate can have.
    pub(crate) fn new(url: &DatabaseUrl, ca_file: Option<&Path>) -> io::Result<Connector> {
        let host: Arc<str> = url.host().into();
        let tls = if url.is_plaintext() {
            None
        } else {
            let name = ServerName::try_from(url.host().to_owned()).map_err(io::Error::other)?;
            Some((TlsConnector::from(Arc::new(client_config(ca_file)?)), name))
        };
        Ok(Connector { host, port: url.port(), tls })
    }

    async fn connect(self) -> io::Result<Socket> {
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        stream.set_nodelay(true)?;
        match self.tls {
            None => Ok(Socket::Plain(stream)),
            Some((tls, name)) => Ok(Socket::Tls(Box::new(tls.connect(name, stream).await?))),
        }
    }
}

fn client_config(ca_file: Option<&Path>) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let named =
                |error: &dyn fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
            let certificates = CertificateDer::pem_file_iter(path).map_err(|it| named(&it))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|it| named(&it))?;
                roots.add(certificate).map_err(|it| named(&it))?;
            }
            if roots.is_empty() {
                return Err(named(&"it holds no certificate in PEM form"));
            }
        }
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

impl Service<Uri> for Connector {
    type Response = Socket;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Socket>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// A connection to the server.
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Socket::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_flush(context),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
