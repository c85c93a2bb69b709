//! Consumers and their scopes.

use std::sync::Arc;

use keypool_core::{ConsumerNo, TierNo, Timestamp};
use keypool_crypto::TokenDigest;
use keypool_store::{ChangeKind, ChangeRecord, ConsumerUpdate, Origin};

use super::shown::{self, Shown};
use super::tokens::new_token;
use super::{find_consumer, find_tier, find_tier_or_id, new_id, unknown};
use crate::live::{Live, Planned};
use crate::views::{ConsumerView, IssuedToken, ScopeView};
use crate::{AdminError, Engine, rules};

/// A consumer to be created.
#[derive(Clone, Debug, Default)]
pub struct NewConsumer {
    /// Its name, unique among consumers.
    pub name: String,
    /// What people want to know about it.
    pub description: String,
    /// Names of the tiers that it may draw from.
    pub scopes: Vec<String>,
    /// From this moment on its tokens are not accepted.
    pub expires_at: Option<Timestamp>,
}

/// What to change of a consumer; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ConsumerPatch {
    /// The new name, unique among consumers.
    pub name: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// Whether its tokens are accepted.
    pub is_active: Option<bool>,
    /// From this moment on they are not; `Some(None)` takes that away.
    pub expires_at: Option<Option<Timestamp>>,
}

impl Engine {
    /// Creates a consumer and issues its token, which is shown this once.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, name taken, unknown tier in its scopes, or unavailable.
    pub async fn add_consumer(
        &self,
        origin: &Origin,
        consumer: NewConsumer,
    ) -> Result<IssuedToken, AdminError> {
        rules::check_consumer(&consumer, self.now())?;
        let token = new_token()?;
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
                let new = keypool_store::NewConsumer {
                    no: ConsumerNo::new(live.roster.last.consumer + 1),
                    id: id.clone(),
                    name: consumer.name.clone(),
                    description: consumer.description.clone(),
                    token_hash: token_hash.clone(),
                    expires_at: consumer.expires_at,
                    scopes: scopes.collect::<Result<_, _>>()?,
                };
                let shown = Shown::default()
                    .with("name", &consumer.name)
                    .with("description", &consumer.description)
                    .with("is_active", true)
                    .with("expires_at", shown::moment(consumer.expires_at))
                    .with("scopes", shown::names(consumer.scopes.iter().map(|name| &**name)));
                let record = shown::added("add_consumer", &id, &consumer.name, &shown);
                Ok(Planned::one(ChangeKind::AddConsumer(new), record))
            }
        };
        self.change(origin, plan, |_| ()).await?;
        Ok(IssuedToken { id: id.into(), name, token })
    }

    /// Changes a consumer. One that is deactivated or has expired is nobody, its draws under way too.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, unknown, name taken, or unavailable.
    pub async fn update_consumer(
        &self,
        origin: &Origin,
        id: &str,
        patch: ConsumerPatch,
    ) -> Result<ConsumerView, AdminError> {
        patch.name.as_deref().map_or(Ok(()), |name| rules::check_name("name", name))?;
        patch.description.as_deref().map_or(Ok(()), rules::check_description)?;
        let changed = id.to_owned();
        let id = id.to_owned();
        let plan = move |live: &Live| {
            let no = find_consumer(live, &id)?;
            if let Some(name) = &patch.name
                && live.roster.consumer_named(name).is_some_and(|holder| holder != no)
            {
                return Err(AdminError::NameTaken { what: "consumer", name: name.clone() });
            }
            let record = record_of_patch(live, no, &patch);
            let ConsumerPatch { name, description, is_active, expires_at } = patch.clone();
            let update = ConsumerUpdate { no, name, description, active: is_active, expires_at };
            Ok(Planned::one(ChangeKind::UpdateConsumer(update), record))
        };
        let now = self.now();
        self.change(origin, plan, move |live| {
            let no =
                find_consumer(live, &changed).expect("a consumer that was just changed exists");
            live.consumer_view(no, &live.roster.consumers[&no], now)
        })
        .await
    }

    /// Removes a consumer and its scopes; its usage events stay.
    ///
    /// # Errors
    /// [`AdminError`]: unknown, or unavailable.
    pub async fn delete_consumer(&self, origin: &Origin, id: &str) -> Result<(), AdminError> {
        let id = id.to_owned();
        let plan = move |live: &Live| {
            let no = find_consumer(live, &id)?;
            let consumer = &live.roster.consumers[&no];
            let shown = live.shown_consumer(consumer);
            let record = shown::deleted("delete_consumer", &consumer.id, &consumer.name, &shown);
            Ok(Planned::one(ChangeKind::DeleteConsumer(no), record))
        };
        self.change(origin, plan, |_| ()).await
    }

    /// Lets a consumer draw from a tier, by the tier's name; twice is harmless.
    ///
    /// # Errors
    /// [`AdminError`]: unknown consumer or tier, or unavailable.
    pub async fn add_scope(
        &self,
        origin: &Origin,
        consumer_id: &str,
        tier: &str,
    ) -> Result<ScopeView, AdminError> {
        let granted = ScopeView { consumer_id: consumer_id.into(), tier: tier.into() };
        let (consumer_id, tier) = (consumer_id.to_owned(), tier.to_owned());
        let plan = move |live: &Live| {
            let consumer = find_consumer(live, &consumer_id)?;
            let tier = find_tier(live, &tier)?;
            let mut scopes = live.roster.consumers[&consumer].scopes.clone();
            scopes.push(tier);
            let record = record_of_scopes(live, "add_scope", consumer, &scopes);
            Ok(Planned::one(ChangeKind::AddScope { consumer, tier }, record))
        };
        self.change(origin, plan, |_| ()).await?;
        Ok(granted)
    }

    /// No longer lets a consumer draw from a tier, by the tier's name or id.
    ///
    /// # Errors
    /// [`AdminError`]: unknown consumer or tier, a scope that was not granted, or unavailable.
    pub async fn remove_scope(
        &self,
        origin: &Origin,
        consumer_id: &str,
        tier: &str,
    ) -> Result<(), AdminError> {
        let (consumer_id, name) = (consumer_id.to_owned(), tier.to_owned());
        let plan = move |live: &Live| {
            let consumer = find_consumer(live, &consumer_id)?;
            let tier = find_tier_or_id(live, &name)?;
            let left = live.roster.consumers[&consumer].scopes_without(tier);
            let left = left.ok_or_else(|| unknown("scope", &name))?;
            let record = record_of_scopes(live, "remove_scope", consumer, &left);
            Ok(Planned::one(ChangeKind::RemoveScope { consumer, tier }, record))
        };
        self.change(origin, plan, |_| ()).await
    }
}

