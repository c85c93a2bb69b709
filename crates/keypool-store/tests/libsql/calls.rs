//! How a server is called: round trips, connections, streams, deadlines, tokens, certificates.

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use keypool_store::{DriverError, LibsqlSettings, StoreError, WriteError};
use keypool_test_server::{Fault, ServerSettings, TlsIdentity, When};
use secrecy::SecretString;

use crate::server::{Server, hasty};
use crate::support::{at_noon, batch, consumer, draw, grant, run, seed};

#[tokio::test]
async fn a_batch_of_draws_is_one_request_and_leaves_nothing_open() {
    let server = Server::start().await;
    let store = server.open().await;
    seed(&store).await;
    store.commit_draws(&batch(5, &[draw(1, grant(0, 0))])).await.unwrap();
    let before = server.counts().requests();
    for n in 1..=10 {
        // Out of order, too: events of several replicas pass each other on the way.
        let at = if n % 2 == 0 { n * 10 } else { n };
        store
            .commit_draws(&batch(
                5,
                &[draw(1, grant(at, 0)), draw(2, grant(at, 1))]
                    .map(|draw| crate::support::Draw { key: 1, ..draw }),
            ))
            .await
            .unwrap();
    }
    assert_eq!(server.counts().requests() - before, 10);
    assert_eq!(store.check_counters().await.unwrap(), []);
}

#[tokio::test]
async fn a_change_is_one_request() {
    let server = Server::start().await;
    let store = server.open().await;
    seed(&store).await;
    let before = server.counts().requests();
    store
        .change(&at_noon(5, keypool_store::ChangeKind::AddConsumer(consumer(2, "it's", &[1]))))
        .await
        .unwrap();
    assert_eq!(server.counts().requests() - before, 1);
}

#[tokio::test]
async fn a_read_is_one_request_once_it_is_prepared_and_streams_do_not_pile_up() {
    let server = Server::start().await;
    let store = server.open().await;
    store.revision().await.unwrap();
    let before = server.counts().requests();
    for _ in 0..200 {
        store.revision().await.unwrap();
    }
    assert_eq!(server.counts().requests() - before, 200);
    assert!(server.counts().peak_streams() <= 4, "{}", server.counts().peak_streams());
}

#[tokio::test]
async fn connections_are_as_many_as_allowed_and_one_is_enough() {
    for most in [1, 3] {
        let server = Server::start().await;
        let connections = NonZeroUsize::new(most).unwrap();
        let store = server.open_with(|settings| LibsqlSettings { connections, ..settings }).await;
        seed(&store).await;
        let store = Arc::new(store);
        let mut reads = tokio::task::JoinSet::new();
        for n in 0..40 {
            let store = Arc::clone(&store);
            reads.spawn(async move {
                store.load().await.unwrap();
                store.commit_draws(&batch(5, &[draw(1, grant(n, 0))])).await.unwrap();
            });
        }
        reads.join_all().await;
        assert!(server.counts().sockets() <= most as u64, "{}", server.counts().sockets());
        assert_eq!(store.check_counters().await.unwrap(), []);
    }
}

#[tokio::test]
async fn streams_that_expired_or_a_server_that_started_again_are_no_failure() {
    let mut server = Server::start().await;
    let store = server.open().await;
    seed(&store).await;
    store.load().await.unwrap();
    server.faults().expire_streams();
    assert_eq!(store.revision().await.unwrap(), 5);
    server.server.restart().await.unwrap();
    assert_eq!(store.revision().await.unwrap(), 5);
    server.server.restart().await.unwrap();
    store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await.unwrap();
}

