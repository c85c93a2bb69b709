//! What does not get to the database stops the start, clearly, and shows no secret (promise 8); TLS is TLS.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use keypool_test_server::TlsIdentity;

use crate::stage::Stage;
use crate::support::{ADMIN_TOKEN, Server, run};

const TOKEN: &str = "distinctive.database-token.91bc";
const WRONG: &str = "distinctive.wrong-token.7f3a";
/// A start that can't succeed is given up within this time.
const SOON: Duration = Duration::from_secs(15);

/// Starts a replica that must not serve: exit code 1, and what it said, with no token in it.
fn refused(stage: &Stage, environment: &[(&str, &str)]) -> String {
    let environment = stage.environment(environment);
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let began = Instant::now();
    let output = run(stage.folder.path(), &[], &environment);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    println!("after {:?}: {said}", began.elapsed());
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    for secret in [TOKEN, WRONG, ADMIN_TOKEN] {
        assert!(!said.contains(secret), "{said}");
    }
    said
}

#[test]
fn a_refused_token_stops_the_start_and_is_not_shown() {
    let stage = Stage::empty(|settings| settings.token = Some(TOKEN.to_owned()));
    for environment in [&[("DATABASE_AUTH_TOKEN", WRONG)] as &[_], &[]] {
        let said = refused(&stage, environment);
        assert!(said.contains("token") && said.contains(&stage.database.url()), "{said}");
    }
    let file = stage.folder.path().join("token");
    fs::write(&file, WRONG).unwrap();
    refused(&stage, &[("DATABASE_AUTH_TOKEN_FILE", file.to_str().unwrap())]);
    refused(&stage, &[("DATABASE_URL", &format!("{}?authToken={WRONG}", stage.database.url()))]);
}

#[test]
fn a_token_that_is_accepted_is_shown_nowhere() {
    let mut stage = Stage::empty(|settings| settings.token = Some(TOKEN.to_owned()));
    let within = format!("{}?authToken={TOKEN}", stage.database.url());
    stage.add_replica(&[("DATABASE_AUTH_TOKEN", TOKEN), ("LOG_LEVEL", "trace")]);
    stage.add_replica(&[("DATABASE_URL", &within), ("LOG_LEVEL", "trace")]);
    for replica in stage.replicas() {
        let mut server = replica.server();
        assert_eq!(server.request("GET", "/admin/health", Some(ADMIN_TOKEN), None).status, 200);
        assert_is_hidden(&fs::read_to_string(format!("/proc/{}/cmdline", server.id())).unwrap());
        server.terminate();
        assert_eq!(server.wait(), Some(0));
        assert_is_hidden(&server.log());
    }
}

fn assert_is_hidden(text: &str) {
    assert!(!text.is_empty());
    for secret in [TOKEN, ADMIN_TOKEN] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn a_url_where_no_database_is_stops_the_start() {
    let stage = Stage::empty(|_| {});
    let nobody = "http://127.0.0.1:9";
    let elsewhere = format!("{}/elsewhere", stage.database.url());
    let no_tls = stage.database.url().replace("http://127.0.0.1", "libsql://localhost");
    for url in [nobody, &elsewhere, &no_tls] {
        let said = refused(&stage, &[("DATABASE_URL", url)]);
        assert!(said.contains(url), "{said}");
    }
}

#[test]
fn tls_is_believed_by_the_certificates_that_were_given_and_by_no_others() {
    let mut stage = Stage::empty(|settings| settings.tls = Some(TlsIdentity::localhost()));
    let url = stage.database.url();
    let said = refused(&stage, &[]);
    assert!(said.contains(&url) && said.contains("certificate"), "{said}");

    let certificate = stage.folder.path().join("ca.pem");
    fs::write(&certificate, TlsIdentity::localhost().certificate).unwrap();
    let certificate = path(&certificate).to_owned();
    stage.add_replica(&[("DATABASE_CA_FILE", &certificate)]);
    let by_scheme = url.replace("https://", "libsql://");
    stage.add_replica(&[("DATABASE_CA_FILE", &certificate), ("DATABASE_URL", &by_scheme)]);
    for replica in stage.replicas() {
        let server: &Server = &replica.server();
        assert_eq!(server.request("GET", "/admin/health", Some(ADMIN_TOKEN), None).status, 200);
    }
    let by_address = url.replace("https://localhost", "http://127.0.0.1");
    let said =
        refused(&stage, &[("DATABASE_CA_FILE", &certificate), ("DATABASE_URL", &by_address)]);
    assert!(said.contains(&by_address), "{said}");
}

#[test]
fn a_bad_file_of_certificates_stops_the_start_and_is_named() {
    let stage = Stage::empty(|settings| settings.tls = Some(TlsIdentity::localhost()));
    let missing = stage.folder.path().join("missing.pem");
    let empty = stage.folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let garbage = stage.folder.path().join("garbage.pem");
    fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let not_pem = stage.folder.path().join("not.pem");
    fs::write(&not_pem, [0xff; 100]).unwrap();
    for file in [missing, empty, garbage, not_pem] {
        let said = refused(&stage, &[("DATABASE_CA_FILE", path(&file))]);
        assert!(said.contains("DATABASE_CA_FILE"), "{said}");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
