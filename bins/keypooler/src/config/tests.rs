//! Configuration from data to data.

#[cfg(feature = "libsql")]
mod libsql;
mod secrets;

use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use keypool_engine::Synchronous;
use keypool_http::HttpSettings;

use super::*;

const TOKEN: &str = "an-admin-token-for-tests";
const OTHER_KEY: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfefff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Settings from an environment to which the admin token is added.
fn from_env(environment: &[(&'static str, &str)]) -> Result<Settings, ConfigError> {
    read("", environment, &[], Mode::Serve)
}

fn from_file(file: &str) -> Result<Settings, ConfigError> {
    read(file, &[], &[], Mode::Serve)
}

fn read(
    file: &str,
    environment: &[(&'static str, &str)],
    flags: &[(&'static str, &str)],
    mode: Mode,
) -> Result<Settings, ConfigError> {
    let token = [("ADMIN_TOKEN", TOKEN)];
    let has_token = |name: &str| environment.iter().any(|(given, _)| *given == name);
    let is_bare = has_token("ADMIN_TOKEN") || has_token("ADMIN_TOKEN_FILE");
    let token = if is_bare { &[][..] } else { &token[..] };
    read_exactly(file, &[token, environment].concat(), flags, mode)
}

fn read_exactly(
    file: &str,
    environment: &[(&'static str, &str)],
    flags: &[(&'static str, &str)],
    mode: Mode,
) -> Result<Settings, ConfigError> {
    Settings::read(&Sources {
        file: Some(ConfigFile { name: "keypooler.toml".to_owned(), text: file.to_owned() }),
        environment: environment.iter().map(|(name, value)| (*name, value.into())).collect(),
        flags: flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        mode,
    })
}

fn message(result: Result<Settings, ConfigError>) -> String {
    result.expect_err("these settings must be refused").to_string()
}

fn token(settings: &Settings) -> &str {
    settings.admin_token.as_ref().unwrap().expose_secret()
}

fn seconds(secs: u64) -> Option<Duration> {
    Some(Duration::from_secs(secs))
}

#[test]
fn defaults_are_the_original_s() {
    let settings = from_env(&[]).unwrap();
    assert_eq!(token(&settings), TOKEN);
    assert!(settings.encryption.key.is_none() && settings.encryption.previous.is_none());
    assert_eq!(settings.encryption.plain_text, PlainText::Accepted);
    assert_eq!(settings.database.file().path, Path::new("./data/pool.db"));
    assert_eq!(settings.database.file().busy_timeout, Duration::from_secs(5));
    assert!(matches!(settings.database.file().synchronous, Synchronous::Full));
    assert_eq!(settings.server.host, "::".parse::<IpAddr>().unwrap());
    assert_eq!(settings.server.port, Port::Default(8080));
    assert_eq!(settings.server.http, HttpSettings::default());
    let log = LogSettings {
        level: LevelFilter::INFO,
        format: LogFormat::Json,
        requests: true,
        no_color: false,
    };
    assert_eq!(settings.log, log);
    assert!(settings.warnings.is_empty());
}

#[test]
fn reads_every_variable() {
    let settings = from_env(&[
        ("ENCRYPTION_KEY", KEY),
        ("ENCRYPTION_KEY_PREVIOUS", OTHER_KEY),
        ("ENCRYPTION_REQUIRED", "1"),
        ("DB_PATH", "/srv/pool.db"),
        ("DB_MAX_OPEN_CONNS", "1"),
        ("DB_BUSY_TIMEOUT_MS", "250"),
        ("DB_SYNCHRONOUS", "normal"),
        ("SERVER_HOST", "127.0.0.1"),
        ("SERVER_PORT", "9090"),
        ("SERVER_HEADER_TIMEOUT_SECONDS", "4"),
        ("SERVER_READ_TIMEOUT_SECONDS", "1"),
        ("SERVER_REQUEST_TIMEOUT_SECONDS", "5"),
        ("SERVER_WRITE_TIMEOUT_SECONDS", "2"),
        ("SERVER_IDLE_TIMEOUT_SECONDS", "3"),
        ("SERVER_SHUTDOWN_TIMEOUT_SECONDS", "0"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, unix"),
        ("SERVER_MAX_CONNECTIONS", "8"),
        ("SERVER_MAX_CONNECTIONS_PER_ADDRESS", "0"),
        ("SERVER_MAX_HEADER_BYTES", "2048"),
        ("SERVER_MAX_REQUESTS_PER_CONNECTION", "7"),
        ("LOG_LEVEL", "debug"),
        ("LOG_FORMAT", "pretty"),
        ("LOG_REQUESTS", "F"),
        ("NO_COLOR", "1"),
    ])
    .unwrap();
    assert!(settings.encryption.key.is_some() && settings.encryption.previous.is_some());
    assert_eq!(settings.encryption.plain_text, PlainText::Refused);
    assert_eq!(settings.database.file().path, Path::new("/srv/pool.db"));
    assert_eq!(settings.database.file().busy_timeout, Duration::from_millis(250));
    assert!(matches!(settings.database.file().synchronous, Synchronous::Normal));
    assert_eq!(settings.server.host, "127.0.0.1".parse::<IpAddr>().unwrap());
    assert_eq!(settings.server.port, Port::Asked(9090));
    let http = HttpSettings {
        header_timeout: seconds(4),
        read_timeout: seconds(1),
        request_timeout: seconds(5),
        write_timeout: seconds(2),
        idle_timeout: seconds(3),
        shutdown_timeout: None,
        max_connections: NonZeroU64::new(8),
        max_connections_per_address: None,
        max_header_bytes: 2048,
        max_requests: NonZeroU64::new(7),
        trusted_proxies: "unix 10.0.0.0/8".parse().unwrap(),
        metrics_token: None,
        log_requests: false,
    };
    assert_eq!(settings.server.http, http);
    let log = LogSettings {
        level: LevelFilter::DEBUG,
        format: LogFormat::Pretty,
        requests: false,
        no_color: true,
    };
    assert_eq!(settings.log, log);
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let empty: Vec<_> = names::SETTINGS.iter().map(|setting| (setting.name, "")).collect();
    let refused = message(read_exactly("", &empty, &[], Mode::Serve));
    assert!(refused.starts_with("ADMIN_TOKEN is required"), "{refused}");

    let settings = read_exactly("server_port = 1", &empty, &[], Mode::Dev).unwrap();
    assert_eq!(settings.server.port, Port::Asked(1));
    assert_eq!(settings.log.level, LevelFilter::INFO);
}

#[test]
fn flags_hide_the_environment_which_hides_the_file() {
    let file = "server_port = 1\nserver_host = '10.0.0.1'\nlog_level = 'error'";
    let environment = [("SERVER_PORT", "2"), ("SERVER_HOST", "10.0.0.2")];
    let settings = read(file, &environment, &[("SERVER_PORT", "3")], Mode::Serve).unwrap();
    assert_eq!(settings.server.port, Port::Asked(3));
    assert_eq!(settings.server.host, "10.0.0.2".parse::<IpAddr>().unwrap());
    assert_eq!(settings.log.level, LevelFilter::ERROR);
}

#[test]
fn the_file_holds_numbers_and_truth_values_or_their_text() {
    for file in ["server_port = 90\nlog_requests = false", "server_port = '90'\nlog_requests = '0'"]
    {
        let settings = from_file(file).unwrap();
        assert_eq!(settings.server.port, Port::Asked(90));
        assert!(!settings.log.requests);
    }
    let file = format!("admin_token = '{TOKEN}'\nencryption_key = '{KEY}'\ndb_path = ''");
    let settings = read_exactly(&file, &[], &[], Mode::Serve).unwrap();
    assert_eq!(token(&settings), TOKEN);
    assert!(settings.encryption.key.is_some());
    assert_eq!(settings.database.file().path, Path::new("./data/pool.db"));
}

#[test]
fn every_setting_is_refused_by_name_and_without_its_value() {
    let wrong = [
        ("ADMIN_TOKEN", "hush hush"),
        ("ADMIN_TOKEN", "hüsh"),
        ("ADMIN_TOKEN_FILE", "/nowhere/hush"),
        ("ADMIN_TOKEN_PREVIOUS", "hush hush"),
        ("ADMIN_TOKEN_PREVIOUS_FILE", "/nowhere/hush"),
        ("METRICS_TOKEN", "hush hush"),
        ("METRICS_TOKEN_FILE", "/nowhere/hush"),
        ("ENCRYPTION_KEY", "hush"),
        ("ENCRYPTION_KEY_FILE", "/nowhere/hush"),
        ("ENCRYPTION_KEY_PREVIOUS", "hush"),
        ("ENCRYPTION_KEY_PREVIOUS_FILE", "/nowhere/hush"),
        ("ENCRYPTION_REQUIRED", "hush"),
        ("DATABASE_URL", "postgres://hush/hush"),
        ("DATABASE_URL", "http://hush.example?authToken=hush"),
        ("DATABASE_AUTH_TOKEN", "hush"),
        ("DATABASE_AUTH_TOKEN_FILE", "/nowhere/hush"),
        ("DATABASE_CA_FILE", "/nowhere/hush"),
        ("DB_PATH", ":memory:"),
        ("DB_PATH", "file:hush"),
        ("DB_PATH", "libsql://host?authToken=hush"),
        ("DB_PATH", "HTTPS:/hush"),
        ("DB_PATH", "/"),
        ("DB_MAX_OPEN_CONNS", "2"),
        ("DB_MAX_OPEN_CONNS", "0"),
        ("DB_BUSY_TIMEOUT_MS", "-1"),
        ("DB_SYNCHRONOUS", "off"),
        ("SERVER_HOST", "localhost"),
        ("SERVER_PORT", "65536"),
        ("SERVER_PORT", "hush"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, hush"),
        ("SERVER_SOCKET", "/run/hush/"),
        ("TLS_CERT_FILE", "/nowhere/hush"),
        ("TLS_KEY_FILE", "/nowhere/hush"),
        ("SERVER_HEADER_TIMEOUT_SECONDS", "10s"),
        ("SERVER_REQUEST_TIMEOUT_SECONDS", "1m"),
        ("SERVER_MAX_CONNECTIONS", "many"),
        ("SERVER_MAX_CONNECTIONS_PER_ADDRESS", "1.5"),
        ("SERVER_MAX_HEADER_BYTES", "1023"),
        ("SERVER_MAX_REQUESTS_PER_CONNECTION", "-1"),
        ("SERVER_READ_TIMEOUT_SECONDS", "30s"),
        ("SERVER_WRITE_TIMEOUT_SECONDS", "-1"),
        ("SERVER_IDLE_TIMEOUT_SECONDS", "1.5"),
        ("SERVER_SHUTDOWN_TIMEOUT_SECONDS", "99999999999999999999"),
        ("LOG_LEVEL", "hush"),
        ("LOG_FORMAT", "xml"),
        ("LOG_REQUESTS", "yes"),
    ];
    for (name, value) in wrong {
        let refused = message(from_env(&[(name, value)]));
        assert!(refused.starts_with(&format!("{name} ")), "{refused}");
        assert!(!refused.contains("hush") && !refused.contains("hüsh"), "{refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
    }
    let named: std::collections::HashSet<_> = wrong.iter().map(|(name, _)| *name).collect();
    assert_eq!(named.len(), names::SETTINGS.len(), "a setting has no refusal in this test");
}

#[test]
fn a_certificate_that_can_not_be_used_is_told_without_its_path() {
    let files = [("TLS_CERT_FILE", "/nowhere/hush"), ("TLS_KEY_FILE", "/nowhere/hush")];
    let refused = message(from_env(&files));
    let expected = "TLS_CERT_FILE and TLS_KEY_FILE can't be used: the certificate can't be read: ";
    assert!(refused.starts_with(expected) && !refused.contains("hush"), "{refused}");
    let refused = message(read("", &files, &[], Mode::Dev));
    assert!(refused.contains("--dev"), "{refused}");
    assert!(read_exactly("", &files, &[], Mode::Command).is_ok(), "nothing is served");
    let alone = message(from_env(&[("TLS_KEY_FILE", "key.pem")]));
    assert_eq!(alone, "TLS_KEY_FILE needs TLS_CERT_FILE beside it");
}

#[test]
fn an_address_is_asked_for_by_host_or_port() {
    assert!(!from_env(&[("SERVER_SOCKET", "/run/k.sock")]).unwrap().server.is_address_asked);
    for given in [("SERVER_HOST", "::"), ("SERVER_PORT", "8080")] {
        let settings = from_env(&[given, ("SERVER_SOCKET", "/run/k.sock")]).unwrap();
        assert!(settings.server.is_address_asked, "{given:?}");
        assert!(settings.server.is_address_asked_now, "{given:?}");
        assert_eq!(settings.server.socket.as_deref(), Some(Path::new("/run/k.sock")));
    }
}

#[test]
fn says_what_a_setting_takes() {
    let refused = message(from_env(&[("SERVER_PORT", "x")]));
    assert_eq!(refused, "SERVER_PORT takes a port from 0 (any free one) to 65535");
}

#[test]
fn blames_the_source_that_was_heard() {
    let refused = message(from_file("server_port = 'x'"));
    assert!(refused.starts_with("server_port in keypooler.toml takes"), "{refused}");
    let refused = message(read("", &[], &[("SERVER_PORT", "")], Mode::Serve));
    assert!(refused.starts_with("--port (SERVER_PORT) takes"), "{refused}");
    let refused = message(read("", &[], &[("DB_PATH", "")], Mode::Serve));
    assert!(refused.starts_with("--db (DB_PATH) takes"), "{refused}");
}

#[test]
fn members_of_another_type_are_refused() {
    for value in ["1.5", "[1]", "{ a = 1 }", "2026-11-23", "18446744073709551615"] {
        let refused = message(from_file(&format!("server_port = {value}")));
        assert!(refused.starts_with("server_port") || refused.contains("valid TOML"), "{refused}");
    }
}

#[test]
fn unknown_members_are_named() {
    let refused = message(from_file("db_path = 'x'\nSERVER_PORT = 1\nserver_prot = 1"));
    assert!(refused.contains("SERVER_PORT, server_prot ("), "{refused}");
    assert!(refused.contains("keypooler.toml"), "{refused}");
    let refused = message(from_file("[server]\nport = 1"));
    assert!(refused.contains("not known: server ("), "{refused}");
}

#[test]
fn broken_toml_is_told_by_its_place_alone() {
    for file in ["\nadmin_token = hush", "\nadmin_token = 'hush", "\nadmin_token 'hush'"] {
        let refused = message(from_file(file));
        assert!(refused.starts_with("keypooler.toml is not valid TOML at line 2"), "{refused}");
        assert!(!refused.contains("hush"), "{refused}");
    }
    let refused = message(from_file("admin_token = 'hush'\nadmin_token = 'hush'"));
    assert!(!refused.contains("hush"), "{refused}");
}

#[test]
fn a_variable_that_is_not_utf8_is_refused() {
    let sources = Sources {
        file: None,
        environment: vec![("ADMIN_TOKEN", OsString::from_vec(b"hush\xff".to_vec()))],
        flags: Vec::new(),
        mode: Mode::Serve,
    };
    assert_eq!(message(Settings::read(&sources)), "ADMIN_TOKEN takes UTF-8 text");
}

#[test]
fn migrating_needs_no_admin_token() {
    let settings = read_exactly("", &[], &[], Mode::Command).unwrap();
    assert!(settings.admin_token.is_none());
}

#[test]
fn development_has_its_own_defaults_and_needs_no_admin_token() {
    let settings = read_exactly("", &[], &[], Mode::Dev).unwrap();
    assert!(settings.admin_token.is_none());
    assert_eq!(settings.database.file().path, Path::new("./data/dev.db"));
    assert_eq!(settings.server.host, "127.0.0.1".parse::<IpAddr>().unwrap());
    assert_eq!(settings.server.port, Port::Default(8080));
    assert_eq!(settings.log.format, LogFormat::Pretty);

    let environment = [("DB_PATH", "/srv/dev.db"), ("LOG_FORMAT", "json")];
    let settings = read("", &environment, &[("SERVER_HOST", "::1")], Mode::Dev).unwrap();
    assert_eq!(token(&settings), TOKEN);
    assert_eq!(settings.database.file().path, Path::new("/srv/dev.db"));
    assert_eq!(settings.server.host, "::1".parse::<IpAddr>().unwrap());
    assert_eq!(settings.log.format, LogFormat::Json);
}

#[test]
fn settings_print_no_secret() {
    let settings = from_env(&[("ENCRYPTION_KEY", KEY)]).unwrap();
    let printed = format!("{settings:?}");
    assert!(!printed.contains(TOKEN) && !printed.contains(KEY), "{printed}");
}

#[test]
fn a_named_file_must_be_there_and_the_usual_one_need_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.toml");
    let refused = ConfigFile::read(Some(&path)).err().unwrap().to_string();
    assert!(refused.contains("other.toml can't be read"), "{refused}");
    fs::write(&path, "server_port = 1").unwrap();
    assert_eq!(ConfigFile::read(Some(&path)).unwrap().unwrap().text, "server_port = 1");
    assert!(ConfigFile::read(None).unwrap().is_none());
}
