//! Reads a snapshot in one statement, so that it is of one moment: each row says what it is.

use std::collections::BTreeMap;
use std::path::Path;

use keypool_core::{ConsumerNo, FeatureNo, GrantId, KeyNo, TierNo, Timestamp};

use super::{
    ConsumerRow, CounterRow, Extent, FormerToken, Gone, KeyRow, LastNumbers, Snapshot, TierFeature,
    TierRow,
};
use crate::copy::is_copying;
use crate::driver::{Driver, DriverError, Row, Statement};
use crate::error::OpenStoreError;
use crate::migrate::NEWEST;
use crate::prospect::{Source, glance};
use crate::recognise::Shape;
use crate::settings::StoreSettings;

/// Rows that were changed after the revision ?1 with what belongs to them, deleted ones by their number alone, and
/// features after ?2; with -1 and 0 that is everything, and deleted rows are left out. Last grants come with everything only:
/// those that were noted, and what events tell that are newer, or older than the newest of those by ?3 at most.
///
/// The first column says what a row is; the numbers are those of [`Loaded::take`].
const SNAPSHOT: &str = "
    SELECT 0, revision, (SELECT coalesce(max(tier_no), 0) FROM tiers),
        (SELECT coalesce(max(feature_no), 0) FROM features), (SELECT coalesce(max(key_no), 0) FROM keys),
        (SELECT coalesce(max(consumer_no), 0) FROM consumers), (SELECT max(id) FROM usage_events),
        (SELECT count(*) FROM changes WHERE revision > ?1), NULL, NULL, NULL, NULL, NULL, NULL FROM pool
    UNION ALL SELECT 1, feature_no, name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM features
        WHERE feature_no > ?2
    UNION ALL SELECT 2, tier_no, tier_uuid, name, description, created_ms,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM tiers
        WHERE revision > ?1
            AND (deleted_ms IS NULL OR tier_no IN (SELECT tier_no FROM keys WHERE deleted_ms IS NULL))
    UNION ALL SELECT 3, tier_no, feature_no, rate_limit, window_secs,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM tier_features
        WHERE tier_no IN (SELECT tier_no FROM tiers WHERE revision > ?1)
    UNION ALL SELECT 4, k.key_no, k.key_uuid, k.name, k.tier_no, k.key_value, k.is_active, k.expires_ms, k.usage_limit,
        k.usage_window_secs, coalesce(b.used, 0), b.window_start_ms, k.metadata, k.created_ms
        FROM keys AS k LEFT JOIN budget_counters AS b USING (key_no) WHERE k.revision > ?1 AND k.deleted_ms IS NULL
    UNION ALL SELECT 5, key_no, name, value, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM key_secrets
        WHERE key_no IN (SELECT key_no FROM keys WHERE revision > ?1)
    UNION ALL SELECT 6, key_no, feature_no, window_start_ms, used, last_grant,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM rate_counters
        WHERE key_no IN (SELECT key_no FROM keys WHERE revision > ?1)
    UNION ALL SELECT 7, consumer_no, consumer_uuid, name, description, is_active, token_digest, created_ms,
        token_issued_ms, expires_ms, NULL, NULL, NULL, NULL FROM consumers
        WHERE revision > ?1 AND deleted_ms IS NULL AND consumer_no <> 0
    UNION ALL SELECT 8, consumer_no, tier_no, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM consumer_scopes WHERE consumer_no IN (SELECT consumer_no FROM consumers WHERE revision > ?1)
    UNION ALL SELECT 9, tier_no, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM tiers
        WHERE ?1 >= 0 AND revision > ?1 AND deleted_ms IS NOT NULL
            AND tier_no NOT IN (SELECT tier_no FROM keys WHERE deleted_ms IS NULL)
    UNION ALL SELECT 10, key_no, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM keys
        WHERE ?1 >= 0 AND revision > ?1 AND deleted_ms IS NOT NULL
    UNION ALL SELECT 11, consumer_no, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM consumers WHERE ?1 >= 0 AND revision > ?1 AND deleted_ms IS NOT NULL
    UNION ALL SELECT 12, consumer_no, token_digest, until_ms, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM former_tokens WHERE consumer_no IN (SELECT consumer_no FROM consumers WHERE revision > ?1)
    UNION ALL SELECT 13, consumer_no, last_event, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM consumer_uses WHERE ?1 < 0
    UNION ALL SELECT 13, consumer_no, max(id), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM usage_events
        WHERE ?1 < 0 AND id > (SELECT coalesce(max(last_event), 0) FROM consumer_uses) - ?3 GROUP BY consumer_no";

