//! TLS: a certificate and its key out of two files, which may be read again while connections are served.
//!
//! TLS 1.2 and 1.3 by rustls on ring; HTTP/1.1 is the only protocol that is agreed on (RFC 7301).

mod identity;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keypool_engine::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::identity::{Current, Identity};

/// Before a certificate expires it is warned of for so long.
const WARNING: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Where the certificate and its key lie, both in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and after it those that vouch for it, up to but without the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What a listener needs to speak TLS. Clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    files: TlsFiles,
}

/// Why a certificate and its key can't be used. Says neither where they lie nor what the files hold.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{what} can't be read")]
    Unreadable {
        /// `the certificate` or `the private key`.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{what} is not there in PEM form")]
    Missing {
        /// `the certificate` or `the private key`.
        what: &'static str,
    },
    /// The certificate is none, or says nothing of its end.
    #[error("the certificate is not one of X.509")]
    NotX509,
    /// They can't be used together.
    #[error("the certificate and the private key do not go together")]
    Unusable(#[from] rustls::Error),
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// One can't be read or used, or they do not belong together.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = Arc::new(Current::new(Identity::read(&files, &provider)?));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Current>::clone(&current));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), provider, current, files })
    }

    /// Reads both files again. Connections from now on get what is there; those that are open keep what they have.
    ///
    /// # Errors
    ///
    /// As of [`Tls::load`]; what was read before stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.replace(Identity::read(&self.files, &self.provider)?);
        Ok(())
    }

    /// When the certificate expires.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.current.identity().expires_at
    }

    /// Warns, in the log, of a certificate that has expired or will within 14 days, and of a key that everybody on this
    /// machine may read.
    pub fn warn(&self, now: Timestamp) {
        let identity = self.current.identity();
        let left_ms = identity.expires_at.as_millis().saturating_sub(now.as_millis());
        let warning_ms = i64::try_from(WARNING.as_millis()).unwrap_or(i64::MAX);
        let hours_left = left_ms / (60 * 60 * 1000);
        let certificate = self.files.certificate.display();
        if left_ms <= 0 {
            tracing::error!(target: "keypool_http", %certificate, "the certificate has expired");
        } else if left_ms <= warning_ms {
            tracing::warn!(target: "keypool_http", %certificate, hours_left, "the certificate expires soon");
        }
        if identity.is_key_exposed {
            let key = self.files.key.display();
            tracing::warn!(target: "keypool_http", %key, "everybody on this machine may read the private key");
        }
    }

    /// Agrees with a peer on keys.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

#[cfg(test)]
mod tests;
