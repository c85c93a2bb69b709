//! Keys and their secrets: sealed here, before anything of them is written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use keypool_core::{KeyNo, TierNo, Timestamp};
use keypool_crypto::{Fingerprint, Place, Plain};
use keypool_store::{ChangeKind, ChangeRecord, Origin};

use super::shown::{self, Shown};
use super::{find_key, find_tier, new_id};
use crate::live::{Live, Planned};
use crate::roster::Roster;
use crate::views::AddedKey;
use crate::{AdminError, Engine, Invalid, SameNames, Unavailable, rules};

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

/// What becomes of keys that the pool has already when their turn comes.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// They are added once more.
    Added,
    /// They are refused, by their value and by what is said of names.
    Refused(SameNames),
}

impl Engine {
    /// Adds one key.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, unknown tier, or unavailable.
    pub async fn add_key(&self, origin: &Origin, key: NewKey) -> Result<AddedKey, AdminError> {
        rules::check_key(&key, self.now())?;
        let mut added = self.insert_keys(origin, vec![key], Known::Added).await?;
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
        self.check_keys(&keys)?;
        self.insert_keys(origin, keys, Known::Added).await
    }

    /// Adds keys, all or none, to a pool that has none of them when their turn comes: not by its value nor, unless that is
    /// allowed, by its name. Values and names that stand twice among them are not looked for.
    ///
    /// # Errors
    /// Those of [`Engine::add_keys`]; what the pool has is invalid, as `[3].key` or `[3].name`.
    pub async fn add_new_keys(
        &self,
        origin: &Origin,
        keys: Vec<NewKey>,
        names: SameNames,
    ) -> Result<Vec<AddedKey>, AdminError> {
        self.check_keys(&keys)?;
        self.insert_keys(origin, keys, Known::Refused(names)).await
    }

    fn check_keys(&self, keys: &[NewKey]) -> Result<(), Invalid> {
        if !(1..=rules::KEYS_AT_ONCE).contains(&keys.len()) {
            let problem = format!("an array takes 1 to {} keys", rules::KEYS_AT_ONCE);
            return Err(Invalid { field: "[]".to_owned(), problem });
        }
        let now = self.now();
        for (index, key) in keys.iter().enumerate() {
            rules::check_key(key, now).map_err(|invalid| Invalid {
                field: format!("[{index}].{}", invalid.field),
                ..invalid
            })?;
        }
        Ok(())
    }

    async fn insert_keys(
        &self,
        origin: &Origin,
        keys: Vec<NewKey>,
        known: Known,
    ) -> Result<Vec<AddedKey>, AdminError> {
        let fingerprint = |key: &NewKey| self.shared.fingerprinter.of(&key.value);
        let fingerprints: Arc<[Fingerprint]> = keys.iter().map(fingerprint).collect();
        let sealed =
            keys.into_iter().map(|key| self.seal_key(key)).collect::<Result<Vec<_>, _>>()?;
        // Before the pool is locked for the plan: there may be many.
        let records: Arc<[ChangeRecord]> = sealed.iter().map(record_of_new).collect();
        let ids: Vec<String> = sealed.iter().map(|(_, key)| key.id.clone()).collect();
        let plan = move |live: &Live| {
            if let Known::Refused(names) = known {
                refuse_known(&live.roster, &sealed, &fingerprints, names)?;
            }
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

/// Refuses the first key that the pool has by its value, or by its name.
fn refuse_known(
    roster: &Roster,
    keys: &[(String, keypool_store::NewKey)],
    fingerprints: &[Fingerprint],
    names: SameNames,
) -> Result<(), Invalid> {
    let taken: HashSet<&str> = match names {
        SameNames::Refuse => roster.keys.values().map(|key| &*key.name).collect(),
        SameNames::Allow => HashSet::new(),
    };
    for (index, ((_, key), fingerprint)) in keys.iter().zip(fingerprints).enumerate() {
        let field = match () {
            () if roster.oldest_with_value(*fingerprint).is_some() => "key",
            () if taken.contains(key.name.as_str()) => "name",
            () => continue,
        };
        let problem = "is in the pool already".to_owned();
        return Err(Invalid { field: format!("[{index}].{field}"), problem });
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keypool_crypto::Sealer;
    use keypool_store::{SqliteSettings, Synchronous};

    use super::*;
    use crate::{Clock, EngineSettings, FeatureLimit, Guest, NewTier};

    fn key(name: &str, value: &str) -> NewKey {
        NewKey {
            name: name.to_owned(),
            value: Plain::from(value.to_owned()),
            tier: "t".to_owned(),
            expires_at: None,
            usage_limit: None,
            usage_window_seconds: None,
            metadata: None,
            secrets: Vec::new(),
        }
    }

    /// The guest has read the pool before the server adds a key to it.
    #[tokio::test]
    async fn keys_that_the_pool_has_got_meanwhile_are_not_added_again() {
        let folder = tempfile::tempdir().unwrap();
        let settings = || EngineSettings {
            store: SqliteSettings {
                path: folder.path().join("pool.db"),
                synchronous: Synchronous::Normal,
                busy_timeout: Duration::from_millis(500),
            }
            .into(),
            sealer: Sealer::plain(),
            admin_tokens: Vec::new(),
            clock: Clock::System,
            accept_clock: true,
        };
        let server = Engine::open(settings()).await.unwrap();
        let origin = Origin::command("a test");
        let limit = FeatureLimit { rate_limit: 1, window_seconds: 60 };
        let features = vec![("f".to_owned(), limit)];
        let tier = NewTier { name: "t".to_owned(), description: String::new(), features };
        server.add_tier(&origin, tier).await.unwrap();
        let guest = Guest::open("a guest", settings()).await.unwrap();
        server.add_key(&origin, key("b", "2")).await.unwrap();

        let added = async |keys: [NewKey; 2], names| {
            let added = guest.engine().add_new_keys(guest.origin(), keys.into(), names).await;
            added.map(|added| added.len()).map_err(|error| error.to_string())
        };
        let refused = |field: &str| -> Result<usize, String> {
            Err(format!("{field}: is in the pool already"))
        };
        let by_value = || [key("a", "1"), key("c", "2")];
        assert_eq!(added(by_value(), SameNames::Allow).await, refused("[1].key"));
        let by_name = || [key("a", "1"), key("b", "3")];
        assert_eq!(added(by_name(), SameNames::Refuse).await, refused("[1].name"));
        assert_eq!(server.keys().await.len(), 1, "all or none");
        assert_eq!(added(by_name(), SameNames::Allow).await, Ok(2));
        guest.leave().await.unwrap();
        assert_eq!(server.keys().await.len(), 3);
        server.close().await;
    }
}