/// Where several servers note last grants, one that was killed may have left some unnoted that are older than what others
/// noted since. Those of so long before are looked for, in milliseconds; the low 21 bits of an event's id are not its moment.
const LOOK_BACK_MS: i64 = 5 * 60 * 1_000;

pub(crate) async fn load_snapshot(driver: &Driver) -> Result<Snapshot, DriverError> {
    Ok(read(driver, -1, 0).await?.into_snapshot(Extent::Whole))
}

/// What was changed after `revision`; the whole pool where not every revision since is accounted for.
pub(crate) async fn load_since(
    driver: &Driver,
    revision: i64,
    last_feature: FeatureNo,
) -> Result<Snapshot, DriverError> {
    let loaded = read(driver, revision, last_feature.get()).await?;
    if loaded.changes == loaded.revision.saturating_sub(revision) {
        return Ok(loaded.into_snapshot(Extent::Since));
    }
    load_snapshot(driver).await
}

/// Reads a pool as it stands, beside whoever serves it. Changes nothing and takes no lock.
///
/// # Errors
/// There is no pool, it is not of this version's schema or an unfinished copy, or it cannot be read.
pub async fn read_snapshot(settings: impl Into<StoreSettings>) -> Result<Snapshot, OpenStoreError> {
    let settings = settings.into();
    let path = settings.place();
    let Some((mut source, shape)) = glance(settings).await? else {
        return Err(OpenStoreError::Missing { path });
    };
    let looked = look(&mut source, shape, &path).await;
    source.close().await;
    looked
}

async fn look(source: &mut Source, shape: Shape, path: &Path) -> Result<Snapshot, OpenStoreError> {
    let found = match shape {
        Shape::Empty => 0,
        Shape::Version(version) => i64::from(version),
    };
    let path = path.to_owned();
    if found != NEWEST {
        return Err(OpenStoreError::Older { path, found, known: NEWEST });
    }
    let failed = |source| OpenStoreError::Access { path: path.clone(), source };
    if is_copying(source).await.map_err(failed)? {
        return Err(OpenStoreError::Unfinished { path });
    }
    let rows = source.read(statement(-1, 0).with(0)).await.map_err(failed)?;
    Ok(Loaded::of(rows).map_err(failed)?.into_snapshot(Extent::Whole))
}

async fn read(driver: &Driver, revision: i64, last_feature: i64) -> Result<Loaded, DriverError> {
    let look_back = if driver.is_shared() { LOOK_BACK_MS << 21 } else { 0 };
    let statement = statement(revision, last_feature).with(look_back);
    Loaded::of(driver.read(statement).await?)
}

fn statement(revision: i64, last_feature: i64) -> Statement {
    let statement = if revision < 0 { Statement::long(SNAPSHOT) } else { Statement::new(SNAPSHOT) };
    statement.with(revision).with(last_feature)
}

/// What was read so far, parents and what belongs to them apart: rows may come in any order.
#[derive(Default)]
struct Loaded {
    revision: i64,
    /// How many revisions since the one that was asked for are accounted for.
    changes: i64,
    last: LastNumbers,
    latest_grant: Option<GrantId>,
    features: BTreeMap<FeatureNo, String>,
    tiers: BTreeMap<TierNo, TierRow>,
    tier_features: BTreeMap<(TierNo, FeatureNo), TierFeature>,
    keys: BTreeMap<KeyNo, KeyRow>,
    secrets: BTreeMap<(KeyNo, String), String>,
    counters: BTreeMap<(KeyNo, FeatureNo), CounterRow>,
    consumers: BTreeMap<ConsumerNo, ConsumerRow>,
    scopes: Vec<(ConsumerNo, TierNo)>,
    former_tokens: Vec<(ConsumerNo, FormerToken)>,
    uses: Vec<(ConsumerNo, GrantId)>,
    gone: Gone,
}

impl Loaded {
    fn of(rows: Vec<Row>) -> Result<Loaded, DriverError> {
        let mut loaded = Loaded::default();
        for row in rows {
            loaded.take(row)?;
        }
        Ok(loaded)
    }