fn record_of_patch(live: &Live, consumer: ConsumerNo, patch: &ConsumerPatch) -> ChangeRecord {
    let consumer = &live.roster.consumers[&consumer];
    let mut after = Shown::default();
    if let Some(name) = &patch.name {
        after = after.with("name", name);
    }
    if let Some(description) = &patch.description {
        after = after.with("description", description);
    }
    if let Some(is_active) = patch.is_active {
        after = after.with("is_active", is_active);
    }
    if let Some(expires_at) = patch.expires_at {
        after = after.with("expires_at", shown::moment(expires_at));
    }
    let name = patch.name.as_deref().unwrap_or(&consumer.name);
    shown::updated("update_consumer", &consumer.id, name, (live.shown_consumer(consumer), after))
}

/// The record of a consumer that is to have these scopes.
pub(super) fn record_of_scopes(
    live: &Live,
    what: &'static str,
    consumer: ConsumerNo,
    scopes: &[TierNo],
) -> ChangeRecord {
    let consumer = &live.roster.consumers[&consumer];
    let named = scopes.iter().filter_map(|tier| Some(&*live.roster.tiers.get(tier)?.name));
    let after = Shown::default().with("scopes", shown::names(named));
    shown::updated(what, &consumer.id, &consumer.name, (live.shown_consumer(consumer), after))
}
