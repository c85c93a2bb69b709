//! TLS for a server that is asked to speak HTTPS.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::TlsAcceptor;

use crate::settings::TlsIdentity;

/// Why an identity is of no use.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Certificate or key is not PEM.
    #[error("certificate or key cannot be read")]
    Pem(#[from] pem::Error),
    /// Certificate and key do not serve TLS, or not together.
    #[error("certificate and key cannot be used")]
    Tls(#[from] rustls::Error),
}

/// What makes TLS of an accepted socket.
///
/// # Errors
///
/// The identity is of no use.
pub(crate) fn acceptor(identity: &TlsIdentity) -> Result<TlsAcceptor, IdentityError> {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