#[tokio::test]
async fn a_list_that_broke_off_is_an_error_and_never_a_shorter_pool() {
    let server = Server::start().await;
    let store = server.open().await;
    seed(&store).await;
    store.load().await.unwrap();
    store.commit_draws(&batch(5, &[draw(1, grant(1, 0)), draw(2, grant(1, 1))])).await.unwrap();
    for fault in [Fault::TruncatedCursor, Fault::TruncatedJson] {
        server.faults().inject(fault, When::always());
        let read = store.load().await;
        assert!(matches!(read, Err(StoreError::Read(_))), "{fault:?}: {read:?}");
        let read = store.standing_of(&[keypool_core::KeyNo::new(1)]).await;
        assert!(read.is_err(), "{fault:?}: {read:?}");
        let every = keypool_store::UsageQuery { limit: 100, ..Default::default() };
        let read = store.list_usage(&every).await;
        assert!(read.is_err(), "{fault:?}: {read:?}");
        assert!(store.check_counters().await.is_err(), "{fault:?}");
        server.faults().clear();
    }
    assert_eq!(store.load().await.unwrap().keys.len(), 3);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    let server = Server::start().await;
    let store = server.open_with(hasty).await;
    seed(&store).await;
    server.faults().inject(Fault::Hang, When::always());
    let drawn = batch(5, &[draw(1, grant(1, 0))]);
    let outcome = tokio::time::timeout(Duration::from_secs(8), store.commit_draws(&drawn)).await;
    assert!(matches!(outcome, Ok(Err(WriteError::InDoubt(_)))), "{outcome:?}");
    server.faults().clear();
}

