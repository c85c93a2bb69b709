//! Changes by an admin, as they are asked for.

use std::collections::HashMap;
use std::sync::Arc;

use keypool_core::{ConsumerNo, KeyNo, TierNo, Timestamp};
use keypool_crypto::{Place, Plain, Token, TokenDigest};
use keypool_store::{ChangeKind, TierFeature};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::live::{Live, PendingChange};
use crate::rules;
use crate::views::{AddedConsumer, KeyView, ScopeView, TierView};
use crate::{AdminError, Engine, Invalid, Unavailable};

/// A rate limit as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureLimit {
    /// Calls per window and key.
    pub rate_limit: i64,
    /// Length of the window, in seconds.
    pub window_seconds: i64,
}

impl FeatureLimit {
    /// The window's length where none is given, in seconds.
    pub const DEFAULT_WINDOW_SECONDS: i64 = 60;
}

/// A tier to be created.
#[derive(Clone, Debug)]
pub struct NewTier {
    /// Its name, unique among tiers.
    pub name: String,
    /// What people want to know about it.
    pub description: String,
    /// What it covers; at least one feature.
    pub features: Vec<(String, FeatureLimit)>,
}

/// What to change of a tier; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct TierPatch {
    /// The new description.
    pub description: Option<String>,
    /// The new features, replacing all there were.
    pub features: Option<Vec<(String, FeatureLimit)>>,
}

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

/// A consumer to be created.
#[derive(Clone, Debug)]
pub struct NewConsumer {
    /// Its name, unique among consumers.
    pub name: String,
    /// What people want to know about it.
    pub description: String,
    /// Names of the tiers that it may draw from.
    pub scopes: Vec<String>,
}

impl Engine {
    /// Creates a tier.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, name taken, or unavailable.
    pub async fn add_tier(&self, tier: NewTier) -> Result<TierView, AdminError> {
        rules::check_name("name", &tier.name)?;
        rules::check_features(&tier.features, |name| self.knows_feature(name))?;
        let id = new_id();
        let features = stored_features(&tier.features);
        let plan = {
            let id = id.clone();
            move |live: &Live| {
                if live.roster.tier_named(&tier.name).is_some() {
                    return Err(AdminError::NameTaken { what: "tier", name: tier.name.clone() });
                }
                let (features, new_features) = live.number_features(&features);
                Ok(ChangeKind::AddTier(keypool_store::NewTier {
                    no: TierNo::new(live.roster.last.tier + 1),
                    id: id.clone(),
                    name: tier.name.clone(),
                    description: tier.description.clone(),
                    features,
                    new_features,
                }))
            }
        };
        self.change(plan, move |live| {
            let tier = live.roster.tiers.values().find(|tier| *tier.id == *id);
            live.tier_view(tier.expect("a tier that was just added exists"))
        })
        .await
    }

    /// Changes a tier by its name; the change holds for the keys in it at once.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, unknown, or unavailable.
    pub async fn update_tier(&self, name: &str, patch: TierPatch) -> Result<TierView, AdminError> {
        rules::check_name("name", name)?;
        if let Some(features) = &patch.features {
            rules::check_features(features, |name| self.knows_feature(name))?;
        }
        let features = patch.features.as_deref().map(stored_features);
        let tier = name.to_owned();
        let plan = move |live: &Live| {
            let no = find_tier(live, &tier)?;
            let (features, new_features) = match &features {
                Some(features) => {
                    let (features, new_features) = live.number_features(features);
                    (Some(features), new_features)
                }
                None => (None, Vec::new()),
            };
            Ok(ChangeKind::UpdateTier {
                no,
                description: patch.description.clone(),
                features,
                new_features,
            })
        };
        let name = name.to_owned();
        self.change(plan, move |live| {
            let tier =
                live.roster.tier_named(&name).and_then(|number| live.roster.tiers.get(&number));
            live.tier_view(tier.expect("a tier that was just changed exists"))
        })
        .await
    }

