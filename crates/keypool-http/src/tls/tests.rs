use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::*;

/// 2031-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_924_992_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

struct Folder(TempDir);

impl Folder {
    /// One with a certificate that expires on new year, and its key.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write(NEW_YEAR);
        folder
    }

    fn files(&self) -> TlsFiles {
        let path = |name: &str| self.0.path().join(name);
        TlsFiles { certificate: path("certificate.pem"), key: path("key.pem") }
    }

    fn write(&self, expires_at: i64) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = OffsetDateTime::from_unix_timestamp(expires_at).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let TlsFiles { certificate: certificate_path, key: key_path } = self.files();
        fs::write(certificate_path, pem("CERTIFICATE", certificate.der())).unwrap();
        fs::write(&key_path, pem("PRIVATE KEY", key.serialized_der())).unwrap();
        fs::set_permissions(key_path, fs::Permissions::from_mode(0o640)).unwrap();
    }

    fn refused(&self) -> String {
        let error = Tls::load(self.files()).expect_err("it must be refused");
        let source = std::error::Error::source(&error);
        format!("{error}: {}", source.map(ToString::to_string).unwrap_or_default())
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

#[test]
fn a_certificate_and_its_key_are_read_and_read_again() {
    let folder = Folder::new();
    let tls = Tls::load(folder.files()).unwrap();
    assert_eq!(tls.expires_at().as_millis(), NEW_YEAR * 1000);
    folder.write(NEW_YEAR + 1);
    tls.reload().unwrap();
    assert_eq!(tls.expires_at().as_millis(), (NEW_YEAR + 1) * 1000);
}

#[test]
fn what_can_not_be_read_again_leaves_what_was_there() {
    let folder = Folder::new();
    let tls = Tls::load(folder.files()).unwrap();
    let other = Folder::new();
    fs::copy(other.files().key, folder.files().key).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Unusable(_))), "a key of another certificate");
    fs::remove_file(folder.files().certificate).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Unreadable { .. })));
    assert_eq!(tls.expires_at().as_millis(), NEW_YEAR * 1000);
}

#[test]
fn files_are_refused_without_what_they_hold() {
    let folder = Folder::new();
    let TlsFiles { certificate, key } = folder.files();
    let exchange = || {
        fs::rename(&key, folder.0.path().join("other")).unwrap();
        fs::rename(&certificate, &key).unwrap();
        fs::rename(folder.0.path().join("other"), &certificate).unwrap();
    };
    exchange();
    assert!(folder.refused().contains("the certificate is not there"));
    exchange();
    for (path, what) in [(&key, "the private key"), (&certificate, "the certificate")] {
        for content in ["", "sesame", "-----BEGIN PRIVATE KEY-----\nsesame", "\u{feff}"] {
            fs::write(path, content).unwrap();
            let refused = folder.refused();
            assert!(refused.contains(&format!("{what} is not there in PEM form")), "{refused}");
            assert!(!refused.contains("sesame"), "{refused}");
        }
    }
    fs::write(&certificate, pem("CERTIFICATE", b"sesame")).unwrap();
    assert!(folder.refused().contains("the certificate is not one of X.509"));
    fs::remove_file(&certificate).unwrap();
    assert!(folder.refused().contains("can't be read: No such file"));
}

#[test]
fn an_end_that_is_near_is_warned_of() {
    let folder = Folder::new();
    let tls = Tls::load(folder.files()).unwrap();
    let cases = [
        (15, None),
        (14, Some("WARN")),
        (1, Some("WARN")),
        (0, Some("ERROR")),
        (-100, Some("ERROR")),
    ];
    for (days, level) in cases {
        let now = Timestamp::from_millis(NEW_YEAR * 1000 - days * DAY_MS);
        let said = said_by(|| tls.warn(now));
        assert_eq!(said.split_whitespace().next(), level, "{said}");
        assert_eq!(said.contains("certificate.pem"), level.is_some(), "{said}");
    }
}

#[test]
fn a_key_for_everybody_is_warned_of() {
    let folder = Folder::new();
    let now = Timestamp::from_millis(0);
    fs::set_permissions(folder.files().key, fs::Permissions::from_mode(0o644)).unwrap();
    let said = said_by(|| Tls::load(folder.files()).unwrap().warn(now));
    assert!(said.contains("everybody on this machine may read"), "{said}");
}

/// What is logged meanwhile.
fn said_by(doing: impl FnOnce()) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = std::sync::Mutex::new(file.reopen().unwrap());
    let subscriber =
        tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(writer).finish();
    tracing::subscriber::with_default(subscriber, doing);
    fs::read_to_string(file.path()).unwrap()
}
