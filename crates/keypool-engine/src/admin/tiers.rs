//! Tiers and what they cover.

use keypool_core::TierNo;
use keypool_store::{ChangeKind, ChangeRecord, Origin, TierFeature, TierUpdate};
use serde::Serialize;

use super::consumers::record_of_scopes;
use super::shown::{self, Shown};
use super::{find_tier, find_tier_with_id, new_id};
use crate::live::{Live, Planned};
use crate::views::TierView;
use crate::{AdminError, Engine, rules};

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
    /// The new name, unique among tiers.
    pub name: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// The new features, replacing all there were.
    pub features: Option<Vec<(String, FeatureLimit)>>,
}

impl Engine {
    /// Creates a tier.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, name taken, or unavailable.
    pub async fn add_tier(&self, origin: &Origin, tier: NewTier) -> Result<TierView, AdminError> {
        rules::check_name("name", &tier.name)?;
        rules::check_description(&tier.description)?;
        rules::check_features(&tier.features, |name| self.knows_feature(name))?;
        let id = new_id();
        let features = stored_features(&tier.features);
        let plan = {
            let id = id.clone();
            move |live: &Live| {
                if live.roster.tier_named(&tier.name).is_some() {
                    return Err(AdminError::NameTaken { what: "tier", name: tier.name.clone() });
                }
                let shown = Shown::default()
                    .with("name", &tier.name)
                    .with("description", &tier.description)
                    .with("features", shown_features(&tier.features));
                let record = shown::added("add_tier", &id, &tier.name, &shown);
                let (features, new_features) = live.number_features(&features);
                let new = keypool_store::NewTier {
                    no: TierNo::new(live.roster.last.tier + 1),
                    id: id.clone(),
                    name: tier.name.clone(),
                    description: tier.description.clone(),
                    features,
                    new_features,
                };
                Ok(Planned::one(ChangeKind::AddTier(new), record))
            }
        };
        self.change(origin, plan, move |live| {
            let tier = live.roster.tiers.values().find(|tier| *tier.id == *id);
            live.tier_view(tier.expect("a tier that was just added exists"))
        })
        .await
    }

    /// Changes a tier by its name; the change holds for the keys in it at once.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, unknown, name taken, or unavailable.
    pub async fn update_tier(
        &self,
        origin: &Origin,
        name: &str,
        patch: TierPatch,
    ) -> Result<TierView, AdminError> {
        self.patch_tier(origin, (find_tier, name), patch).await
    }

    /// Changes a tier by its id; the change holds for the keys in it at once.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, unknown, name taken, or unavailable.
    pub async fn update_tier_by_id(
        &self,
        origin: &Origin,
        id: &str,
        patch: TierPatch,
    ) -> Result<TierView, AdminError> {
        self.patch_tier(origin, (find_tier_with_id, id), patch).await
    }

    async fn patch_tier(
        &self,
        origin: &Origin,
        (find, tier): (FindTier, &str),
        patch: TierPatch,
    ) -> Result<TierView, AdminError> {
        patch.name.as_deref().map_or(Ok(()), |name| rules::check_name("name", name))?;
        patch.description.as_deref().map_or(Ok(()), rules::check_description)?;
        if let Some(features) = &patch.features {
            rules::check_features(features, |name| self.knows_feature(name))?;
        }
        let (old, new_name) = (tier.to_owned(), patch.name.clone());
        let plan = {
            let features = patch.features.as_deref().map(stored_features);
            let tier = tier.to_owned();
            move |live: &Live| {
                let no = find(live, &tier)?;
                if let Some(name) = &patch.name
                    && live.roster.tier_named(name).is_some_and(|holder| holder != no)
                {
                    return Err(AdminError::NameTaken { what: "tier", name: name.clone() });
                }
                let numbered = features.as_deref().map(|features| live.number_features(features));
                let (features, new_features) = numbered.unzip();
                let update = TierUpdate {
                    no,
                    name: patch.name.clone(),
                    description: patch.description.clone(),
                    features,
                    new_features: new_features.unwrap_or_default(),
                };
                let record = record_of_patch(live, no, &patch);
                Ok(Planned::one(ChangeKind::UpdateTier(update), record))
            }
        };
        self.change(origin, plan, move |live| {
            let number = new_name.map_or_else(|| find(live, &old), |name| find_tier(live, &name));
            let number = number.expect("a tier that was just changed exists");
            live.tier_view(&live.roster.tiers[&number])
        })
        .await
    }

    /// Removes a tier that holds no key, and the scopes on it; usage events stay.
    ///
    /// # Errors
    /// [`AdminError`]: unknown, in use, or unavailable.
    pub async fn delete_tier(&self, origin: &Origin, id: &str) -> Result<(), AdminError> {
        let id = id.to_owned();
        let plan = move |live: &Live| {
            let no = find_tier_with_id(live, &id)?;
            let tier = &live.roster.tiers[&no];
            let keys = live.roster.keys.values().filter(|key| key.tier == no).count();
            if keys > 0 {
                return Err(AdminError::TierInUse { name: tier.name.to_string(), keys });
            }
            let scopes = live.roster.consumers.iter().filter_map(|(consumer, entry)| {
                entry
                    .scopes_without(no)
                    .map(|left| record_of_scopes(live, "remove_scope", *consumer, &left))
            });
            let tier = shown::deleted("delete_tier", &tier.id, &tier.name, &live.shown_tier(tier));
            let records = std::iter::once(tier).chain(scopes).collect();
            Ok(Planned::of(ChangeKind::DeleteTier(no), records))
        };
        self.change(origin, plan, |_| ()).await
    }
}

/// How a tier is found that a caller names.
type FindTier = fn(&Live, &str) -> Result<TierNo, AdminError>;

fn record_of_patch(live: &Live, tier: TierNo, patch: &TierPatch) -> ChangeRecord {
    let tier = &live.roster.tiers[&tier];
    let mut after = Shown::default();
    if let Some(name) = &patch.name {
        after = after.with("name", name);
    }
    if let Some(description) = &patch.description {
        after = after.with("description", description);
    }
    if let Some(features) = &patch.features {
        after = after.with("features", shown_features(features));
    }
    let name = patch.name.as_deref().unwrap_or(&tier.name);
    shown::updated("update_tier", &tier.id, name, (live.shown_tier(tier), after))
}

fn shown_features(features: &[(String, FeatureLimit)]) -> impl Serialize {
    let limits = features.iter().map(|(name, it)| (&**name, it.rate_limit, it.window_seconds));
    shown::features(limits)
}

fn stored_features(features: &[(String, FeatureLimit)]) -> Vec<(String, TierFeature)> {
    let stored = |limit: &FeatureLimit| TierFeature {
        rate_limit: limit.rate_limit,
        window_secs: limit.window_seconds,
    };
    features.iter().map(|(name, limit)| (name.clone(), stored(limit))).collect()
}
