//! Settings of a database on a server.

use keypool_engine::{LibsqlSettings, StoreSettings};
use secrecy::ExposeSecret;

use super::*;

const URL: (&str, &str) = ("DATABASE_URL", "libsql://db.example?authToken=hush");
const BARE_URL: (&str, &str) = ("DATABASE_URL", "libsql://db.example");

fn server(environment: &[(&'static str, &str)]) -> LibsqlSettings {
    let settings = StoreSettings::from(from_env(environment).unwrap().database);
    let StoreSettings::Libsql(server) = settings else { panic!("no server: {settings:?}") };
    server
}

fn token(server: &LibsqlSettings) -> Option<&str> {
    server.auth_token.as_ref().map(|token| token.expose_secret())
}

#[test]
fn a_database_url_takes_the_place_of_a_file_as_in_the_original() {
    let found = server(&[URL, ("DB_PATH", "./data/pool.db"), ("DB_MAX_OPEN_CONNS", "1")]);
    assert_eq!(found.url.to_string(), "libsql://db.example");
    assert_eq!((token(&found), found.connections.get()), (Some("hush"), 1));
    assert_eq!(found.deadline, Duration::from_secs(5));
    assert_eq!(found.clock_leeway, Some(Duration::from_secs(1)));
    assert!(!format!("{found:?}").contains("hush"));
    let shown = from_env(&[URL]).unwrap().database;
    assert!(!format!("{shown} {shown:?}").contains("hush"));
}

#[test]
fn several_connections_are_the_default_and_bounded() {
    assert_eq!(server(&[BARE_URL]).connections.get(), 4);
    assert_eq!(server(&[BARE_URL, ("DB_MAX_OPEN_CONNS", "128")]).connections.get(), 128);
    let refused = message(from_env(&[BARE_URL, ("DB_MAX_OPEN_CONNS", "129")]));
    assert!(refused.starts_with("DB_MAX_OPEN_CONNS takes"), "{refused}");
}

#[test]
fn the_token_comes_by_the_url_a_variable_or_a_file_but_by_one_of_them() {
    assert_eq!(token(&server(&[BARE_URL])), None);
    let found = server(&[BARE_URL, ("DATABASE_AUTH_TOKEN", "hush")]);
    assert_eq!(token(&found), Some("hush"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "hush\n").unwrap();
    let by_file = ("DATABASE_AUTH_TOKEN_FILE", file.to_str().unwrap());
    assert_eq!(token(&server(&[BARE_URL, by_file])), Some("hush"));
    for beside in [by_file, ("DATABASE_AUTH_TOKEN", "hush")] {
        let refused = message(from_env(&[URL, beside]));
        assert!(refused.contains("contradict each other"), "{refused}");
        assert!(!refused.contains("hush"), "{refused}");
    }
    let refused = message(from_env(&[BARE_URL, ("DATABASE_AUTH_TOKEN", "hush hush")]));
    assert!(refused.starts_with("DATABASE_AUTH_TOKEN takes"), "{refused}");
}

#[test]
fn what_is_for_a_file_alone_contradicts_it() {
    let refused = message(read("", &[BARE_URL], &[("DB_PATH", "x.db")], Mode::Serve));
    assert!(refused.starts_with("--db and DATABASE_URL contradict"), "{refused}");
    let refused = message(read("", &[BARE_URL], &[], Mode::Dev));
    assert!(refused.starts_with("--dev is for a file of its own"), "{refused}");
}
