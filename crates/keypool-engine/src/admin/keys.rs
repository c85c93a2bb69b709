//! Keys and their secrets: sealed here, before anything of them is written.

use std::collections::HashMap;
use std::sync::Arc;

use keypool_core::{KeyNo, TierNo, Timestamp};
use keypool_crypto::{Fingerprint, Place, Plain};
use keypool_store::{ChangeKind, ChangeRecord, Origin};

use super::shown::{self, Shown};
use super::{find_key, find_tier, new_id};
use crate::live::{Live, Planned};
use crate::views::AddedKey;
use crate::{AdminError, Engine, Invalid, Unavailable, rules};

/// A key to be added.
#[derive(Debug)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Plain,
    /// The name of its tier.
    pub tier: String,
    /// From this moment on it is not granted.
    pub expires_at: Option<Timestamp>,
    /// Units per budget window, or for life.
    pub usage_limit: Option<i64>,
    /// Length of the budget window, in seconds; only with a limit.
    pub usage_window_seconds: Option<i64>,
    /// The text of a JSON object, kept as it is; none means `{}`.
    pub metadata: Option<String>,
    /// Further named values that travel with it.
    pub secrets: Vec<(String, Plain)>,
}

impl Engine {
    /// Adds one key.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, unknown tier, or unavailable.
    pub async fn add_key(&self, origin: &Origin, key: NewKey) -> Result<AddedKey, AdminError> {
        rules::check_key(&key, self.now())?;
        let mut added = self.insert_keys(origin, vec![key]).await?;
        Ok(added.pop().expect("one key was added"))
    }

    /// Adds keys, all or none.
    ///
    /// # Errors
    /// [`AdminError`]: invalid (the field begins with the element, as in `[3].name`), unknown tier, or unavailable.
    pub async fn add_keys(
        &self,
        origin: &Origin,
        keys: Vec<NewKey>,
    ) -> Result<Vec<AddedKey>, AdminError> {
        if !(1..=rules::KEYS_AT_ONCE).contains(&keys.len()) {
            let problem = format!("an array takes 1 to {} keys", rules::KEYS_AT_ONCE);
            return Err(Invalid { field: "[]".to_owned(), problem }.into());
        }
        let now = self.now();
        for (index, key) in keys.iter().enumerate() {
            rules::check_key(key, now).map_err(|invalid| Invalid {
                field: format!("[{index}].{}", invalid.field),
                ..invalid
            })?;
        }
        self.insert_keys(origin, keys).await
    }

    async fn insert_keys(
        &self,
        origin: &Origin,
        keys: Vec<NewKey>,
    ) -> Result<Vec<AddedKey>, AdminError> {
        let fingerprint = |key: &NewKey| self.shared.fingerprinter.of(&key.value);
        let fingerprints: Arc<[Fingerprint]> = keys.iter().map(fingerprint).collect();
        let sealed =
            keys.into_iter().map(|key| self.seal_key(key)).collect::<Result<Vec<_>, _>>()?;
        // Before the pool is locked for the plan: there may be many.
        let records: Arc<[ChangeRecord]> = sealed.iter().map(record_of_new).collect();
        let ids: Vec<String> = sealed.iter().map(|(_, key)| key.id.clone()).collect();
        let plan = move |live: &Live| {
            let mut tiers: HashMap<&str, TierNo> = HashMap::new();
            let mut keys = Vec::with_capacity(sealed.len());
            for ((tier, key), offset) in sealed.iter().zip(1..) {
                let number = match tiers.get(tier.as_str()) {
                    Some(number) => *number,
                    None => *tiers.entry(tier).or_insert(find_tier(live, tier)?),
                };
                let no = KeyNo::new(live.roster.last.key + offset);
                keys.push(keypool_store::NewKey { no, tier: number, ..key.clone() });
            }
            let what = ChangeKind::AddKeys(keys);
            let (records, fingerprints) = (Arc::clone(&records), Arc::clone(&fingerprints));
            Ok(Planned { what, records, fingerprints })
        };
        let now = self.now();
        self.change(origin, plan, move |live| {
            let view = |id: &String| {
                let number = live.roster.key_with_id(id).expect("a key that was just added exists");
                live.added_key(number, now)
            };
            ids.iter().map(view).collect()
        })
        .await
    }

    /// The key as it will be stored, still without its number and its tier's, with the name of that tier.
    fn seal_key(&self, key: NewKey) -> Result<(String, keypool_store::NewKey), AdminError> {
        let id = new_id();
        let value = self.seal(Place::KeyValue { key: &id }, &key.value)?;
        let seal_secret = |(name, value): &(String, Plain)| {
            Ok((name.clone(), self.seal(Place::Secret { key: &id, name }, value)?))
        };
        let secrets = key.secrets.iter().map(seal_secret).collect::<Result<_, AdminError>>()?;
        let stored = keypool_store::NewKey {
            no: KeyNo::new(0),
            id,
            name: key.name,
            tier: TierNo::new(0),
            value,
            expires_at: key.expires_at,
            usage_limit: key.usage_limit,
            usage_window_secs: key.usage_window_seconds,
            metadata: key.metadata.unwrap_or_else(|| "{}".to_owned()),
            secrets,
        };
        Ok((key.tier, stored))
    }

    /// A value as it is stored in its place.
    pub(super) fn seal(&self, place: Place<'_>, value: &Plain) -> Result<String, AdminError> {
        let sealed = self.shared.sealer.seal(place, value.expose());
        sealed.map(|text| text.as_str().to_owned()).map_err(|error| {
            tracing::error!(%error, "a value could not be sealed");
            AdminError::Unavailable(Unavailable::Store)
        })
    }

    /// Removes a key and its secrets; its usage events stay.
    ///
    /// # Errors
    /// [`AdminError`]: unknown, or unavailable.
    pub async fn delete_key(&self, origin: &Origin, id: &str) -> Result<(), AdminError> {
        let id = id.to_owned();
        let plan = move |live: &Live| {
            let no = find_key(live, &id)?;
            let key = &live.roster.keys[&no];
            let shown = live.shown_key(key);
            let record = shown::deleted("delete_key", &key.sealed.id, &key.name, &shown);
            Ok(Planned::one(ChangeKind::DeleteKey(no), record))
        };
        self.change(origin, plan, |_| ()).await
    }
}

fn record_of_new((tier, key): &(String, keypool_store::NewKey)) -> ChangeRecord {
    let shown = Shown::default()
        .with("name", &key.name)
        .with("tier", tier)
        .with("is_active", true)
        .with("expires_at", shown::moment(key.expires_at))
        .with("usage_limit", key.usage_limit)
        .with("usage_window_seconds", key.usage_window_secs)
        .with("metadata", shown::json(&key.metadata))
        .with("secret_names", shown::names(key.secrets.iter().map(|(name, _)| &**name)));
    shown::added("add_key", &key.id, &key.name, &shown)
}
