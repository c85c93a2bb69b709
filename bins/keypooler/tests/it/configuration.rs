//! Settings that are wrong stop the start: exit code 2, one line that names them and no value (promise 8), and no trace.

use std::fs;
use std::path::Path;

use crate::support::{ADMIN_TOKEN, Server, run};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Runs the binary, which must refuse; gives its one line.
fn refused(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = run(folder, arguments, environment);
    let line = String::from_utf8(output.stderr).expect("standard error is text");
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    assert!(line.starts_with("keypooler: ") && line.ends_with('\n'), "{line}");
    assert!(output.stdout.is_empty(), "{line}");
    assert!(!folder.join("data").exists(), "a refused start leaves nothing behind");
    line
}

#[test]
fn a_wrong_value_is_refused_by_name_and_never_echoed() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = [
        ("ADMIN_TOKEN", "hush hush"),
        ("ADMIN_TOKEN_FILE", "hush"),
        ("ENCRYPTION_KEY", "hush"),
        ("ENCRYPTION_KEY", &format!("{KEY}0")),
        ("ENCRYPTION_KEY_FILE", "hush"),
        ("DATABASE_URL", "wss://hush.example?authToken=hush"),
        ("DATABASE_URL", "http://hush.example?authToken=hush"),
        ("DB_PATH", ":memory:"),
        ("DB_PATH", "file:hush.db?mode=memory"),
        ("DB_PATH", "."),
        ("DB_MAX_OPEN_CONNS", "4"),
        ("DB_BUSY_TIMEOUT_MS", "5s"),
        ("DB_SYNCHRONOUS", "off"),
        ("SERVER_HOST", "hush.example"),
        ("SERVER_PORT", "70000"),
        ("SERVER_READ_TIMEOUT_SECONDS", "-1"),
        ("SERVER_WRITE_TIMEOUT_SECONDS", "1.5"),
        ("SERVER_IDLE_TIMEOUT_SECONDS", "2m"),
        ("SERVER_SHUTDOWN_TIMEOUT_SECONDS", "99999999999999999999"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("LOG_REQUESTS", "yes"),
    ];
    for (name, value) in wrong {
        let mut environment = vec![(name, value)];
        if !name.starts_with("ADMIN_TOKEN") {
            environment.push(("ADMIN_TOKEN", ADMIN_TOKEN));
        }
        let line = refused(folder.path(), &[], &environment);
        assert!(line.contains(&format!(" {name} ")), "{line}");
        assert!(!line.contains("hush") && !line.contains(KEY), "{line}");
        assert!(!line.contains(ADMIN_TOKEN), "{line}");
    }
}

#[test]
fn an_admin_token_is_required() {
    let folder = tempfile::tempdir().unwrap();
    for environment in [&[][..], &[("ADMIN_TOKEN", "")], &[("ADMIN_TOKEN_FILE", "")]] {
        let line = refused(folder.path(), &[], environment);
        assert!(line.contains("ADMIN_TOKEN is required"), "{line}");
    }
}

#[test]
fn a_secret_and_its_file_contradict_each_other() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "hush-hush-hush-hush").unwrap();
    let environment = [("ADMIN_TOKEN", ADMIN_TOKEN), ("ADMIN_TOKEN_FILE", "token")];
    let line = refused(folder.path(), &[], &environment);
    assert!(line.contains("ADMIN_TOKEN and ADMIN_TOKEN_FILE contradict"), "{line}");
    assert!(!line.contains("hush") && !line.contains(ADMIN_TOKEN), "{line}");
}

#[test]
fn flags_and_file_members_are_refused_by_their_own_names() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("ADMIN_TOKEN", ADMIN_TOKEN)];
    let line = refused(folder.path(), &["--port", "http"], &environment);
    assert!(line.contains("--port (SERVER_PORT) takes"), "{line}");
    let line = refused(folder.path(), &["--config", "nowhere.toml"], &environment);
    assert!(line.contains("--config nowhere.toml can't be read"), "{line}");

    let file = folder.path().join("keypooler.toml");
    fs::write(&file, "server_port = 'http'").unwrap();
    let line = refused(folder.path(), &[], &environment);
    assert!(line.contains("server_port in keypooler.toml takes"), "{line}");
    fs::write(&file, "server_prot = 80").unwrap();
    let line = refused(folder.path(), &["migrate"], &[]);
    assert!(line.contains("keypooler.toml") && line.contains("server_prot"), "{line}");
    fs::write(&file, "admin_token = hush-hush").unwrap();
    let line = refused(folder.path(), &[], &environment);
    assert!(line.contains("keypooler.toml is not valid TOML at line 1"), "{line}");
    assert!(!line.contains("hush"), "{line}");
}

#[test]
fn secrets_have_no_flag() {
    let folder = tempfile::tempdir().unwrap();
    for flag in ["--admin-token=hush", "--encryption-key=hush"] {
        let output = run(folder.path(), &[flag], &[("ADMIN_TOKEN", ADMIN_TOKEN)]);
        assert_eq!(output.status.code(), Some(2));
        assert!(!String::from_utf8(output.stderr).unwrap().contains("hush"));
    }
}

#[test]
fn help_and_version_need_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, text) in [("--help", "--accept-clock"), ("--version", "keypooler ")] {
        let output = run(folder.path(), &[flag], &[("SERVER_PORT", "wrong")]);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains(text));
    }
}

#[test]
fn file_and_secret_files_are_enough_to_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), format!("{ADMIN_TOKEN}\n")).unwrap();
    fs::write(folder.path().join("key"), format!("{KEY}\r\n")).unwrap();
    let file = "admin_token_file = 'token'\nencryption_key_file = 'key'\n\
                server_host = '127.0.0.1'\nserver_port = 0\ndb_path = 'elsewhere/p.db'\n";
    fs::write(folder.path().join("keypooler.toml"), file).unwrap();

    let server = Server::start_with(folder.path(), &[], &[]);
    let health = server.request("GET", "/admin/health", Some(ADMIN_TOKEN), None);
    assert_eq!(health.status, 200, "{}", health.body);
    assert_eq!(health.json()["encryption"], true, "{}", health.body);
    assert!(folder.path().join("elsewhere/p.db").exists());
}

#[test]
fn a_short_admin_token_is_warned_of_and_works() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[("ADMIN_TOKEN", "short")]);
    let tiers = server.request("GET", "/admin/tiers", Some("short"), None);
    assert_eq!(tiers.status, 200, "{}", tiers.body);
    let log = server.log();
    assert!(log.contains(r#""level":"warn""#) && log.contains("shorter than 16"), "{log}");
    assert!(!log.contains("\"short\""), "{log}");
}
