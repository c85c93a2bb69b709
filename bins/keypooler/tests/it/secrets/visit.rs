//! Calls every endpoint, well and badly, with secrets wherever a caller might put one.

use keypool_http::routes;

use super::{BAD_TOKEN, SECRET, VALUE, percent};
use crate::support::{ADMIN_TOKEN, Answer, Server};

/// What came of a visit.
pub(super) struct Visit {
    /// A consumer's tokens, which the server made up.
    pub(super) tokens: [String; 2],
    /// The heads and bodies of all errors.
    pub(super) errors: String,
}

/// Visits all endpoints. Tier `t` and consumer `c` stay; no key does.
pub(super) fn visit_everything(server: &Server) -> Visit {
    let mut visitor = Visitor { server, errors: String::new() };
    let (old, token) = visitor.well();
    visitor.turned_away(&token);
    visitor.badly();
    visitor.with_malformed_heads();
    Visit { tokens: [old, token], errors: visitor.errors }
}

struct Visitor<'a> {
    server: &'a Server,
    errors: String,
}

impl Visitor<'_> {
    fn ask(&mut self, method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Answer {
        let answer = self.server.request(method, path, token, body);
        self.keep(&answer);
        answer
    }

    fn keep(&mut self, answer: &Answer) {
        assert_ne!(answer.status, 500, "{}", answer.body);
        if answer.status >= 400 {
            self.errors.push_str(&format!("{:?}\n{}\n", answer.headers, answer.body));
        }
    }

    /// As the admin, to succeed.
    fn done(&mut self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let answer = self.ask(method, path, Some(ADMIN_TOKEN), body);
        assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.body);
        answer
    }

    /// As the admin, to fail.
    fn refused(&mut self, method: &str, path: &str, body: Option<&str>) {
        let answer = self.ask(method, path, Some(ADMIN_TOKEN), body);
        let status = answer.status;
        assert!((400..500).contains(&status), "{method} {path} {body:?}: {status}");
    }

    /// Every endpoint as it is meant; gives the consumer's token of before and the one that it has.
    fn well(&mut self) -> (String, String) {
        let tier = r#"{"name":"t","features":{"f":{"rate_limit":100}}}"#;
        let tier = id(&self.done("POST", "/admin/tiers", Some(tier)));
        self.done("PATCH", "/admin/tiers", Some(r#"{"name":"t","description":"d"}"#));
        self.done("PATCH", &format!("/admin/tiers/{tier}"), Some(r#"{"name":"t"}"#));
        self.refused("DELETE", &format!("/admin/tiers/{VALUE}"), None);
        let other = r#"{"name":"other","features":{"f":{"rate_limit":100}}}"#;
        let other = id(&self.done("POST", "/admin/tiers", Some(other)));
        self.done("DELETE", &format!("/admin/tiers/{other}"), None);
        let key =
            format!(r#"{{"name":"k","key":"{VALUE}","tier":"t","secrets":{{"s":"{SECRET}"}}}}"#);
        let key = id(&self.done("POST", "/admin/keys", Some(&key)));
        let of_key = format!("/admin/keys/{key}");
        self.done("GET", &of_key, None);
        self.done("HEAD", &of_key, None);
        let rotated = format!(r#"{{"key":"{VALUE}","secrets":{{"s":"{SECRET}"}}}}"#);
        self.done("PATCH", &of_key, Some(&rotated));
        self.refused("PATCH", &of_key, Some(&format!(r#"{{"key":["{VALUE}"]}}"#)));
        self.refused("PATCH", &of_key, Some(&format!(r#"{{"secrets":"{SECRET}"}}"#)));
        let consumer = self.done("POST", "/admin/consumers", Some(r#"{"name":"c"}"#));
        let old = token(&consumer);
        let consumer = format!("/admin/consumers/{}", id(&consumer));
        self.done("PATCH", &consumer, Some(r#"{"description":"d"}"#));
        let overlap = Some(r#"{"overlap_seconds":60}"#);
        let token = token(&self.done("POST", &format!("{consumer}/token"), overlap));
        self.done("POST", &format!("{consumer}/scopes"), Some(r#"{"tier":"t"}"#));
        let drawn = self.ask("GET", "/key?feature=f", Some(&token), None);
        assert_eq!(drawn.status, 200, "{}", drawn.body);
        let draw_id = drawn.json()["draw_id"].as_str().unwrap().to_owned();

        for route in routes().filter(|route| !route.path.contains('{') && route.path != "/key") {
            for method in route.methods.iter().filter(|method| ["GET", "HEAD"].contains(method)) {
                self.done(method, route.path, None);
            }
        }
        self.done("GET", &format!("/admin/usage?key={key}"), None);
        self.done("GET", &format!("/admin/usage?before={draw_id}&limit=5"), None);

        self.done("DELETE", &format!("{consumer}/scopes/t"), None);
        let kept = self.ask("GET", "/key?feature=f", Some(&token), None);
        assert_eq!(kept.status, 403, "{}", kept.body);
        self.done("DELETE", &of_key, None);
        self.refused("DELETE", &of_key, None);
        // It is needed once more, to be turned away: another goes.
        let other = id(&self.done("POST", "/admin/consumers", Some(r#"{"name":"other"}"#)));
        self.done("DELETE", &format!("/admin/consumers/{other}"), None);
        self.refused("DELETE", &format!("/admin/consumers/{other}"), None);
        (old, token)
    }

    /// Every endpoint without the right to it, and by a method that it does not have.
    fn turned_away(&mut self, token: &str) {
        for route in routes() {
            let path = route.path.replace(['{', '}'], "");
            for method in route.methods.iter().filter(|_| route.who != "anyone") {
                assert_eq!(self.ask(method, &path, None, None).status, 401);
                assert_eq!(self.ask(method, &path, Some(BAD_TOKEN), None).status, 401);
                if ["admin", "scraper"].contains(&route.who) {
                    assert_eq!(self.ask(method, &path, Some(token), None).status, 403);
                }
            }
            assert_eq!(self.ask("PUT", &path, Some(BAD_TOKEN), None).status, 405);
        }
    }

    /// Every endpoint with bodies, queries and paths that are refused.
    fn badly(&mut self) {
        let keys = [
            format!(r#"{{"name":"k","key":"{VALUE}","tier":"t","usage_limt":5}}"#),
            format!(r#"{{"name":"k","key":"{VALUE}","tier":7}}"#),
            format!(r#"{{"name":"k","key":["{VALUE}"],"tier":"t"}}"#),
            format!(r#"{{"name":"k","key":"{VALUE}","tier":"nope"}}"#),
            format!(r#"{{"name":"k","key":"{VALUE}","tier":"t","secrets":{{"s":["{SECRET}"]}}}}"#),
            format!(r#"{{"name":"k","key":"{VALUE}","tier":"t","secrets":"{SECRET}"}}"#),
            format!(r#"{{"name":"k","key":"{VALUE}","tier":"t","metadata":"{SECRET}"}}"#),
            format!(r#"{{"name":"k","key":"{VALUE}","tier":"t","expires_at":"{SECRET}"}}"#),
            format!(r#"{{"name":"k","key":"{VALUE}","key":"{SECRET}","tier":"t"}}"#),
        ];
        let tiers = [
            format!(r#"{{"name":["{VALUE}"],"features":{{"f":{{"rate_limit":1}}}}}}"#),
            format!(r#"{{"name":"{VALUE}","features":"{SECRET}"}}"#),
            format!(r#"{{"name":"{VALUE}","features":{{"f":"{SECRET}"}}}}"#),
            format!(r#"{{"name":"{VALUE}","features":{{"f":{{"rate_limit":"{SECRET}"}}}}}}"#),
            format!(r#"{{"name":"{VALUE}","description":["{SECRET}"],"features":{{}}}}"#),
        ];
        let consumers = [
            format!(r#"{{"name":["{VALUE}"]}}"#),
            format!(r#"{{"name":"{VALUE}","description":["{SECRET}"]}}"#),
            format!(r#"{{"name":"c","token":"{SECRET}","name":"{VALUE}"}}"#),
        ];
        let changes = [
            format!(r#"{{"name":["{VALUE}"]}}"#),
            format!(r#"{{"name":"{VALUE}","is_active":"{SECRET}"}}"#),
            format!(r#"{{"expires_at":"{SECRET}"}}"#),
            format!(r#"{{"token":"{SECRET}"}}"#),
        ];
        let overlaps =
            [format!(r#"{{"overlap_seconds":"{SECRET}"}}"#), format!(r#"{{"token":"{VALUE}"}}"#)];
        let scopes = [format!(r#"{{"tier":["{SECRET}"]}}"#), format!(r#"{{"tier":"{VALUE}"}}"#)];
        let anywhere = [
            format!(r#"{{"name":"k","key":"{VALUE}"#),
            format!(r#"{VALUE} {SECRET}"#),
            format!(r#""{VALUE}""#),
            format!(r#"[["{SECRET}"]]"#),
        ];
        let nobody = "/admin/consumers/00000000-0000-4000-8000-000000000000/scopes";
        let places = [
            ("POST", "/admin/keys", keys.as_slice()),
            ("POST", "/admin/tiers", &tiers),
            ("PATCH", "/admin/tiers", &tiers),
            ("POST", "/admin/consumers", &consumers),
            ("POST", nobody, &scopes),
            ("PATCH", "/admin/tiers/0", &tiers),
            ("PATCH", "/admin/consumers/0", &changes),
            ("POST", "/admin/consumers/0/token", &overlaps),
        ];
        for (method, path, bodies) in places {
            for body in bodies.iter().chain(&anywhere) {
                self.refused(method, path, Some(body));
                self.refused(method, path, Some(&format!("[{body}]")));
            }
        }

        let (written, token) = (percent(VALUE), percent(BAD_TOKEN));
        let paths = [
            format!("/key?feature=f&token={BAD_TOKEN}&key={VALUE}"),
            format!("/key?feature={VALUE}%20%"),
            format!("/key?feature={written}&token={token}"),
            format!("/admin/usage?limit={VALUE}"),
            format!("/admin/usage?before={written}"),
            format!("/admin/usage?key={VALUE}&x={SECRET}"),
            format!("/admin/keys/{VALUE}"),
            format!("/admin/consumers/{written}/scopes/{token}"),
            format!("/{BAD_TOKEN}/{VALUE}"),
            format!("/{token}/{written}"),
        ];
        for path in &paths {
            for method in ["GET", "DELETE"] {
                self.ask(method, path, Some(ADMIN_TOKEN), None);
                self.ask(method, path, Some(BAD_TOKEN), None);
                self.ask(method, path, None, None);
            }
        }
    }

    /// What is refused before it is a request.
    fn with_malformed_heads(&mut self) {
        let heads = [
            format!(
                "GET /health HTTP/1.1\r\nHost: h\r\nAuthorization Bearer {ADMIN_TOKEN}\r\n\r\n"
            ),
            format!("GET /health HTTP/1.1\r\nHost: h\r\n{BAD_TOKEN}\r\n\r\n"),
            format!("GET /{VALUE} {SECRET} HTTP/1.1\r\nHost: h\r\n\r\n"),
        ];
        for head in &heads {
            let mut connection = self.server.connect();
            connection.send(head.as_bytes()).unwrap();
            let answer = connection.answer("GET").unwrap();
            assert_eq!(answer.status, 400, "{head}");
            self.keep(&answer);
        }
    }
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn token(answer: &Answer) -> String {
    answer.json()["token"].as_str().unwrap().to_owned()
}
