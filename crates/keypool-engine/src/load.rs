//! From rows to the live pool: the snapshot that the store reads becomes core's numbers and the roster's names.

use std::collections::BTreeMap;
use std::sync::Arc;

use keypool_core::{ConsumerNo, FeatureTally, GrantId, KeyNo, Pool, ReplicaNo, Tally, Timestamp};
use keypool_crypto::{Fingerprint, SealedText, TokenDigest};
use keypool_store::{
    ConsumerRow, FormerToken, KeyRow, KeyUpdate, NewConsumer, NewKey, Snapshot, TierRow,
};
use serde_json::value::RawValue;

use crate::opener::Opener;
use crate::roster::{ConsumerEntry, KeyEntry, Roster, SealedKey, TierEntry};

/// A pool as the database has it, with nothing outstanding.
#[derive(Debug)]
pub(crate) struct LoadedPool {
    pub(crate) core: Pool,
    pub(crate) roster: Roster,
    pub(crate) revision: i64,
    pub(crate) latest_grant: Option<GrantId>,
    /// The last grants of consumers.
    pub(crate) uses: Vec<(ConsumerNo, GrantId)>,
    /// When it began to be read, by the steady clock.
    pub(crate) begun_ms: i64,
}

/// Builds the pool. Keys with a value that does not open are parked as damaged, with a line in the log.
pub(crate) fn load(
    mut snapshot: Snapshot,
    replica: ReplicaNo,
    begun_ms: i64,
    opener: Opener<'_>,
) -> LoadedPool {
    let mut core = Pool::new(replica);
    let mut roster = Roster::new(snapshot.last);
    let (revision, latest_grant) = (snapshot.revision, snapshot.latest_grant);
    let uses = std::mem::take(&mut snapshot.uses);
    apply_changes(snapshot, &mut core, &mut roster, opener);
    LoadedPool { core, roster, revision, latest_grant, uses, begun_ms }
}

/// Brings a pool to what a snapshot says: all of it, or what was changed.
pub(crate) fn apply_changes(
    snapshot: Snapshot,
    core: &mut Pool,
    roster: &mut Roster,
    opener: Opener<'_>,
) {
    roster.last = snapshot.last;
    for (number, name) in &snapshot.features {
        roster.put_feature(*number, name);
    }
    for row in snapshot.tiers {
        let number = row.no;
        let tier = tier_entry(row);
        core.put_tier(number, &tier.rate_limits());
        roster.put_tier(number, tier);
    }
    for number in snapshot.gone.keys {
        core.remove_key(number);
        roster.remove_key(number);
    }
    for row in snapshot.keys {
        let number = row.no;
        let counters: Vec<FeatureTally> = row.counters.iter().map(feature_tally).collect();
        let budget = tally(row.usage_window_start, row.usage_count);
        let mut key = key_entry(row);
        match opener.examine(&key.sealed) {
            Ok(fingerprint) => key.fingerprint = Some(fingerprint),
            Err(error) => {
                tracing::error!(key_id = %key.sealed.id, name = %key.name, %error, "a key is damaged and is not granted");
            }
        }
        core.put_key(number, key.terms());
        core.adopt(number, budget, &counters);
        roster.put_key(number, key);
    }
    for number in snapshot.gone.tiers {
        if core.remove_tier(number).is_err() {
            tracing::error!(tier = number.get(), "a tier that is gone still holds keys here");
        }
        roster.remove_tier(number);
    }
    for number in snapshot.gone.consumers {
        roster.remove_consumer(number);
    }
    for row in snapshot.consumers {
        let number = row.no;
        roster.remove_consumer(number);
        roster.put_consumer(number, consumer_entry(row));
    }
    if let Some(newest) = snapshot.latest_grant {
        core.remember_grant(newest);
    }
}

/// A key as it is in memory from the moment that the database has it.
pub(crate) fn added_key(key: NewKey, fingerprint: Fingerprint, at: Timestamp) -> (KeyNo, KeyEntry) {
    let sealed = SealedKey {
        id: key.id.into(),
        value: SealedText::from(key.value),
        metadata: key.metadata.into(),
        secrets: seal_names(key.secrets),
    };
    let entry = KeyEntry {
        name: key.name.into(),
        tier: key.tier,
        is_active: true,
        expires_at: key.expires_at,
        usage_limit: key.usage_limit,
        usage_window_secs: key.usage_window_secs,
        created_at: at,
        fingerprint: Some(fingerprint),
        sealed: Arc::new(sealed),
    };
    (key.no, entry)
}

