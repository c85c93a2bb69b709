use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use http_body_util::Empty;

use crate::pool::{ADMIN, Answer, METRICS, Pool, request};

/// What a page says, by name and labels as they are written.
#[derive(Debug, PartialEq)]
struct Page(BTreeMap<String, f64>);

impl Page {
    fn read(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        let read: BTreeMap<String, f64> = samples.clone().map(sample).collect();
        assert_eq!(read.len(), samples.count(), "a sample stands there twice: {text}");
        Self(read)
    }

    #[track_caller]
    fn value(&self, sample: &str) -> f64 {
        *self.0.get(sample).unwrap_or_else(|| panic!("no {sample} in {:#?}", self.0))
    }

    fn draws(&self, feature: &str, outcome: &str) -> f64 {
        self.value(&format!(r#"keypooler_draws_total{{feature="{feature}",outcome="{outcome}"}}"#))
    }

    /// Counters of draws, requests and failures that differ, and by how much.
    fn since(&self, before: &Self) -> Vec<(String, f64)> {
        let counters = ["keypooler_draws_total", "keypooler_auth_failures_total"];
        let all = self.0.iter().filter(|(name, _)| counters.iter().any(|it| name.starts_with(it)));
        let moved = all.map(|(name, now)| (name.clone(), now - before.0.get(name).unwrap_or(&0.0)));
        moved.filter(|(_, by)| *by != 0.0).collect()
    }
}

/// The page as it is now, not as it was just made for somebody else.
async fn page(pool: &Pool) -> Page {
    pool.clock.advance(Duration::from_secs(1));
    let shown = pool.get("/metrics").await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    Page::read(&shown.text)
}

async fn in_format(pool: &Pool, accept: &str) -> Answer {
    let mut asked = request(Method::GET, "/metrics", METRICS, Empty::<bytes::Bytes>::new());
    asked.headers_mut().insert("accept", accept.parse().unwrap());
    pool.call(asked).await
}

#[tokio::test]
async fn is_for_the_admin_and_for_the_metrics_token() {
    let pool = Pool::with_tier().await;
    let (_, consumer) = pool.add_consumer("c", &["t"]).await;
    let ask = async |token| pool.send(Method::GET, "/metrics", token, "").await;
    assert_eq!(ask(ADMIN).await.status, 200);
    assert_eq!(ask(METRICS).await.status, 200);
    ask(&consumer).await.expect_problem(403, "forbidden");
    for token in ["", "nobody", "the-token-for-metric", "the-token-for-metrics2"] {
        let refused = ask(token).await;
        refused.expect_problem(401, "unauthorized");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    let head = pool.send(Method::HEAD, "/metrics", METRICS, "").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    pool.get("/metrics?tokne=1").await.expect_invalid("tokne");
    pool.post("/metrics", "").await.expect_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn the_metrics_token_grants_nothing_else() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    for route in keypool_http::routes().filter(|route| !matches!(route.who, "anyone" | "scraper")) {
        let method = route.methods[0].parse().unwrap();
        let path = format!("{}?feature=f", route.path);
        let refused = pool.send(method, &path, METRICS, "{").await;
        refused.expect_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn without_a_metrics_token_it_is_for_the_admin_alone() {
    let pool = Pool::new().await;
    let settings = keypool_http::HttpSettings::default();
    let app = keypool_http::App::new(pool.engine.clone(), &settings);
    for (token, status) in [(ADMIN, 200), (METRICS, 401)] {
        let asked = request(Method::GET, "/metrics", token, Empty::<bytes::Bytes>::new());
        assert_eq!(keypool_http::answer(&app, asked, None).await.status().as_u16(), status);
    }
}

#[tokio::test]
async fn is_text_or_open_metrics_as_the_caller_prefers() {
    let pool = Pool::with_tier().await;
    let text = in_format(&pool, "*/*").await;
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(text.text.contains("\n# TYPE keypooler_draws_total counter\n"), "{}", text.text);
    let open =
        in_format(&pool, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("content-type"), Some(content_type));
    assert!(open.text.contains("\n# TYPE keypooler_draws counter\n"), "{}", open.text);
    assert!(open.text.contains("\n# UNIT keypooler_uptime_seconds seconds\n"), "{}", open.text);
    assert!(open.text.ends_with("\n# EOF\n"), "{}", open.text);
    assert_eq!(open.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_draw_of_each_outcome_moves_its_counter_and_no_other() {
    let pool = Pool::new().await;
    let tiers = [
        r#"{"name":"t","features":{"f":{"rate_limit":1,"window_seconds":900},"g":{"rate_limit":9}}}"#,
        r#"{"name":"u","features":{"empty":{"rate_limit":1}}}"#,
    ];
    for tier in tiers {
        assert_eq!(pool.post("/admin/tiers", tier).await.status, 201);
    }
    pool.add_key("k", r#","usage_limit":2,"usage_window_seconds":9000"#).await;
    let (_, consumer) = pool.add_consumer("c", &["u"]).await;
    let draws = [
        (ADMIN, "f", 200, "f", "granted"),
        (ADMIN, "f", 429, "f", "rate_limited"),
        (ADMIN, "g", 200, "g", "granted"),
        (ADMIN, "g", 429, "g", "budget_spent"),
        (ADMIN, "empty", 429, "empty", "no_usable_key"),
        (&consumer, "g", 403, "g", "out_of_scope"),
        (&consumer, "made-up", 403, "(unknown)", "out_of_scope"),
        (ADMIN, "made-up", 404, "(unknown)", "unknown_feature"),
        (ADMIN, "made-up-too", 404, "(unknown)", "unknown_feature"),
    ];
    for (token, asked, status, feature, outcome) in draws {
        let before = page(&pool).await;
        let answer = pool.draw(token, asked).await;
        assert_eq!(answer.status, status, "{asked}");
        if status != 200 {
            assert_eq!(answer.json()["code"], outcome);
        }
        let after = page(&pool).await;
        let moved = format!(r#"keypooler_draws_total{{feature="{feature}",outcome="{outcome}"}}"#);
        assert_eq!(after.since(&before), [(moved, 1.0)]);
    }
    let counted = page(&pool).await;
    assert_eq!(counted.value(r#"keypooler_draw_duration_seconds_count{result="granted"}"#), 2.0);
    assert_eq!(counted.value(r#"keypooler_draw_duration_seconds_count{result="refused"}"#), 7.0);
    assert_eq!(counted.value(r#"keypooler_commits_total{kind="draws",result="committed"}"#), 2.0);
    assert_eq!(counted.value("keypooler_batch_draws_sum"), 2.0);
    assert_eq!(counted.value(r#"keypooler_admin_changes_total{kind="add_tier"}"#), 2.0);
    pool.engine.close().await;
    pool.draw(ADMIN, "f").await.expect_problem(503, "store_unavailable");
    let shown = page(&pool).await;
    assert_eq!(shown.draws("f", "store_unavailable"), 1.0);
    assert_eq!((counted.value("keypooler_ready"), shown.value("keypooler_ready")), (1.0, 0.0));
}

#[tokio::test]
async fn bad_tokens_are_counted_by_what_is_wrong_with_them() {
    let pool = Pool::with_tier().await;
    let (_, consumer) = pool.add_consumer("c", &["t"]).await;
    let failures =
        [("", "missing"), ("nobody", "unknown"), (&consumer, "forbidden"), (METRICS, "forbidden")];
    for (token, reason) in failures {
        let before = page(&pool).await;
        pool.send(Method::GET, "/admin/keys", token, "").await;
        let moved = format!(r#"keypooler_auth_failures_total{{reason="{reason}"}}"#);
        assert_eq!(page(&pool).await.since(&before), [(moved, 1.0)]);
    }
}

#[tokio::test]
async fn keys_are_in_one_state_each_and_budgets_are_summed_up() {
    let pool = Pool::with_tier().await;
    pool.add_key("k1", r#","usage_limit":10"#).await;
    pool.add_key("k2", r#","usage_limit":5,"expires_at":"2026-11-24T04:00:00Z""#).await;
    pool.add_key("k3", "").await;
    assert_eq!(pool.draw(ADMIN, "f").await.status, 200);
    let shown = page(&pool).await;
    assert_eq!(shown.value(r#"keypooler_keys{tier="t",state="usable"}"#), 3.0);
    assert_eq!(shown.value(r#"keypooler_keys{tier="t",state="damaged"}"#), 0.0);
    assert_eq!(shown.value(r#"keypooler_keys_expiring{tier="t"}"#), 1.0);
    let four_o_clock = 1_795_492_800.0;
    let next = r#"keypooler_next_key_expiry_timestamp_seconds{tier="t"}"#;
    assert_eq!(shown.value(next), four_o_clock);
    assert_eq!(shown.value(r#"keypooler_budget_used{tier="t"}"#), 1.0);
    assert_eq!(shown.value(r#"keypooler_budget_left{tier="t"}"#), 14.0);
    let usable = r#"keypooler_feature_keys{tier="t",feature="f",state="usable"}"#;
    assert_eq!(shown.value(usable), 3.0);
    for _ in 0..5 {
        assert_eq!(pool.draw(ADMIN, "f").await.status, 200);
    }
    let shown = page(&pool).await;
    assert_eq!(shown.value(usable), 0.0);
    let limited = r#"keypooler_feature_keys{tier="t",feature="f",state="rate_limited"}"#;
    assert_eq!(shown.value(limited), 3.0);
}

#[tokio::test]
async fn tiers_without_budgets_or_expiring_keys_say_nothing_of_them() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let shown = page(&pool).await.0;
    let of = |name: &str| shown.keys().filter(|sample| sample.starts_with(name)).count();
    assert_eq!(of("keypooler_budget_"), 0);
    assert_eq!(of("keypooler_next_key_expiry"), 0);
    assert_eq!(of("keypooler_keys_expiring"), 1);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_what_was_sent() {
    let pool = Pool::with_tier().await;
    let id = "0193a5e0-7a5c-7c3e-9f00-1c2d3e4f5a6b";
    pool.delete(&format!("/admin/keys/{id}")).await;
    pool.delete("/admin/keys/secret").await;
    pool.get("/nowhere/secret").await;
    pool.send("SECRET".parse().unwrap(), "/admin/keys", ADMIN, "").await;
    let shown = page(&pool).await;
    let of = |path: &str, method: &str, class: &str| {
        shown.value(&format!(
            r#"keypooler_http_requests_total{{path="{path}",method="{method}",status="{class}"}}"#
        ))
    };
    assert_eq!(of("/admin/keys/{id}", "DELETE", "4xx"), 2.0);
    assert_eq!(of("/admin/keys/{id}", "DELETE", "2xx"), 0.0);
    assert_eq!(of("-", "GET", "4xx"), 1.0);
    assert_eq!(of("/admin/keys", "-", "4xx"), 1.0);
    assert_eq!(of("/admin/tiers", "POST", "2xx"), 1.0);
    let took =
        r#"keypooler_http_request_duration_seconds_count{path="/admin/tiers",method="POST"}"#;
    assert_eq!(shown.value(took), 1.0);
}

/// Promise 8, and what could break the page's form.
#[tokio::test]
async fn names_are_escaped_and_nothing_of_consumers_keys_or_tokens_is_shown() {
    let pool = Pool::new().await;
    let tier = serde_json::json!({
        "name": "a \"tier\"\\ with {oddities=\"1\"} \u{2028} é",
        "features": { "f": { "rate_limit": 2 } },
    });
    assert_eq!(pool.post("/admin/tiers", &tier.to_string()).await.status, 201);
    let key = serde_json::json!({
        "name": "secret-name-of-a-key", "key": "secret-value", "tier": tier["name"],
        "secrets": { "secret-name": "secret-too" }, "metadata": { "a": "secret-metadata" },
    });
    let added = pool.post("/admin/keys", &key.to_string()).await.json();
    let (id, token) = pool.add_consumer("secret-consumer", &[tier["name"].as_str().unwrap()]).await;
    assert_eq!(pool.draw(&token, "f").await.status, 200);
    for accept in ["text/plain", "application/openmetrics-text"] {
        let shown = in_format(&pool, accept).await.text;
        let label = "{tier=\"a \\\"tier\\\"\\\\ with {oddities=\\\"1\\\"} \u{2028} é\",state=\"usable\"} 1\n";
        assert!(shown.contains(label), "{shown}");
        for secret in ["secret", &token, &id, added["id"].as_str().unwrap(), ADMIN, METRICS] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}

#[tokio::test]
async fn a_page_is_made_once_a_second_for_all_who_ask() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let first = page(&pool).await;
    assert_eq!(pool.draw(ADMIN, "f").await.status, 200);
    pool.clock.advance(Duration::from_millis(999));
    assert_eq!(Page::read(&pool.get("/metrics").await.text), first);
    let open = in_format(&pool, "application/openmetrics-text").await.text;
    assert!(open.contains("outcome=\"granted\"} 0\n"), "{open}");
    pool.clock.advance(Duration::from_millis(1));
    assert_eq!(Page::read(&pool.get("/metrics").await.text).draws("f", "granted"), 1.0);
}

/// Two replicas of Prometheus at one address that ask every second are far from it.
#[tokio::test]
async fn an_address_that_asks_without_pause_is_told_to_wait() {
    let pool = Pool::with_tier().await;
    for _ in 0..60 {
        for _ in 0..2 {
            assert_eq!(pool.send(Method::GET, "/metrics", METRICS, "").await.status, 200);
        }
        pool.clock.advance(Duration::from_secs(1));
    }
    pool.clock.advance(Duration::from_secs(1));
    for token in [METRICS, ADMIN].repeat(5) {
        assert_eq!(pool.send(Method::GET, "/metrics", token, "").await.status, 200);
    }
    // Refusals take their time, which passes at once here.
    tokio::time::pause();
    let asked = tokio::time::Instant::now();
    let refused = pool.send(Method::GET, "/metrics", METRICS, "").await;
    assert!(asked.elapsed() >= Duration::from_secs(1), "who asks without pause is made to pause");
    assert_eq!(refused.expect_problem(429, "throttled")["retry_after_seconds"], 2);
    assert_eq!(refused.header("retry-after"), Some("2"));
    tokio::time::resume();
    assert_eq!(pool.get("/admin/keys").await.status, 200, "all else is answered");
    tokio::time::pause();
    pool.send(Method::GET, "/metrics", "nobody", "").await.expect_problem(401, "unauthorized");

    pool.clock.advance(Duration::from_secs(1));
    pool.get("/metrics").await.expect_problem(429, "throttled");
    tokio::time::resume();
    pool.clock.advance(Duration::from_secs(1));
    assert_eq!(pool.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn tells_of_the_process_the_database_and_the_clock() {
    let pool = Pool::with_tier().await;
    let shown = page(&pool).await;
    assert_eq!(shown.value(r#"keypooler_database_info{driver="sqlite"}"#), 1.0);
    assert_eq!(
        shown.value(&format!(r#"keypooler_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION"))),
        1.0
    );
    for positive in [
        "keypooler_database_schema_version",
        "keypooler_database_file_bytes",
        "keypooler_last_commit_timestamp_seconds",
        "keypooler_uptime_seconds",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
        "process_start_time_seconds",
    ] {
        assert!(shown.value(positive) > 0.0, "{positive}");
    }
    assert!(shown.value("process_cpu_seconds_total") >= 0.0);
    assert_eq!(shown.value("keypooler_clock_offset_seconds"), 0.0);
    assert_eq!(shown.value("keypooler_clock_ahead_seconds"), 0.0);
    let ahead = crate::pool::START.as_millis() + 3 * 86_400_000;
    pool.clock.set_wall(keypool_engine::Timestamp::from_millis(ahead));
    let shown = page(&pool).await;
    let three_days = 3.0 * 86_400.0;
    assert_eq!(shown.value("keypooler_clock_offset_seconds"), 1.0 - three_days);
    assert_eq!(shown.value("keypooler_clock_ahead_seconds"), three_days - 1.0);
}