#[tokio::test]
async fn long_reads_leave_a_connection_for_draws_and_waiting_for_one_is_no_doubt() {
    for (most, is_taken) in [(3, true), (1, false)] {
        let server = Server::start().await;
        let connections = NonZeroUsize::new(most).unwrap();
        let store = server.open_with(|settings| LibsqlSettings { connections, ..hasty(settings) });
        let store = Arc::new(store.await);
        seed(&store).await;
        let slow = Fault::DelayBefore(Duration::from_secs(2));
        let slow = server.faults().inject(slow, When::always().matching("ORDER BY e.id DESC"));
        let mut lists = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let store = Arc::clone(&store);
            let every = keypool_store::UsageQuery { limit: 100, ..Default::default() };
            lists.spawn(async move { drop(store.list_usage(&every).await) });
        }
        while slow.hits() == 0 {
            tokio::task::yield_now().await;
        }
        let outcome = store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await;
        match outcome {
            Ok(()) => assert!(is_taken),
            Err(error) => assert!(!is_taken && matches!(error, WriteError::Failed(_)), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_page_that_is_no_text_ends_as_an_error() {
    let server = Server::start().await;
    let store = server.open_with(hasty).await;
    server.faults().inject(Fault::BadGateway, When::always());
    let read = store.load().await;
    assert!(matches!(read, Err(StoreError::Read(DriverError::Unanswered(_)))), "{read:?}");
    server.faults().clear();
    store.load().await.unwrap();
}

#[tokio::test]
async fn a_time_of_sending_that_is_off_the_databases_clock_is_refused_either_way() {
    let server = Server::start().await;
    let leeway = Some(Duration::from_secs(1));
    let store =
        server.open_with(|settings| LibsqlSettings { clock_leeway: leeway, ..settings }).await;
    seed(&store).await;
    server.faults().set_clock(Some(1_900_000_000_000));
    for (sent, is_fine) in [(-1_001, false), (-1_000, true), (1_000, true), (1_001, false)] {
        let mut drawn = batch(5, &[draw(1, grant(sent + 5_000, 0))]);
        drawn.sent_at = Some(keypool_core::Timestamp::from_millis(1_900_000_000_000 + sent));
        let outcome = store.commit_draws(&drawn).await;
        let is_as_expected = match &outcome {
            Ok(()) => is_fine,
            Err(error) => !is_fine && matches!(error, WriteError::Clock),
        };
        assert!(is_as_expected, "{sent}: {outcome:?}");
    }
    assert_eq!(store.pulse().await.unwrap().now.as_millis(), 1_900_000_000_000);
}

#[tokio::test]
async fn a_replica_of_an_older_version_is_refused_its_next_batch_and_change() {
    let server = Server::start().await;
    let store = server.open().await;
    seed(&store).await;
    run(&server.path(), "INSERT INTO schema_migrations (version, name) VALUES (99, 'later')").await;
    let drawn = store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await;
    assert!(matches!(drawn, Err(WriteError::Upgraded)), "{drawn:?}");
    let change = at_noon(5, keypool_store::ChangeKind::AddConsumer(consumer(2, "late", &[])));
    let changed = store.change(&change).await;
    assert!(matches!(changed, Err(WriteError::Upgraded)), "{changed:?}");
    assert!(!store.pulse().await.unwrap().is_known_schema);
}

#[tokio::test]
async fn a_number_that_is_issued_again_fences_off_whoever_had_it() {
    let server = Server::start().await;
    let (one, other) = (server.open().await, server.open().await);
    seed(&one).await;
    run(&server.path(), "UPDATE pool SET last_replica = (last_replica + 1023) % 1024").await;
    other.issue_replica().await.unwrap();
    let drawn = one.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await;
    assert!(matches!(drawn, Err(WriteError::Fenced)), "{drawn:?}");
    let change = at_noon(5, keypool_store::ChangeKind::AddConsumer(consumer(2, "late", &[])));
    assert!(matches!(one.change(&change).await, Err(WriteError::Fenced)));
    other.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await.unwrap();
}

/// An error with all its causes.
fn whole(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_said_and_never_shown() {
    let secret = |token: &str| Some(SecretString::from(token));
    let token = Some("the-right-token".to_owned());
    let server = Server::start_with(|settings| ServerSettings { token, ..settings }).await;
    let right = |settings| LibsqlSettings { auth_token: secret("the-right-token"), ..settings };
    server.open_with(right).await;
    for wrong in [None, secret("hush-wrong-token")] {
        let refused = server.inspect(|settings| LibsqlSettings { auth_token: wrong, ..settings });
        let refused = refused.await.unwrap_err();
        let said = whole(&refused);
        assert!(said.contains("refuses the token"), "{said}");
        assert!(!format!("{said} {refused:?}").contains("hush"), "{said}");
    }
}

#[tokio::test]
async fn a_certificate_is_checked_against_the_file_of_those_who_may_vouch() {
    let identity = TlsIdentity::localhost();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, &identity.certificate).unwrap();
    let server =
        Server::start_with(|settings| ServerSettings { tls: Some(identity), ..settings }).await;
    let trusting = |settings| LibsqlSettings { ca_file: Some(file.clone()), ..settings };
    let store = server.open_with(trusting).await;
    store.load().await.unwrap();

    let refused = server.inspect(hasty).await.unwrap_err();
    assert!(whole(&refused).to_lowercase().contains("certificate"), "{}", whole(&refused));
    std::fs::write(&file, "no certificate").unwrap();
    let refused = server.inspect(trusting).await.unwrap_err();
    assert!(whole(&refused).contains("DATABASE_CA_FILE"), "{}", whole(&refused));
}

#[tokio::test]
async fn replicas_that_start_together_bring_a_database_to_its_schema_once() {
    let (_folder, path) = crate::support::original("SELECT 1").await;
    let at = ServerSettings::at(&path);
    let server = keypool_test_server::TestServer::start(at).await.unwrap();
    let settings = || crate::fresh::settings_of(&server.url());
    let mut prospects = Vec::new();
    for _ in 0..3 {
        prospects.push(keypool_store::inspect(settings()).await.unwrap());
    }
    let opened = prospects.into_iter().map(|prospect| async {
        let store = prospect.open().await.unwrap();
        store.load().await.unwrap().keys.len()
    });
    let mut all = tokio::task::JoinSet::new();
    opened.for_each(|opened| drop(all.spawn(opened)));
    assert_eq!(all.join_all().await, [8, 8, 8]);
}
