//! Tiers and the features that they cover.

use std::fmt;

use keypool_core::{FeatureNo, TierNo};

use super::{Stamp, json};
use crate::driver::Statement;
use crate::snapshot::TierFeature;

/// A tier to be added.
#[derive(Clone, PartialEq, Eq)]
pub struct NewTier {
    /// Its number.
    pub no: TierNo,
    /// Its UUID.
    pub id: String,
    /// Its name, unlike that of every other tier.
    pub name: String,
    /// Its description.
    pub description: String,
    /// The features that it covers.
    pub features: Vec<(FeatureNo, TierFeature)>,
    /// Those of them that are named for the first time.
    pub new_features: Vec<(FeatureNo, String)>,
}

/// What is to be replaced of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierUpdate {
    /// The tier.
    pub no: TierNo,
    /// Its new name, unlike that of every other tier.
    pub name: Option<String>,
    /// Its new description.
    pub description: Option<String>,
    /// The whole set of features that it covers from now on.
    pub features: Option<Vec<(FeatureNo, TierFeature)>>,
    /// Features that are named for the first time.
    pub new_features: Vec<(FeatureNo, String)>,
}

impl fmt::Debug for NewTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewTier")
            .field("no", &self.no)
            .field("name", &self.name)
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}

pub(super) fn add(write: &mut Vec<Statement>, tier: &NewTier, stamp: Stamp) {
    let sql = "INSERT INTO tiers (tier_no, tier_uuid, name, description, created_ms, revision)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    write.push(
        Statement::new(sql)
            .with(tier.no.get())
            .with(tier.id.as_str())
            .with(tier.name.as_str())
            .with(tier.description.as_str())
            .with(stamp.at.as_millis())
            .with(stamp.revision)
            .touching(1),
    );
    name_features(write, &tier.new_features);
    cover(write, tier.no, &tier.features);
}

pub(super) fn update(write: &mut Vec<Statement>, update: &TierUpdate, stamp: Stamp) {
    let sql = "UPDATE tiers SET name = coalesce(?2, name), description = coalesce(?3, description), revision = ?4
        WHERE tier_no = ?1 AND deleted_ms IS NULL";
    write.push(
        Statement::new(sql)
            .with(update.no.get())
            .with(update.name.as_deref())
            .with(update.description.as_deref())
            .with(stamp.revision)
            .touching(1),
    );
    name_features(write, &update.new_features);
    if let Some(features) = &update.features {
        uncover(write, update.no);
        cover(write, update.no, features);
    }
}

/// The row stays as a tombstone. A tier that holds a key is not touched, which undoes the change.
pub(super) fn delete(write: &mut Vec<Statement>, no: TierNo, stamp: Stamp) {
    let bury = "UPDATE tiers SET deleted_ms = ?2, revision = ?3
        WHERE tier_no = ?1 AND deleted_ms IS NULL
            AND NOT EXISTS (SELECT 1 FROM keys WHERE tier_no = ?1 AND deleted_ms IS NULL)";
    let bury = Statement::new(bury).with(no.get()).with(stamp.at.as_millis());
    write.push(bury.with(stamp.revision).touching(1));
    uncover(write, no);
    let touch = "UPDATE consumers SET revision = ?2
        WHERE consumer_no IN (SELECT consumer_no FROM consumer_scopes WHERE tier_no = ?1)";
    write.push(Statement::new(touch).with(no.get()).with(stamp.revision));
    write.push(Statement::new("DELETE FROM consumer_scopes WHERE tier_no = ?1").with(no.get()));
}

fn uncover(write: &mut Vec<Statement>, tier: TierNo) {
    write.push(Statement::new("DELETE FROM tier_features WHERE tier_no = ?1").with(tier.get()));
}

fn name_features(write: &mut Vec<Statement>, names: &[(FeatureNo, String)]) {
    if names.is_empty() {
        return;
    }
    let rows: Vec<_> = names.iter().map(|(no, name)| (no.get(), name)).collect();
    let sql = "INSERT INTO features (feature_no, name) SELECT value ->> 0, value ->> 1 FROM json_each(?1)";
    write.push(Statement::new(sql).with(json(&rows)).touching(rows.len()));
}

fn cover(write: &mut Vec<Statement>, tier: TierNo, features: &[(FeatureNo, TierFeature)]) {
    let row =
        |(no, terms): &(FeatureNo, TierFeature)| (no.get(), terms.rate_limit, terms.window_secs);
    let rows: Vec<_> = features.iter().map(row).collect();
    let sql = "INSERT INTO tier_features (tier_no, feature_no, rate_limit, window_secs)
        SELECT ?1, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2)";
    write.push(Statement::new(sql).with(tier.get()).with(json(&rows)).touching(rows.len()));
}
