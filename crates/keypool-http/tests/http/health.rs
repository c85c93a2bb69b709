use http::Method;

use crate::pool::Pool;

#[tokio::test]
async fn answers_anyone() {
    let pool = Pool::new().await;
    let answer = pool.send(Method::GET, "/health", "", "").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"status":"ok"}"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn ignores_query_token_and_body() {
    let pool = Pool::new().await;
    let answer = pool.send(Method::GET, "/health?a=%zz&a=1", "no such token", "{").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn head_has_the_headers_without_the_body() {
    let pool = Pool::new().await;
    let answer = pool.send(Method::HEAD, "/health", "", "").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("content-length"), Some("15"));
}
