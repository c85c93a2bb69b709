//! Like values are found by fingerprints, of which nothing is at rest.

use std::sync::Arc;

use keypool_engine::{KeyPatch, NewKey, Plain};

use crate::support::*;

fn plain(value: &str) -> Plain {
    Plain::from(value.to_owned())
}

#[tokio::test]
async fn a_key_that_holds_the_value_of_another_is_told_the_oldest() {
    let home = Home::new();
    let engine = with_keys(&home, 2, None).await;
    let ids: Vec<_> = engine.keys().await.iter().map(|key| Arc::clone(&key.id)).collect();
    let like = |name: &str, value: &str| NewKey { value: plain(value), ..key(name, "t") };
    let original = async |name, value| {
        let added = engine.add_key(&origin(), like(name, value)).await.unwrap();
        added.duplicate_of
    };
    assert_eq!(original("a", "value-of-k2").await.as_ref(), Some(&ids[1]));
    assert_eq!(original("b", "value-of-k2").await.as_ref(), Some(&ids[1]));
    assert_eq!(original("c", "value-of-k3").await, None);
    let many = vec![like("d", "new"), like("e", "value-of-k1"), like("f", "new"), like("g", "new")];
    let added = engine.add_keys(&origin(), many).await.unwrap();
    let first = Arc::clone(&added[0].key.id);
    let originals: Vec<_> = added.into_iter().map(|added| added.duplicate_of).collect();
    assert_eq!(originals, [None, Some(Arc::clone(&ids[0])), Some(Arc::clone(&first)), Some(first)]);

    let rotated = KeyPatch { value: Some(plain("rotated")), ..KeyPatch::default() };
    engine.update_key(&origin(), &ids[0], rotated).await.unwrap();
    engine.delete_key(&origin(), &ids[1]).await.unwrap();
    assert_eq!(original("h", "rotated").await.as_ref(), Some(&ids[0]));
    assert_ne!(original("i", "value-of-k1").await.as_ref(), Some(&ids[0]));
    assert_ne!(original("j", "value-of-k2").await.as_ref(), Some(&ids[1]));
    engine.close().await;
    let engine = home.open().await;
    let added = engine.add_key(&origin(), like("k", "rotated")).await.unwrap();
    assert_eq!(added.duplicate_of.as_ref(), Some(&ids[0]), "after a restart, too");
    engine.close().await;
}
