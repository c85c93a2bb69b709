//! TLS as peers meet it: what is agreed on, who gives up when, and a certificate that changes under them.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keypool_http::{ConnectionEvent, Drained, HttpSettings, Listener, Tls, TlsFiles};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::pool::Pool;
use crate::sockets::{Server, get};

const SHORT: Option<Duration> = Some(Duration::from_millis(50));

/// A server that speaks TLS, and the files that it has its certificate from.
struct Stage {
    _pool: Pool,
    server: Server,
    tls: Tls,
    files: TlsFiles,
    _folder: TempDir,
}

impl Stage {
    /// Starts it, and gives the certificate that it shows.
    async fn start(settings: HttpSettings) -> (Self, CertificateDer<'static>) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = TlsFiles { certificate: path("certificate.pem"), key: path("key.pem") };
        let certificate = write(&files);
        let tls = Tls::load(files.clone()).unwrap();
        let pool = Pool::new().await;
        let of_listener = tls.clone();
        let on = |listener| Listener::Tls(listener, of_listener);
        let server = Server::start_on(&pool, settings, on).await;
        (Self { _pool: pool, server, tls, files, _folder: folder }, certificate)
    }

    async fn connect(&self, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.server.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

/// Makes a certificate and its key, and puts them into the files.
fn write(files: &TlsFiles) -> CertificateDer<'static> {
    let pem = |label: &str, der: &[u8]| {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    };
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(&files.certificate, pem("CERTIFICATE", certificate.der())).unwrap();
    fs::write(&files.key, pem("PRIVATE KEY", key.serialized_der())).unwrap();
    certificate.der().clone()
}

/// A client that trusts this certificate alone.
fn client(
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    config
}

async fn is_served(stream: &mut TlsStream<TcpStream>) -> bool {
    stream.write_all(get("/health").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"{\"status\":\"ok\"}") {
        if stream.read_buf(&mut answer).await.unwrap() == 0 {
            return false;
        }
    }
    answer.starts_with(b"HTTP/1.1 200 ")
}

#[tokio::test]
async fn both_versions_are_served_and_only_http_1_1_is_agreed_on() {
    let (stage, certificate) = Stage::start(HttpSettings::default()).await;
    for versions in [&[&TLS12], &[&TLS13]] {
        for protocols in [&[][..], &["http/1.1"], &["h2", "http/1.1"]] {
            let client = client(&certificate, versions, protocols);
            let mut stream = stage.connect(client).await.unwrap();
            let agreed = (!protocols.is_empty()).then_some(&b"http/1.1"[..]);
            assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
            assert!(is_served(&mut stream).await && is_served(&mut stream).await);
        }
        let only_2 = client(&certificate, versions, &["h2"]);
        assert!(stage.connect(only_2).await.is_err(), "no protocol is shared");
    }
}

#[tokio::test]
async fn the_end_of_a_connection_is_told() {
    let (stage, certificate) = Stage::start(HttpSettings::default()).await;
    let mut stream = stage.connect(client(&certificate, &[&TLS13], &[])).await.unwrap();
    stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    // Without its end being told this is an error: who cuts the connection could cut the answer.
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn who_does_not_speak_tls_or_says_nothing_is_cut() {
    let settings = HttpSettings { header_timeout: SHORT, ..HttpSettings::default() };
    let (stage, _) = Stage::start(settings).await;
    let mut plain = stage.server.connect().await;
    plain.send(&get("/health")).await;
    let answer = plain.bytes_to_the_end().await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(stage.server.connect().await.bytes_to_the_end().await, b"");
    let mut half = stage.server.connect().await;
    half.stream.write_all(&[22, 3, 1]).await.unwrap();
    assert_eq!(half.bytes_to_the_end().await, b"");
    let events = stage.server.app.metrics().connections;
    assert!(events.contains(&(ConnectionEvent::NoHandshake, 3)), "{events:?}");
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_the_old_ones_go_on() {
    let (stage, first) = Stage::start(HttpSettings::default()).await;
    let mut old = stage.connect(client(&first, &[&TLS13], &[])).await.unwrap();
    assert!(is_served(&mut old).await);

    fs::write(&stage.files.key, "no key at all").unwrap();
    assert!(stage.tls.reload().is_err());
    let mut still = stage.connect(client(&first, &[&TLS13], &[])).await.unwrap();
    assert!(is_served(&mut still).await, "what can't be read changes nothing");

    let second = write(&stage.files);
    stage.tls.reload().unwrap();
    assert!(stage.connect(client(&first, &[&TLS13], &[])).await.is_err(), "it is gone");
    let mut new = stage.connect(client(&second, &[&TLS13], &[])).await.unwrap();
    assert!(is_served(&mut new).await && is_served(&mut old).await);
}

#[tokio::test]
async fn who_is_still_agreeing_on_keys_does_not_hold_up_the_end() {
    let settings = HttpSettings { header_timeout: None, ..HttpSettings::default() };
    let (stage, certificate) = Stage::start(settings).await;
    let silent = stage.server.connect().await;
    // Once this one is served, the one before is being waited for.
    let mut served = stage.connect(client(&certificate, &[&TLS13], &[])).await.unwrap();
    assert!(is_served(&mut served).await);
    assert_eq!(stage.server.stop().await, Drained::All);
    assert_eq!(silent.bytes_to_the_end().await, b"");
}
