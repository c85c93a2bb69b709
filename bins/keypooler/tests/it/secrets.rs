//! Promise 8: over all endpoints, good and bad, at LOG_LEVEL=debug, no secret is in the log or in an error.

use std::fs;

use crate::support::{ADMIN_TOKEN, Server, run};

const ENCRYPTION_KEY: &str = "5e57c0de5e57c0de5e57c0de5e57c0de5e57c0de5e57c0de5e57c0de5e57c0de";
const VALUE: &str = "distinctive-key-value-7f3a";
const SECRET: &str = "distinctive-bound-secret-91bc";
const BAD_TOKEN: &str = "distinctive-bad-token-55ee";

#[test]
fn no_secret_is_in_the_log_or_in_an_error() {
    for format in ["json", "pretty"] {
        let folder = tempfile::tempdir().unwrap();
        let environment =
            [("ENCRYPTION_KEY", ENCRYPTION_KEY), ("LOG_LEVEL", "debug"), ("LOG_FORMAT", format)];
        let mut server = Server::start(folder.path(), &environment);
        let (token, errors) = visit_everything(&server);
        server.terminate();
        assert_eq!(server.wait(), Some(0));
        let log = server.log();
        assert!(
            log.contains("/admin/keys") && log.contains("DELETE"),
            "requests are logged: {log}"
        );
        for secret in [ADMIN_TOKEN, ENCRYPTION_KEY, VALUE, SECRET, BAD_TOKEN, &token] {
            for written in [secret.to_owned(), hex(secret)] {
                assert!(!log.contains(&written), "a secret is in the {format} log: {log}");
                assert!(!errors.contains(&written), "a secret is in an error: {errors}");
            }
        }
        for file in ["pool.db", "pool.db-wal"] {
            let Ok(bytes) = fs::read(folder.path().join("data").join(file)) else { continue };
            for secret in [VALUE, SECRET, &token, ADMIN_TOKEN] {
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
    // It ends with the key deleted; one that stays is what another encryption key does not open.
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
        for secret in
            [ADMIN_TOKEN, ENCRYPTION_KEY, VALUE, SECRET, other.as_str(), "distinctive-but-no-hex"]
        {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

/// Calls every endpoint, well and badly; gives a consumer's token and the bodies of all errors.
fn visit_everything(server: &Server) -> (String, String) {
    let mut errors = String::new();
    let mut ask = |method: &str, path: &str, token: Option<&str>, body: Option<&str>| {
        let answer = server.request(method, path, token, body);
        assert_ne!(answer.status, 500, "{}", answer.body);
        if answer.status >= 400 {
            errors.push_str(&answer.body);
            errors.push('\n');
        }
        answer
    };
    let admin = Some(ADMIN_TOKEN);
    ask("GET", "/health", None, None);
    ask("POST", "/admin/tiers", admin, Some(r#"{"name":"t","features":{"f":{"rate_limit":100}}}"#));
    ask("PATCH", "/admin/tiers", admin, Some(r#"{"name":"t","description":"d"}"#));
    let key = format!(r#"{{"name":"k","key":"{VALUE}","tier":"t","secrets":{{"s":"{SECRET}"}}}}"#);
    let id =
        ask("POST", "/admin/keys", admin, Some(&key)).json()["id"].as_str().unwrap().to_owned();
    let consumer = ask("POST", "/admin/consumers", admin, Some(r#"{"name":"c"}"#)).json();
    let token = consumer["token"].as_str().unwrap().to_owned();
    let scopes = format!("/admin/consumers/{}/scopes", consumer["id"].as_str().unwrap());
    ask("POST", &scopes, admin, Some(r#"{"tier":"t"}"#));
    assert_eq!(ask("GET", "/key?feature=f", Some(&token), None).status, 200);
    for path in ["/admin/tiers", "/admin/keys", "/admin/consumers", "/admin/usage", "/admin/health"]
    {
        assert_eq!(ask("GET", path, admin, None).status, 200);
        assert_eq!(ask("GET", path, Some(&token), None).status, 403);
        assert_eq!(ask("GET", path, Some(BAD_TOKEN), None).status, 401);
        assert_eq!(ask("PUT", path, Some(BAD_TOKEN), None).status, 405);
    }
    let bad_keys = [
        format!(r#"{{"name":"k","key":"{VALUE}","tier":"t","usage_limt":5}}"#),
        format!(r#"{{"name":"k","key":"{VALUE}","tier":7}}"#),
        format!(r#"{{"name":"k","key":["{VALUE}"],"tier":"t"}}"#),
        format!(r#"{{"name":"k","key":"{VALUE}","tier":"nope"}}"#),
        format!(r#"{{"name":"k","key":"{VALUE}","tier":"t","secrets":{{"s":["{SECRET}"]}}}}"#),
        format!(r#"{{"name":"k","key":"{VALUE}","tier":"t","secrets":"{SECRET}"}}"#),
        format!(r#"{{"name":"k","key":"{VALUE}","tier":"t","metadata":"{SECRET}"}}"#),
        format!(r#"{{"name":"k","key":"{VALUE}","tier":"t","expires_at":"{SECRET}"}}"#),
        format!(r#"{{"name":"k","key":"{VALUE}","key":"{SECRET}","tier":"t"}}"#),
        format!(r#"{{"name":"k","key":"{VALUE}"#),
        format!(r#"{VALUE} {SECRET}"#),
    ];
    for body in &bad_keys {
        let status = ask("POST", "/admin/keys", admin, Some(body)).status;
        assert!(status == 400 || status == 404, "{status} for {body}");
        ask("POST", "/admin/keys", admin, Some(&format!("[{body}]")));
    }
    let paths = [
        format!("/key?feature=f&token={BAD_TOKEN}&key={VALUE}"),
        format!("/key?feature={VALUE}%20%"),
        format!("/admin/usage?limit={VALUE}"),
        format!("/admin/usage?x={SECRET}"),
        format!("/{BAD_TOKEN}/{VALUE}"),
    ];
    for path in &paths {
        ask("GET", path, admin, None);
        ask("GET", path, Some(BAD_TOKEN), None);
        ask("GET", path, None, None);
    }
    ask("DELETE", &format!("/admin/keys/{id}"), admin, None);
    ask("DELETE", &format!("/admin/keys/{id}"), admin, None);
    (token, errors)
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
