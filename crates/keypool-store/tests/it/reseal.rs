//! New seals take the place of old ones where these still stand, and only there.

use keypool_core::Timestamp;
use keypool_store::{NewSeal, Origin, Resealing, StoredValue, WriteError};

use crate::support::{Fresh, NOON, dump, rows, run, seeded};

const SECRETS_AND_ORPHANS: &str = "
    INSERT INTO key_secrets (key_no, name, value) VALUES (1, 's', 'hush'), (1, 't', 'hush'), (2, 's', 'hush');
    INSERT INTO orphans (source, original) VALUES
        ('key_secrets', '{\"key_id\":\"gone\",\"name\":\"s\",\"value\":\"hush\"}'),
        ('key_secrets', '{\"key_id\":null,\"name\":null,\"value\":\"hush\"}'),
        ('key_secrets', '{\"key_id\":\"gone\",\"name\":\"t\",\"value\":null}'),
        ('consumer_scopes', '{\"value\":\"not a secret\"}')";

async fn with_secrets() -> Fresh {
    let fresh = seeded().await;
    run(&fresh.path(), SECRETS_AND_ORPHANS).await;
    fresh
}

fn resealing(base: i64, values: Vec<NewSeal>) -> Resealing {
    let origin = Origin::command("a test");
    Resealing { base, at: Timestamp::from_millis(NOON), origin, values }
}

fn new_seal(old: &StoredValue) -> NewSeal {
    NewSeal { old: old.clone(), text: format!("seal of {}", old.text) }
}

async fn texts(fresh: &Fresh) -> Vec<String> {
    rows(
        &fresh.path(),
        "SELECT key_uuid || '=' || key_value FROM keys
        UNION ALL SELECT key_no || '/' || name || '=' || value FROM key_secrets
        UNION ALL SELECT orphan_no || '=' || coalesce(original ->> 'value', '') FROM orphans",
    )
    .await
}

#[tokio::test]
async fn every_value_gets_its_own_new_seal() {
    let fresh = with_secrets().await;
    let before = texts(&fresh).await;
    let values = fresh.store.stored_values().await.unwrap();
    assert_eq!(values.len(), 3 + 3 + 2);
    assert!(values.iter().all(|value| !format!("{value:?}").contains("hush")));
    let seals = values.iter().map(new_seal).collect();
    fresh.store.reseal(&resealing(5, seals)).await.unwrap();

    let is_secret = |text: &&String| !text.ends_with("=") && !text.ends_with("not a secret");
    let expected: Vec<String> = before
        .iter()
        .map(
            |text| if is_secret(&text) { text.replacen('=', "=seal of ", 1) } else { text.clone() },
        )
        .collect();
    assert_eq!(texts(&fresh).await, expected);
    let revisions = rows(&fresh.path(), "SELECT key_no || ' ' || revision FROM keys").await;
    assert_eq!(revisions, ["1 6", "2 6", "3 6"]);
    let record = "SELECT what || ' ' || after || ' ' || origin FROM change_records JOIN changes USING (revision)
        WHERE revision = 6";
    assert_eq!(rows(&fresh.path(), record).await, ["reseal_values {\"values\":8} a test"]);
}

#[tokio::test]
async fn a_value_that_was_changed_meanwhile_stays_as_it_is() {
    let fresh = with_secrets().await;
    let mut values = fresh.store.stored_values().await.unwrap();
    let before = texts(&fresh).await;
    values.iter_mut().skip(1).for_each(|value| value.text.push('!'));
    let seals = values.iter().map(new_seal).collect();
    fresh.store.reseal(&resealing(5, seals)).await.unwrap();
    let changed: Vec<String> = texts(&fresh)
        .await
        .into_iter()
        .zip(before)
        .filter(|(after, before)| after != before)
        .map(|(after, _)| after)
        .collect();
    assert_eq!(changed, ["key-1=seal of value of 1"]);
}

#[tokio::test]
async fn on_another_revision_nothing_is_sealed() {
    let fresh = with_secrets().await;
    let values = fresh.store.stored_values().await.unwrap();
    let before = dump(&fresh.path()).await;
    let seals: Vec<NewSeal> = values.iter().map(new_seal).collect();
    let refused = fresh.store.reseal(&resealing(4, seals)).await;
    assert!(matches!(refused, Err(WriteError::Stale)), "{refused:?}");
    assert_eq!(dump(&fresh.path()).await, before);
}

#[tokio::test]
async fn wiping_what_remains_changes_nothing() {
    let fresh = with_secrets().await;
    let before = dump(&fresh.path()).await;
    fresh.store.wipe_remains().await.unwrap();
    assert_eq!(dump(&fresh.path()).await, before);
    assert!(rows(&fresh.path(), "SELECT 'broken' FROM pragma_foreign_key_check").await.is_empty());
    // It goes on as before.
    let values = fresh.store.stored_values().await.unwrap();
    let seals = values.iter().map(new_seal).collect();
    fresh.store.reseal(&resealing(5, seals)).await.unwrap();
}