    /// Adds one key.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, unknown tier, or unavailable.
    pub async fn add_key(&self, key: NewKey) -> Result<KeyView, AdminError> {
        rules::check_key(&key, self.now())?;
        let mut added = self.insert_keys(vec![key]).await?;
        Ok(added.pop().expect("one key was added"))
    }

    /// Adds keys, all or none.
    ///
    /// # Errors
    /// [`AdminError`]: invalid (the field begins with the element, as in `[3].name`), unknown tier, or unavailable.
    pub async fn add_keys(&self, keys: Vec<NewKey>) -> Result<Vec<KeyView>, AdminError> {
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
        self.insert_keys(keys).await
    }

    async fn insert_keys(&self, keys: Vec<NewKey>) -> Result<Vec<KeyView>, AdminError> {
        let sealed =
            keys.into_iter().map(|key| self.seal_key(key)).collect::<Result<Vec<_>, _>>()?;
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
            Ok(ChangeKind::AddKeys(keys))
        };
        let now = self.now();
        self.change(plan, move |live| {
            let view = |id: &String| {
                let number = live.roster.key_with_id(id).expect("a key that was just added exists");
                live.key_view(number, &live.roster.keys[&number], now)
            };
            ids.iter().map(view).collect()
        })
        .await
    }

    /// The key as it will be stored, still without its number and its tier's, with the name of that tier.
    fn seal_key(&self, key: NewKey) -> Result<(String, keypool_store::NewKey), AdminError> {
        let id = new_id();
        let seal = |place: Place<'_>, value: &Plain| {
            let sealed = self.shared.sealer.seal(place, value.expose());
            sealed.map(|text| text.as_str().to_owned()).map_err(|error| {
                tracing::error!(%error, "a value could not be sealed");
                AdminError::Unavailable(Unavailable::Store)
            })
        };
        let value = seal(Place::KeyValue { key: &id }, &key.value)?;
        let seal_secret = |(name, value): &(String, Plain)| {
            Ok((name.clone(), seal(Place::Secret { key: &id, name }, value)?))
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

    /// Removes a key and its secrets; its usage events stay.
    ///
    /// # Errors
    /// [`AdminError`]: unknown, or unavailable.
    pub async fn delete_key(&self, id: &str) -> Result<(), AdminError> {
        let id = id.to_owned();
        let plan = move |live: &Live| {
            let number = live.roster.key_with_id(&id);
            number.map(ChangeKind::DeleteKey).ok_or_else(|| unknown("key", &id))
        };
        self.change(plan, |_| ()).await
    }

    /// Creates a consumer and issues its token, which is shown this once.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, name taken, unknown tier in its scopes, or unavailable.
    pub async fn add_consumer(&self, consumer: NewConsumer) -> Result<AddedConsumer, AdminError> {
        rules::check_consumer(&consumer)?;
        let token = Token::generate().map_err(|error| {
            tracing::error!(%error, "a token could not be made");
            AdminError::Unavailable(Unavailable::Store)
        })?;
        let token_hash = TokenDigest::of(token.expose()).to_hex();
        let id = new_id();
        let name: Arc<str> = consumer.name.as_str().into();
        let plan = {
            let id = id.clone();
            move |live: &Live| {
                if live.roster.consumer_named(&consumer.name).is_some() {
                    return Err(AdminError::NameTaken {
                        what: "consumer",
                        name: consumer.name.clone(),
                    });
                }
                let scopes = consumer.scopes.iter().map(|tier| find_tier(live, tier));
                Ok(ChangeKind::AddConsumer(keypool_store::NewConsumer {
                    no: ConsumerNo::new(live.roster.last.consumer + 1),
                    id: id.clone(),
                    name: consumer.name.clone(),
                    description: consumer.description.clone(),
                    token_hash: token_hash.clone(),
                    scopes: scopes.collect::<Result<_, _>>()?,
                }))
            }
        };
        self.change(plan, |_| ()).await?;
        Ok(AddedConsumer { id: id.into(), name, token })
    }

    /// Removes a consumer and its scopes; its usage events stay.
    ///
    /// # Errors
    /// [`AdminError`]: unknown, or unavailable.
    pub async fn delete_consumer(&self, id: &str) -> Result<(), AdminError> {
        let id = id.to_owned();
        let plan = move |live: &Live| Ok(ChangeKind::DeleteConsumer(find_consumer(live, &id)?));
        self.change(plan, |_| ()).await
    }

    /// Lets a consumer draw from a tier, by the tier's name; twice is harmless.
    ///
    /// # Errors
    /// [`AdminError`]: unknown consumer or tier, or unavailable.
    pub async fn add_scope(&self, consumer_id: &str, tier: &str) -> Result<ScopeView, AdminError> {
        rules::check_name("tier", tier)?;
        let granted = ScopeView { consumer_id: consumer_id.into(), tier: tier.into() };
        let (consumer_id, tier) = (consumer_id.to_owned(), tier.to_owned());
        let plan = move |live: &Live| {
            let consumer = find_consumer(live, &consumer_id)?;
            Ok(ChangeKind::AddScope { consumer, tier: find_tier(live, &tier)? })
        };
        self.change(plan, |_| ()).await?;
        Ok(granted)
    }

    /// No longer lets a consumer draw from a tier, by the tier's name or id.
    ///
    /// # Errors
    /// [`AdminError`]: unknown consumer or tier, a scope that was not granted, or unavailable.
    pub async fn remove_scope(&self, consumer_id: &str, tier: &str) -> Result<(), AdminError> {
        let (consumer_id, name) = (consumer_id.to_owned(), tier.to_owned());
        let plan = move |live: &Live| {
            let consumer = find_consumer(live, &consumer_id)?;
            let tier = live.roster.tier_named(&name).or_else(|| live.roster.tier_with_id(&name));
            let tier = tier.ok_or_else(|| unknown("tier", &name))?;
            let scopes = &live.roster.consumers[&consumer].scopes;
            if scopes.binary_search(&tier).is_err() {
                return Err(unknown("scope", &name));
            }
            Ok(ChangeKind::RemoveScope { consumer, tier })
        };
        self.change(plan, |_| ()).await
    }

    /// Queues a change behind everything that was asked before it, and waits until it was made or refused.
    async fn change<T: Send + 'static>(
        &self,
        plan: impl Fn(&Live) -> Result<ChangeKind, AdminError> + Send + 'static,
        view: impl FnOnce(&Live) -> T + Send + 'static,
    ) -> Result<T, AdminError> {
        let (reply, made) = oneshot::channel();
        let done = move |outcome: Result<&Live, AdminError>| {
            // Whoever asked may be gone; the change was made all the same.
            let _ = reply.send(outcome.map(view));
        };
        self.shared.live().enqueue(PendingChange { plan: Box::new(plan), done: Box::new(done) });
        self.shared.wake();
        made.await.unwrap_or(Err(AdminError::Unavailable(Unavailable::Closing)))
    }
}

fn find_tier(live: &Live, name: &str) -> Result<TierNo, AdminError> {
    live.roster.tier_named(name).ok_or_else(|| unknown("tier", name))
}

fn find_consumer(live: &Live, id: &str) -> Result<ConsumerNo, AdminError> {
    live.roster.consumer_with_id(id).ok_or_else(|| unknown("consumer", id))
}

fn unknown(what: &'static str, name: &str) -> AdminError {
    AdminError::Unknown { what, name: name.to_owned() }
}

fn stored_features(features: &[(String, FeatureLimit)]) -> Vec<(String, TierFeature)> {
    let stored = |limit: &FeatureLimit| TierFeature {
        rate_limit: limit.rate_limit,
        window_secs: limit.window_seconds,
    };
    features.iter().map(|(name, limit)| (name.clone(), stored(limit))).collect()
}

/// A fresh UUID of version 7. Its time part is the random generator's wall clock and means nothing here.
fn new_id() -> String {
    Uuid::now_v7().to_string()
}