    fn take(&mut self, mut row: Row) -> Result<(), DriverError> {
        let (kind, no) = (row.int()?, row.int()?);
        match kind {
            0 => {
                self.revision = no;
                self.last = LastNumbers {
                    tier: row.int()?,
                    feature: row.int()?,
                    key: row.int()?,
                    consumer: row.int()?,
                };
                let newest = row.int_or_null()?.map(GrantId::new);
                self.latest_grant = self.latest_grant.max(newest);
                self.changes = row.int()?;
            }
            1 => {
                self.features.insert(FeatureNo::new(no), row.text()?);
            }
            2 => {
                self.tiers.insert(TierNo::new(no), tier_row(TierNo::new(no), row)?);
            }
            3 => {
                let place = (TierNo::new(no), FeatureNo::new(row.int()?));
                let feature = TierFeature { rate_limit: row.int()?, window_secs: row.int()? };
                self.tier_features.insert(place, feature);
            }
            4 => {
                self.keys.insert(KeyNo::new(no), key_row(KeyNo::new(no), row)?);
            }
            5 => {
                self.secrets.insert((KeyNo::new(no), row.text()?), row.text()?);
            }
            6 => {
                let counter = counter_row(row)?;
                self.latest_grant = self.latest_grant.max(counter.last_grant);
                self.counters.insert((KeyNo::new(no), counter.feature), counter);
            }
            7 => {
                let no = ConsumerNo::new(no);
                self.consumers.insert(no, consumer_row(no, row)?);
            }
            8 => self.scopes.push((ConsumerNo::new(no), TierNo::new(row.int()?))),
            9 => self.gone.tiers.push(TierNo::new(no)),
            10 => self.gone.keys.push(KeyNo::new(no)),
            11 => self.gone.consumers.push(ConsumerNo::new(no)),
            12 => {
                let token_hash = row.text()?;
                let until = Timestamp::from_millis(row.int()?);
                self.former_tokens.push((ConsumerNo::new(no), FormerToken { token_hash, until }));
            }
            _ => self.uses.push((ConsumerNo::new(no), GrantId::new(row.int()?))),
        }
        Ok(())
    }

    fn into_snapshot(mut self, extent: Extent) -> Snapshot {
        for ((tier, feature), terms) in self.tier_features {
            if let Some(tier) = self.tiers.get_mut(&tier) {
                tier.features.push((feature, terms));
            }
        }
        for ((key, name), value) in self.secrets {
            if let Some(key) = self.keys.get_mut(&key) {
                key.secrets.push((name, value));
            }
        }
        for ((key, _), counter) in self.counters {
            if let Some(key) = self.keys.get_mut(&key) {
                key.counters.push(counter);
            }
        }
        for (consumer, tier) in self.scopes {
            if let Some(consumer) = self.consumers.get_mut(&consumer) {
                consumer.scopes.push(tier);
            }
        }
        for (consumer, token) in self.former_tokens {
            if let Some(consumer) = self.consumers.get_mut(&consumer) {
                consumer.former_tokens.push(token);
            }
        }
        Snapshot {
            extent,
            revision: self.revision,
            features: self.features.into_iter().collect(),
            tiers: self.tiers.into_values().collect(),
            keys: self.keys.into_values().collect(),
            consumers: self.consumers.into_values().collect(),
            gone: self.gone,
            last: self.last,
            latest_grant: self.latest_grant,
            uses: self.uses,
        }
    }
}

fn tier_row(no: TierNo, mut row: Row) -> Result<TierRow, DriverError> {
    Ok(TierRow {
        no,
        id: row.text()?,
        name: row.text()?,
        description: row.text()?,
        created_at: Timestamp::from_millis(row.int()?),
        features: Vec::new(),
    })
}

fn key_row(no: KeyNo, mut row: Row) -> Result<KeyRow, DriverError> {
    Ok(KeyRow {
        no,
        id: row.text()?,
        name: row.text()?,
        tier: TierNo::new(row.int()?),
        value: row.text()?,
        active: row.int()? == 1,
        expires_at: row.int_or_null()?.map(Timestamp::from_millis),
        usage_limit: row.int_or_null()?,
        usage_window_secs: row.int_or_null()?,
        usage_count: row.int()?,
        usage_window_start: row.int_or_null()?.map(Timestamp::from_millis),
        metadata: row.text()?,
        created_at: Timestamp::from_millis(row.int()?),
        secrets: Vec::new(),
        counters: Vec::new(),
    })
}

pub(crate) fn counter_row(mut row: Row) -> Result<CounterRow, DriverError> {
    Ok(CounterRow {
        feature: FeatureNo::new(row.int()?),
        window_start: row.int_or_null()?.map(Timestamp::from_millis),
        used: row.int()?,
        last_grant: row.int_or_null()?.map(GrantId::new),
    })
}

fn consumer_row(no: ConsumerNo, mut row: Row) -> Result<ConsumerRow, DriverError> {
    Ok(ConsumerRow {
        no,
        id: row.text()?,
        name: row.text()?,
        description: row.text()?,
        active: row.int()? == 1,
        token_hash: row.text()?,
        created_at: Timestamp::from_millis(row.int()?),
        token_issued_at: Timestamp::from_millis(row.int()?),
        expires_at: row.int_or_null()?.map(Timestamp::from_millis),
        former_tokens: Vec::new(),
        scopes: Vec::new(),
    })
}
