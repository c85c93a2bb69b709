use http::Method;
use keypool_http::{App, HttpSettings, answer};

use crate::pool::{Answer, Pool, request};

#[tokio::test]
async fn is_public_and_says_so_in_a_word() {
    let pool = Pool::new().await;
    let answer = pool.send(Method::GET, "/ready", "", "").await;
    assert_eq!((answer.status, &*answer.text), (200, r#"{"status":"ready"}"#));
    let head = pool.send(Method::HEAD, "/ready", "", "").await;
    assert_eq!((head.status, &*head.text), (200, ""));
    assert_eq!(head.header("content-length"), Some("18"));
    pool.send(Method::GET, "/ready?verbose=1", "", "").await.expect_invalid("verbose");
}

#[tokio::test]
async fn is_503_once_nothing_can_be_recorded() {
    let pool = Pool::new().await;
    pool.engine.close().await;
    let answer = pool.send(Method::GET, "/ready", "", "").await;
    answer.expect_problem(503, "store_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(pool.send(Method::HEAD, "/ready", "", "").await.status, 503);
    assert_eq!(pool.send(Method::GET, "/health", "", "").await.status, 200);
}

#[tokio::test]
async fn is_503_while_the_server_finishes() {
    let pool = Pool::new().await;
    let app = App::new(pool.engine.clone(), &HttpSettings::default());
    let ready = async || {
        Answer::of(answer(&app, request(Method::GET, "/ready", "", String::new()), None).await)
            .await
    };
    assert_eq!(ready().await.status, 200);
    app.clone().drain();
    ready().await.expect_problem(503, "store_unavailable");
    pool.engine.ready().await.unwrap();
}
