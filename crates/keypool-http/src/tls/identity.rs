//! A certificate with its key: read from files, and the one that is shown now.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use keypool_engine::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::{TlsError, TlsFiles};

const THE_CERTIFICATE: &str = "the certificate";

/// May be read by everybody.
const FOR_OTHERS: u32 = 0o004;

/// A certificate with its key.
#[derive(Debug)]
pub(super) struct Identity {
    certified_key: Arc<CertifiedKey>,
    pub(super) expires_at: Timestamp,
    /// Whether everybody on this machine may read the key's file.
    pub(super) is_key_exposed: bool,
}

impl Identity {
    /// Reads it, and looks whether key and certificate belong together.
    pub(super) fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let TlsFiles { certificate, key } = files;
        let chain = read_chain(certificate)?;
        let expires_at = chain.first().and_then(expiry);
        let expires_at = expires_at.ok_or(TlsError::NotX509)?;
        let private_key =
            PrivateKeyDer::from_pem_file(key).map_err(|error| refused(error, "the private key"))?;
        let is_key_exposed = std::fs::metadata(key)
            .is_ok_and(|metadata| metadata.permissions().mode() & FOR_OTHERS != 0);
        let certified_key = Arc::new(CertifiedKey::from_der(chain, private_key, provider)?);
        Ok(Self { certified_key, expires_at, is_key_exposed })
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(error, THE_CERTIFICATE))?;
    if certificates.is_empty() {
        return Err(TlsError::Missing { what: THE_CERTIFICATE });
    }
    Ok(certificates)
}

fn refused(error: pem::Error, what: &'static str) -> TlsError {
    if let pem::Error::Io(source) = error {
        TlsError::Unreadable { what, source }
    } else {
        // What else goes wrong is told with parts of the file.
        TlsError::Missing { what }
    }
}

/// When a certificate expires (RFC 5280 section 4.1.2.5).
fn expiry(certificate: &CertificateDer<'static>) -> Option<Timestamp> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let not_after = certificate.tbs_certificate().validity().not_after;
    let millis = i64::try_from(not_after.to_unix_duration().as_millis()).ok()?;
    Some(Timestamp::from_millis(millis))
}

/// The identity that is shown to peers now.
#[derive(Debug)]
pub(super) struct Current(RwLock<Arc<Identity>>);

impl Current {
    pub(super) fn new(identity: Identity) -> Self {
        Self(RwLock::new(Arc::new(identity)))
    }

    pub(super) fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn replace(&self, identity: Identity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.identity().certified_key))
    }
}
