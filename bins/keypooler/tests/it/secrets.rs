//! Promise 8 (and 9, that bad input is refused): over all endpoints, good and bad, at LOG_LEVEL=debug, no secret is in the log, in an error or in the metrics.

mod visit;

use std::fs;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD as STANDARD, BASE64_URL_SAFE_NO_PAD as URL_SAFE};
use serde_json::Value;

use crate::support::{ADMIN_TOKEN, Server, run};
use visit::{Visit, visit_everything};

const ENCRYPTION_KEY: &str = "5e57c0de5e57c0de5e57c0de5e57c0de5e57c0de5e57c0de5e57c0de5e57c0de";
const VALUE: &str = "distinctive-key-value-7f3a";
const SECRET: &str = "distinctive-bound-secret-91bc";
const METRICS_TOKEN: &str = "distinctive-metrics-token-3d0a";
const BAD_TOKEN: &str = "distinctive-bad-token-55ee";

#[test]
fn no_secret_is_in_the_log_in_an_error_or_in_the_metrics() {
    for format in ["json", "pretty"] {
        let folder = tempfile::tempdir().unwrap();
        let environment = [
            ("ENCRYPTION_KEY", ENCRYPTION_KEY),
            ("METRICS_TOKEN", METRICS_TOKEN),
            ("LOG_LEVEL", "debug"),
            ("LOG_FORMAT", format),
        ];
        let mut server = Server::start(folder.path(), &environment);
        let Visit { tokens, errors } = visit_everything(&server);
        let [old, token] = tokens.each_ref();
        let metrics = server.request("GET", "/metrics", Some(METRICS_TOKEN), None);
        assert_eq!(metrics.status, 200, "{}", metrics.body);
        let turned_away = server.request("GET", "/admin/keys", Some(METRICS_TOKEN), None);
        assert_eq!(turned_away.status, 403, "{}", turned_away.body);
        server.terminate();
        assert_eq!(server.wait(), Some(0));
        let log = server.log();
        assert!(log.contains("/admin/keys") && log.contains("DELETE"), "{log}");
        if format == "json" {
            assert_all_was_visited(&log);
        }
        let ours = [ADMIN_TOKEN, ENCRYPTION_KEY, METRICS_TOKEN];
        let secrets = [&ours[..], &[VALUE, SECRET, BAD_TOKEN, old, token]].concat();
        assert_holds_no_secret(&log, &secrets);
        assert_holds_no_secret(&metrics.body, &secrets);
        assert_holds_no_secret(&errors, &secrets);
        for file in ["pool.db", "pool.db-wal"] {
            let Ok(bytes) = fs::read(folder.path().join("data").join(file)) else { continue };
            for secret in [VALUE, SECRET, old, token, ADMIN_TOKEN] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "a secret is in {file}, which is sealed");
            }
        }
    }
}

#[test]
fn a_refused_start_names_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let environment =
        [("ADMIN_TOKEN", ADMIN_TOKEN), ("ENCRYPTION_KEY", ENCRYPTION_KEY), ("SERVER_PORT", "0")];
    let mut server = Server::start(folder.path(), &environment);
    visit_everything(&server);
    // It leaves no key behind; one that stays is what another encryption key does not open.
    let stays = format!(r#"{{"name":"stays","key":"{VALUE}","tier":"t"}}"#);
    let added = server.request("POST", "/admin/keys", Some(ADMIN_TOKEN), Some(&stays));
    assert_eq!(added.status, 201, "{}", added.body);
    server.kill();
    let other = ENCRYPTION_KEY.replace("5e57", "0bad");
    for key in [other.as_str(), "", "distinctive-but-no-hex"] {
        let refused =
            run(folder.path(), &[], &[("ADMIN_TOKEN", ADMIN_TOKEN), ("ENCRYPTION_KEY", key)]);
        assert_ne!(refused.status.code(), Some(0));
        let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
        let other = other.as_str();
        let secrets = [ADMIN_TOKEN, ENCRYPTION_KEY, VALUE, SECRET, other, "distinctive-but-no-hex"];
        assert_holds_no_secret(&said, &secrets);
    }
}

/// Asserts that every row of the table of routes was called by each of its methods, and did what it does.
fn assert_all_was_visited(log: &str) {
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for route in keypool_http::routes() {
        for method in route.methods {
            let is_done = lines.iter().any(|line| {
                line["route"] == route.path
                    && line["method"] == *method
                    && line["status"].as_u64().is_some_and(|status| status < 300)
            });
            assert!(is_done, "{method} {} is to be visited: {log}", route.path);
        }
    }
}

fn assert_holds_no_secret(text: &str, secrets: &[&str]) {
    let text_in_lower_case = text.to_lowercase();
    for secret in secrets {
        for written in ways_to_write(secret) {
            let is_there = text_in_lower_case.contains(&written.to_lowercase());
            assert!(!is_there, "{secret} is there as {written}:\n{text}");
        }
    }
}

/// As it is, in hex, percent-encoded, and in base64 at each of the three places where it may begin.
fn ways_to_write(secret: &str) -> Vec<String> {
    let mut ways = vec![secret.to_owned(), hex::encode(secret), percent(secret)];
    for skipped in 0..3 {
        let rest = &secret.as_bytes()[skipped..];
        // What comes after it would change the last letters: only whole groups of three are sure.
        let whole = &rest[..rest.len() / 3 * 3];
        ways.push(STANDARD.encode(whole));
        ways.push(URL_SAFE.encode(whole));
    }
    ways
}

/// Every byte as `%XX`.
fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
#[should_panic(expected = "is there as")]
fn a_secret_is_found_in_the_midst_of_base64() {
    let text = STANDARD.encode(format!("token: {BAD_TOKEN};"));
    assert_holds_no_secret(&text, &[BAD_TOKEN]);
}
