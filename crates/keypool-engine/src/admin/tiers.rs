//! Tiers and what they cover.

use keypool_core::TierNo;
use keypool_store::{ChangeKind, Origin, TierFeature};
use serde::Serialize;

use super::shown::{self, Shown};
use super::{find_tier, new_id};
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
    /// [`AdminError`]: invalid, unknown, or unavailable.
    pub async fn update_tier(
        &self,
        origin: &Origin,
        name: &str,
        patch: TierPatch,
    ) -> Result<TierView, AdminError> {
        patch.description.as_deref().map_or(Ok(()), rules::check_description)?;
        if let Some(features) = &patch.features {
            rules::check_features(features, |name| self.knows_feature(name))?;
        }
        let stored = patch.features.as_deref().map(stored_features);
        let tier = name.to_owned();
        let plan = move |live: &Live| {
            let no = find_tier(live, &tier)?;
            let entry = &live.roster.tiers[&no];
            let mut after = Shown::default();
            if let Some(description) = &patch.description {
                after = after.with("description", description);
            }
            if let Some(features) = &patch.features {
                after = after.with("features", shown_features(features));
            }
            let shown = (live.shown_tier(entry), after);
            let record = shown::updated("update_tier", &entry.id, &entry.name, shown);
            let (features, new_features) = match &stored {
                Some(features) => {
                    let (features, new_features) = live.number_features(features);
                    (Some(features), new_features)
                }
                None => (None, Vec::new()),
            };
            let description = patch.description.clone();
            let what = ChangeKind::UpdateTier { no, description, features, new_features };
            Ok(Planned::one(what, record))
        };
        let name = name.to_owned();
        self.change(origin, plan, move |live| {
            let tier =
                live.roster.tier_named(&name).and_then(|number| live.roster.tiers.get(&number));
            live.tier_view(tier.expect("a tier that was just changed exists"))
        })
        .await
    }
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
