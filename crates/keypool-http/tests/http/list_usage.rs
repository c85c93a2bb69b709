use std::time::Duration;

use serde_json::json;

use crate::pool::{ADMIN, Pool, members_of};

const PATH: &str = "/admin/usage";

/// A pool with seven events, a millisecond apart: five by two keys, two by a third.
async fn used() -> Pool {
    let pool = Pool::with_tier().await;
    for name in ["a", "b", "c"] {
        pool.add_key(name, "").await;
    }
    for _ in 0..7 {
        assert_eq!(pool.draw(ADMIN, "g").await.status, 200);
        pool.clock.advance(Duration::from_millis(1));
    }
    pool
}

#[tokio::test]
async fn lists_newest_first_to_the_millisecond() {
    let pool = used().await;
    let (id, token) = pool.add_consumer("c", &["t"]).await;
    let drawn = pool.draw(&token, "f").await.json();
    let listed = pool.get(PATH).await;
    assert_eq!(listed.status, 200);
    assert_eq!(listed.header("link"), None);
    let events = listed.json();
    assert_eq!(events.as_array().unwrap().len(), 8);
    let newest = json!({
        "key_id": drawn["key_id"], "consumer_id": id, "feature": "f",
        "created_at": "2026-11-23T16:00:00.007Z", "draw_id": drawn["draw_id"],
        "key_name": "a", "consumer_name": "c",
    });
    assert_eq!(events[0], newest);
    assert_eq!(events[7]["created_at"], "2026-11-23T16:00:00.000Z");
    assert_eq!((&events[7]["consumer_id"], &events[7]["feature"]), (&json!("admin"), &json!("g")));
    let first = listed.text.split("},{").next().unwrap().strip_prefix('[').unwrap();
    let members = "key_id consumer_id feature created_at draw_id key_name consumer_name";
    assert_eq!(members_of(first).join(" "), members);
}

#[tokio::test]
async fn is_an_empty_array_at_first() {
    assert_eq!(Pool::new().await.get(PATH).await.text, "[]");
}

#[tokio::test]
async fn pages_by_its_link_to_the_end() {
    let pool = used().await;
    let all = pool.get(PATH).await.json();
    let mut seen = Vec::new();
    let mut next = Some(format!("{PATH}?limit=3"));
    while let Some(path) = next {
        let page = pool.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        seen.extend(page.json().as_array().unwrap().iter().cloned());
        next = page.header("link").map(|link| {
            let address = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
            assert!(address.starts_with("/admin/usage?limit=3&before="), "{address}");
            address.to_owned()
        });
    }
    assert_eq!(json!(seen), all);
}

#[tokio::test]
async fn the_last_page_has_no_link_even_if_it_is_full() {
    let pool = used().await;
    for (limit, count, has_next) in [(6, 6, true), (7, 7, false), (8, 7, false)] {
        let listed = pool.get(&format!("{PATH}?limit={limit}")).await;
        assert_eq!(listed.json().as_array().unwrap().len(), count);
        assert_eq!(listed.header("link").is_some(), has_next, "limit {limit}");
    }
    let key = pool.get("/admin/keys").await.json()[0]["id"].as_str().unwrap().to_owned();
    let count = pool.get(&format!("{PATH}?key={key}")).await.json().as_array().unwrap().len();
    let full = pool.get(&format!("{PATH}?key={key}&limit={count}")).await;
    assert_eq!(full.header("link"), None);
}

#[tokio::test]
async fn filters_by_key_and_keeps_the_filter_over_pages() {
    let pool = used().await;
    let id = pool.get("/admin/keys").await.json()[0]["id"].as_str().unwrap().to_owned();
    let listed = pool.get(&format!("{PATH}?key={id}&limit=2")).await;
    let events = listed.json();
    assert_eq!(events.as_array().unwrap().len(), 2);
    assert!(events.as_array().unwrap().iter().all(|event| event["key_id"] == *id));
    let next = listed.header("link").unwrap();
    assert!(next.contains(&format!("&key={id}&before=")), "{next}");
    assert_eq!(pool.get(&format!("{PATH}?key=nobody")).await.text, "[]");
    assert_eq!(pool.get(&format!("{PATH}?key=%00%C3%A9")).await.text, "[]");
}

