//! Start, stop, restart, tokens, TLS and counters.

use std::sync::Arc;

use keypool_test_server::{Fault, ServerSettings, StartError, TestServer, TlsIdentity, When};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::{connect_as, request, start, start_with, start_with_table};

#[tokio::test]
async fn a_restart_keeps_port_and_data_but_no_stream() {
    let (mut started, connection) = start_with_table().await;
    let url = started.server.url();
    let begun = started.on(None, "BEGIN").await.baton();
    let open = started.on(Some(&begun), "INSERT INTO t VALUES (1, 1)").await.baton();
    connection.execute("SELECT 1", ()).await.unwrap();
    started.server.restart().await.unwrap();
    assert_eq!(started.server.url(), url);
    assert_eq!(started.on(Some(&open), "COMMIT").await.status, 400);
    assert_eq!(started.number("SELECT count(*) FROM t").await, 0);
    connection.execute("INSERT INTO t VALUES (2, 2)", ()).await.unwrap();
    assert_eq!(started.number("SELECT count(*) FROM t").await, 1);
}

#[tokio::test]
async fn a_stopped_server_is_not_there() {
    let (mut started, connection) = start_with_table().await;
    started.server.faults().inject(Fault::Hang, When::always().matching("INSERT"));
    let insert = async { connection.execute("INSERT INTO t VALUES (1, 1)", ()).await };
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        started.server.stop().await;
    };
    let (inserted, ()) = tokio::join!(insert, stop);
    assert!(inserted.is_err());
    assert!(connection.execute("SELECT 1", ()).await.is_err());
    assert_eq!(started.server.counts().open_streams(), 0);
}

#[tokio::test]
async fn a_dropped_server_frees_its_port() {
    let started = start().await;
    let address = started.server.url().replace("http://", "");
    drop(started);
    crate::client::eventually("the end", async || TcpStream::connect(&address).await.is_err())
        .await;
}

#[tokio::test]
async fn only_the_bearer_of_the_token_may_ask() {
    let started = start_with(|settings| settings.token = Some("secret".to_owned())).await;
    connect_as(&started.server, "secret").await.execute("CREATE TABLE t (a)", ()).await.unwrap();
    let refused = connect_as(&started.server, "secre").await.execute("SELECT 1", ()).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("status=401"), "{error}");
    let answer = started.on(None, "SELECT 1").await;
    assert_eq!(answer.status, 401);
    assert!(answer.json()["message"].is_string());
    assert_eq!(request(&started.server, "GET", "/health", "").await.status, 200);
}

#[tokio::test]
async fn requests_and_sockets_are_counted() {
    let started = start().await;
    let counts = started.server.counts();
    let connection = started.connect().await;
    for _ in 0..5 {
        connection.execute("SELECT 1", ()).await.unwrap();
    }
    request(&started.server, "GET", "/health", "").await;
    assert_eq!(counts.requests(), 6);
    assert_eq!(counts.sockets(), 2);
    assert_eq!(counts.open_streams(), 0);
    assert_eq!(counts.peak_streams(), 1);
}

#[tokio::test]
async fn https_is_served_under_the_given_identity() {
    let identity = TlsIdentity::localhost();
    let started = start_with(|settings| settings.tls = Some(identity.clone())).await;
    let url = started.server.url();
    let address = url.strip_prefix("https://localhost:").unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(format!("127.0.0.1:{address}")).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    stream
        .write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = vec![0; 15];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let failed = TestServer::start(ServerSettings::at(folder.path().join("no/such/folder"))).await;
    assert!(matches!(failed.unwrap_err(), StartError::Open(_)));
    let mut settings = ServerSettings::at(folder.path().join("test.db"));
    settings.tls = Some(TlsIdentity { certificate: "none".to_owned(), key: "none".to_owned() });
    assert!(matches!(TestServer::start(settings).await.unwrap_err(), StartError::Identity(_)));
}
