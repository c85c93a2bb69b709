//! TLS from files, which SIGHUP has read again.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use time::{Duration, OffsetDateTime};

use crate::sockets::ask;
use crate::support::{Server, run};

pub(crate) const FILES: [(&str, &str); 2] = [("TLS_CERT_FILE", "c.pem"), ("TLS_KEY_FILE", "k.pem")];

/// Puts a new certificate and its key into the folder.
pub(crate) fn write(folder: &Path, days: i64) -> CertificateDer<'static> {
    let pem = |label: &str, der: &[u8]| {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    };
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = now() + Duration::days(days);
    let certificate = params.self_signed(&key).unwrap();
    fs::write(folder.join("c.pem"), pem("CERTIFICATE", certificate.der())).unwrap();
    fs::write(folder.join("k.pem"), pem("PRIVATE KEY", key.serialized_der())).unwrap();
    fs::set_permissions(folder.join("k.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    certificate.der().clone()
}

#[expect(clippy::disallowed_methods, reason = "a certificate's end is told by the wall clock")]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// The answer to who trusts this certificate alone.
fn ask_trusting(certificate: &CertificateDer<'static>, address: SocketAddr) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    ask(StreamOwned::new(connection, TcpStream::connect(address).unwrap()), "/health")
}

#[test]
fn a_new_certificate_is_taken_at_sighup_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = write(folder.path(), 90);
    let mut server = Server::start(folder.path(), &FILES);
    let address = server.address;
    assert!(ask_trusting(&first, address).starts_with("HTTP/1.1 200 "));
    assert!(!server.log().contains("expire"), "{}", server.log());

    let key = fs::read(folder.path().join("k.pem")).unwrap();
    fs::write(folder.path().join("k.pem"), "sesame").unwrap();
    server.signal(Signal::HUP);
    let line = server.wait_for_line(|line| line.contains("SIGHUP"));
    assert!(line.contains("stays as it was") && line.contains("\"level\":\"error\""), "{line}");
    assert!(ask_trusting(&first, address).starts_with("HTTP/1.1 200 "));
    fs::write(folder.path().join("k.pem"), key).unwrap();

    let second = write(folder.path(), 10);
    server.signal(Signal::HUP);
    server.wait_for_line(|line| line.contains("read again"));
    assert!(ask_trusting(&second, address).starts_with("HTTP/1.1 200 "));
    server.wait_for_line(|line| line.contains("expires soon"));
    server.terminate();
    assert_eq!(server.wait(), Some(0), "{}", server.log());
    assert!(!server.log().contains("sesame"));
}

#[test]
fn a_certificate_that_can_not_be_used_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 90);
    fs::write(folder.path().join("k.pem"), "sesame").unwrap();
    let environment = [&FILES[..], &[("ADMIN_TOKEN", "admin-token-for-tls")]].concat();
    let output = run(folder.path(), &[], &environment);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert!(line.contains("TLS_KEY_FILE") && !line.contains("sesame"), "{line}");
    assert!(!folder.path().join("data").exists());
}