/// The draw ids of a list.
fn ids(list: &serde_json::Value) -> Vec<String> {
    let events = list.as_array().unwrap().iter();
    events.map(|event| event["draw_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn filters_by_all_that_is_given_and_keeps_it_over_pages() {
    let pool = used().await;
    let (consumer, token) = pool.add_consumer("c", &["t"]).await;
    for feature in ["f", "g", "f", "g", "f"] {
        assert_eq!(pool.draw(&token, feature).await.status, 200);
        pool.clock.advance(Duration::from_millis(1));
    }
    let all = pool.get(PATH).await.json();
    let meeting = |holds: &dyn Fn(&serde_json::Value) -> bool| {
        ids(&json!(all.as_array().unwrap().iter().filter(|event| holds(event)).collect::<Vec<_>>()))
    };
    let key = all[3]["key_id"].clone();
    let key = key.as_str().unwrap();
    let at = |ms: u32| format!("2026-11-23T16:00:00.{ms:03}Z");
    let (two, ten) = (at(2), at(10));
    let between = |event: &serde_json::Value| {
        let created_at = event["created_at"].as_str().unwrap();
        created_at >= &*two && created_at < &*ten
    };
    let cases: [(String, Vec<String>); 6] = [
        (format!("consumer={consumer}"), meeting(&|event| event["consumer_id"] == *consumer)),
        ("consumer=admin".to_owned(), meeting(&|event| event["consumer_id"] == "admin")),
        ("feature=f".to_owned(), meeting(&|event| event["feature"] == "f")),
        (format!("since={two}&until={ten}"), meeting(&between)),
        (
            format!("key={key}&feature=g&since={two}"),
            meeting(&|event| {
                event["key_id"] == key
                    && event["feature"] == "g"
                    && event["created_at"].as_str().unwrap() >= &*two
            }),
        ),
        (
            format!("until={ten}&consumer={consumer}&feature=f"),
            meeting(&|event| {
                event["consumer_id"] == *consumer && event["feature"] == "f" && between(event)
            }),
        ),
    ];
    for (filters, expected) in cases {
        assert!(!expected.is_empty() && expected.len() < 12, "{filters}: {expected:?}");
        let mut seen = Vec::new();
        let mut next = Some(format!("{PATH}?limit=2&{filters}"));
        while let Some(path) = next {
            let page = pool.get(&path).await;
            seen.extend(ids(&page.json()));
            next =
                page.header("link").map(|link| link.split(['<', '>']).nth(1).unwrap().to_owned());
        }
        assert_eq!(seen, expected, "{filters}");
    }
}

#[tokio::test]
async fn the_next_page_is_addressed_with_the_filters_escaped() {
    let pool = used().await;
    let since = "since=2026-11-23T17:00:00%2B01:00";
    let listed = pool.get(&format!("{PATH}?feature=g&limit=3&consumer=admin&{since}")).await;
    let last = ids(&listed.json())[2].clone();
    let expected = format!(
        "<{PATH}?limit=3&consumer=admin&feature=g&since=2026-11-23T17%3A00%3A00%2B01%3A00&before={last}>; rel=\"next\""
    );
    assert_eq!(listed.header("link"), Some(&*expected));
    assert_eq!(listed.json().as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_nothing_bears_is_met_by_no_event() {
    let pool = used().await;
    for filter in [
        "key=nobody",
        "consumer=nobody",
        "consumer=",
        "feature=none",
        "feature=%00",
        "key=a&consumer=b",
    ] {
        let listed = pool.get(&format!("{PATH}?{filter}")).await;
        assert_eq!((listed.status, &*listed.text), (200, "[]"), "{filter}");
    }
    let backwards = "since=2026-11-23T16:00:01Z&until=2026-11-23T16:00:00Z";
    assert_eq!(pool.get(&format!("{PATH}?{backwards}")).await.text, "[]");
}

#[tokio::test]
async fn events_of_the_deleted_are_found_by_id_under_their_names() {
    let pool = Pool::with_tier().await;
    let key = pool.add_key("gone", "").await;
    let (consumer, token) = pool.add_consumer("left", &["t"]).await;
    pool.draw(&token, "f").await;
    pool.delete(&format!("/admin/keys/{key}")).await;
    pool.delete(&format!("/admin/consumers/{consumer}")).await;
    for filter in [format!("key={key}"), format!("consumer={consumer}")] {
        let event = pool.get(&format!("{PATH}?{filter}")).await.json()[0].clone();
        assert_eq!((&event["key_name"], &event["consumer_name"]), (&json!("gone"), &json!("left")));
    }
}

#[tokio::test]
async fn limits_above_a_thousand_are_a_thousand() {
    let pool = used().await;
    for limit in ["1000", "1001", "18446744073709551616"] {
        let listed = pool.get(&format!("{PATH}?limit={limit}")).await;
        assert_eq!(listed.json().as_array().unwrap().len(), 7);
    }
}

/// Promise 9.
#[tokio::test]
async fn names_what_is_invalid() {
    let pool = Pool::new().await;
    for limit in ["0", "-1", "ten", "", "1.5", "%2B1", "1&limit=1"] {
        pool.get(&format!("{PATH}?limit={limit}")).await.expect_invalid("limit");
    }
    for before in ["", "1", "zzzzzzzzzzzzzzzz", "ffffffffffffffff", "%C3%A9%C3%A9%C3%A9%C3%A9"] {
        pool.get(&format!("{PATH}?before={before}")).await.expect_invalid("before");
    }
    for moment in ["", "soon", "2026-11-23", "1795450279", "2026-11-23T18:00:00+02:00"] {
        pool.get(&format!("{PATH}?since={moment}")).await.expect_invalid("since");
        pool.get(&format!("{PATH}?until={moment}")).await.expect_invalid("until");
    }
    pool.get(&format!("{PATH}?feature=f&feature=f")).await.expect_invalid("feature");
    pool.get(&format!("{PATH}?key=%ff")).await.expect_invalid("key");
    pool.get(&format!("{PATH}?offset=5")).await.expect_invalid("offset");
}

#[tokio::test]
async fn answers_503_once_the_store_is_closed() {
    let pool = Pool::new().await;
    pool.engine.close().await;
    pool.get(PATH).await.expect_problem(503, "store_unavailable");
}
