//! Promise 5 beside a server: what a guest changed holds from the moment that it has left, also where the server only refuses
//! or lists; and a guest keeps off what is the server's.

use std::fs::File;
use std::time::Duration;

use keypool_engine::{
    EncryptionKey, Engine, Guest, NewKey, OpenError, OtherKeys, Refusal, Sealer, Unnoticed,
};
use keypool_store::OpenStoreError;

use crate::support::*;

async fn guest(home: &Home) -> Guest {
    Guest::open("a guest", home.settings(Sealer::plain())).await.unwrap()
}

async fn names(engine: &Engine) -> Vec<String> {
    engine.keys().await.iter().map(|key| key.name.to_string()).collect()
}

#[tokio::test]
async fn what_a_guest_changed_holds_when_it_has_left() {
    let home = Home::new();
    let server = with_keys(&home, 1, None).await;
    assert_eq!(refusal(draw(&server, "g").await), Refusal::UnknownFeature);

    let visitor = guest(&home).await;
    add_tier(visitor.engine(), "u", &[("g", limit(9, 60))]).await;
    visitor.engine().add_key(&origin(), key("k2", "u")).await.unwrap();
    let first = visitor.engine().keys().await[0].id.to_string();
    visitor.engine().delete_key(&origin(), &first).await.unwrap();
    visitor.leave().await.unwrap();

    assert_eq!(names(&server).await, ["k2"]);
    assert_eq!(value(&server, "g").await, "value-of-k2");
    assert_eq!(refusal(draw(&server, "f").await), Refusal::NoUsableKey);
    server.close().await;
}

#[tokio::test]
async fn a_guest_sees_and_respects_what_the_server_changes_meanwhile() {
    let home = Home::new();
    let server = with_keys(&home, 1, None).await;
    let visitor = guest(&home).await;
    server.add_key(&origin(), key("k2", "t")).await.unwrap();
    visitor.engine().add_key(&origin(), key("k3", "t")).await.unwrap();
    server.add_key(&origin(), key("k4", "t")).await.unwrap();
    visitor.engine().add_key(&origin(), key("k5", "t")).await.unwrap();
    visitor.leave().await.unwrap();
    assert_eq!(names(&server).await, ["k1", "k2", "k3", "k4", "k5"]);
    server.close().await;
}

/// What it sealed would be damaged for the server, or plain where the server refuses that.
#[tokio::test]
async fn a_guest_with_another_encryption_key_than_the_server_is_refused() {
    fn key(digit: &str) -> Sealer {
        Sealer::with_key(EncryptionKey::parse_hex(&digit.repeat(64)).unwrap())
    }
    let sealers: [fn() -> Sealer; 3] = [Sealer::plain, || key("a"), || key("b")];
    let home = Home::new();
    for (nth, server) in sealers.iter().enumerate() {
        let server = Engine::open(home.settings(server())).await.unwrap();
        for (other, sealer) in sealers.iter().enumerate() {
            let visitor = Guest::open("a guest", home.settings(sealer())).await;
            match visitor {
                Ok(visitor) => {
                    assert_eq!(nth, other);
                    visitor.leave().await.unwrap();
                }
                Err(error) => {
                    assert_ne!(nth, other);
                    assert!(matches!(error, OpenError::Host(OtherKeys::Different)), "{error:?}");
                }
            }
        }
        server.close().await;
    }
}

#[tokio::test]
async fn the_server_s_draws_go_on_beside_a_guest() {
    let home = Home::new();
    let server = with_keys(&home, 2, Some(1_000)).await;
    let visitor = guest(&home).await;
    let changes = async {
        for n in 0..20 {
            let name = format!("k{n}-of-the-guest");
            visitor
                .engine()
                .add_key(&origin(), NewKey { usage_limit: Some(1), ..key(&name, "t") })
                .await
                .unwrap();
        }
    };
    let draws = async {
        for _ in 0..200 {
            draw(&server, "f").await.unwrap();
        }
    };
    tokio::join!(changes, draws);
    visitor.leave().await.unwrap();
    assert_eq!(server.keys().await.len(), 22);
    assert_eq!(home.number("SELECT count(*) FROM usage_events").await, 200);
    assert_counters_equal_events(&home).await;
    server.close().await;
}

#[tokio::test]
async fn a_server_may_start_and_end_while_a_guest_is_there() {
    let home = Home::new();
    with_keys(&home, 1, None).await.close().await;
    let visitor = guest(&home).await;
    visitor.engine().add_key(&origin(), key("k2", "t")).await.unwrap();
    let server = home.open().await;
    visitor.engine().add_key(&origin(), key("k3", "t")).await.unwrap();
    server.close().await;
    let server = home.open().await;
    visitor.leave().await.unwrap();
    assert_eq!(names(&server).await, ["k1", "k2", "k3"]);
    server.close().await;
    // Where nobody serves, nobody is waited for.
    let visitor = guest(&home).await;
    visitor.engine().add_key(&origin(), key("k4", "t")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), visitor.leave()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_take_it_over_is_waited_for_and_told_of() {
    let home = Home::new();
    with_keys(&home, 1, None).await.close().await;
    let visitor = guest(&home).await;
    // Somebody holds the lock as a server does, and does nothing.
    let lock = File::open(home.path.with_extension("db.lock")).unwrap();
    lock.try_lock().unwrap();
    visitor.engine().add_key(&origin(), key("k2", "t")).await.unwrap();
    tokio::time::pause();
    let unnoticed = visitor.leave().await.unwrap_err();
    assert!(matches!(unnoticed, Unnoticed::Late), "{unnoticed:?}");
}

#[tokio::test]
async fn a_guest_makes_and_migrates_nothing() {
    let home = Home::new();
    let refused = Guest::open("a guest", home.settings(Sealer::plain())).await.unwrap_err();
    let OpenError::Store(OpenStoreError::Missing { path }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(path, home.path);
    assert!(!home.path.exists());

    with_keys(&home, 1, None).await.close().await;
    let forget = "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)";
    sqlx::query(forget).execute(&mut home.intruder().await).await.unwrap();
    let older = home.number("SELECT max(version) FROM schema_migrations").await;
    let refused = Guest::open("a guest", home.settings(Sealer::plain())).await.unwrap_err();
    let said = format!("{refused:?}");
    assert!(matches!(refused, OpenError::Store(OpenStoreError::Older { .. })), "{said}");
    assert_eq!(home.number("SELECT max(version) FROM schema_migrations").await, older);
}