/// A key as it is in memory once it was changed, without the fingerprint of a value that it did not have before.
pub(crate) fn updated_key(key: &KeyEntry, update: &KeyUpdate) -> KeyEntry {
    let mut secrets: BTreeMap<Arc<str>, SealedText> = key.sealed.secrets.iter().cloned().collect();
    for (name, value) in &update.secrets {
        match value {
            Some(value) => drop(secrets.insert(name.as_str().into(), value.clone().into())),
            None => drop(secrets.remove(name.as_str())),
        }
    }
    let sealed = SealedKey {
        id: Arc::clone(&key.sealed.id),
        value: update.value.clone().map_or_else(|| key.sealed.value.clone(), SealedText::from),
        metadata: update
            .metadata
            .as_deref()
            .map_or_else(|| Arc::clone(&key.sealed.metadata), Arc::from),
        secrets: secrets.into_iter().collect(),
    };
    KeyEntry {
        name: update.name.as_str().into(),
        tier: update.tier,
        is_active: update.active,
        expires_at: update.expires_at,
        usage_limit: update.usage_limit,
        usage_window_secs: update.usage_window_secs,
        created_at: key.created_at,
        fingerprint: key.fingerprint,
        sealed: Arc::new(sealed),
    }
}

/// A consumer as it is in memory from the moment that the database has it.
pub(crate) fn added_consumer(consumer: NewConsumer, at: Timestamp) -> (ConsumerNo, ConsumerEntry) {
    let mut scopes = consumer.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    let entry = ConsumerEntry {
        id: consumer.id.into(),
        name: consumer.name.into(),
        description: consumer.description.into(),
        is_active: true,
        expires_at: consumer.expires_at,
        created_at: at,
        token: TokenDigest::from_hex(&consumer.token_hash).ok(),
        token_issued_at: at,
        former_tokens: Vec::new(),
        scopes,
    };
    (consumer.no, entry)
}

fn tier_entry(row: TierRow) -> TierEntry {
    TierEntry {
        id: row.id.into(),
        name: row.name.into(),
        description: row.description.into(),
        features: row.features,
    }
}

fn key_entry(row: KeyRow) -> KeyEntry {
    let is_object =
        row.metadata.starts_with('{') && serde_json::from_str::<&RawValue>(&row.metadata).is_ok();
    let metadata = if is_object { row.metadata } else { "{}".to_owned() };
    let sealed = SealedKey {
        id: row.id.into(),
        value: SealedText::from(row.value),
        metadata: metadata.into(),
        secrets: seal_names(row.secrets),
    };
    KeyEntry {
        name: row.name.into(),
        tier: row.tier,
        is_active: row.active,
        expires_at: row.expires_at,
        usage_limit: row.usage_limit,
        usage_window_secs: row.usage_window_secs,
        created_at: row.created_at,
        fingerprint: None,
        sealed: Arc::new(sealed),
    }
}

fn consumer_entry(row: ConsumerRow) -> ConsumerEntry {
    let mut scopes = row.scopes;
    scopes.sort_unstable();
    let former =
        |former: FormerToken| Some((TokenDigest::from_hex(&former.token_hash).ok()?, former.until));
    ConsumerEntry {
        id: row.id.into(),
        name: row.name.into(),
        description: row.description.into(),
        is_active: row.active,
        expires_at: row.expires_at,
        created_at: row.created_at,
        token: TokenDigest::from_hex(&row.token_hash).ok(),
        token_issued_at: row.token_issued_at,
        former_tokens: row.former_tokens.into_iter().filter_map(former).collect(),
        scopes,
    }
}

fn seal_names(secrets: Vec<(String, String)>) -> Vec<(Arc<str>, SealedText)> {
    let mut secrets: Vec<(Arc<str>, SealedText)> =
        secrets.into_iter().map(|(name, text)| (name.into(), SealedText::from(text))).collect();
    secrets.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    secrets
}

pub(crate) fn feature_tally(row: &keypool_store::CounterRow) -> FeatureTally {
    FeatureTally {
        feature: row.feature,
        rate: tally(row.window_start, row.used),
        last_grant: row.last_grant,
    }
}

pub(crate) fn tally(since: Option<Timestamp>, count: i64) -> Tally {
    Tally { since, count: u64::try_from(count).unwrap_or(0) }
}
