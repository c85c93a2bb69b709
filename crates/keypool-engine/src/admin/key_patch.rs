//! A key is changed: what is given is checked and sealed, the rest stays, and the whole is judged as it would be.

use std::collections::BTreeMap;

use keypool_core::Timestamp;
use keypool_crypto::{Fingerprint, Place, Plain};
use keypool_store::{Balance, ChangeKind, ChangeRecord, KeyUpdate, Origin};

use super::{find_key, find_tier_or_id, shown};
use crate::live::{Live, Planned};
use crate::roster::KeyEntry;
use crate::views::KeyView;
use crate::{AdminError, Engine, load, rules};

/// What to change of a key; what is absent stays.
#[derive(Debug, Default)]
pub struct KeyPatch {
    /// Its new name.
    pub name: Option<String>,
    /// Its new value. Counters, turns and everything else go on.
    pub value: Option<Plain>,
    /// The name, or the UUID, of the tier that it moves to.
    pub tier: Option<String>,
    /// Whether it may be granted.
    pub is_active: Option<bool>,
    /// From this moment on it is not granted; `Some(None)` takes that away.
    pub expires_at: Option<Option<Timestamp>>,
    /// Units per budget window, or for life; `Some(None)` takes the limit away, and its window with it.
    pub usage_limit: Option<Option<i64>>,
    /// Length of the budget window, in seconds, only with a limit; `Some(None)` is for life.
    pub usage_window_seconds: Option<Option<i64>>,
    /// Units used: in the budget window that is open now, in one that opens for them, or for life.
    pub usage_count: Option<i64>,
    /// The text of a JSON object that replaces the metadata.
    pub metadata: Option<String>,
    /// Secrets by name: set anew, or removed. Others stay.
    pub secrets: Vec<(String, Option<Plain>)>,
}

/// What is sealed of a patch, and the fingerprint of a new value.
struct Sealed {
    value: Option<(String, Fingerprint)>,
    secrets: Vec<(String, Option<String>)>,
}

impl Engine {
    /// Changes a key. A changed limit or window length applies to the window under way. A limit that is set on a key which
    /// had none starts from 0, unless a count is given too. Where windows are given up, what is used in the one under way
    /// counts on for life.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, unknown key or tier, or unavailable.
    pub async fn update_key(
        &self,
        origin: &Origin,
        id: &str,
        patch: KeyPatch,
    ) -> Result<KeyView, AdminError> {
        rules::check_key_patch(&patch)?;
        let sealed = self.seal_patch(id, &patch)?;
        let (key_id, now) = (id.to_owned(), self.now());
        let plan = move |live: &Live| plan(live, &key_id, (&patch, &sealed), now);
        let id = id.to_owned();
        self.change(origin, plan, move |live| {
            let number = live.roster.key_with_id(&id).expect("a key that was just changed exists");
            live.key_view(number, &live.roster.keys[&number], now)
        })
        .await
    }

    fn seal_patch(&self, id: &str, patch: &KeyPatch) -> Result<Sealed, AdminError> {
        let value = match &patch.value {
            Some(value) => {
                let sealed = self.seal(Place::KeyValue { key: id }, value)?;
                Some((sealed, self.shared.fingerprinter.of(value)))
            }
            None => None,
        };
        let seal_secret = |(name, value): &(String, Option<Plain>)| {
            let place = Place::Secret { key: id, name };
            let sealed = value.as_ref().map(|value| self.seal(place, value)).transpose()?;
            Ok((name.clone(), sealed))
        };
        let secrets = patch.secrets.iter().map(seal_secret).collect::<Result<_, AdminError>>()?;
        Ok(Sealed { value, secrets })
    }
}

fn plan(
    live: &Live,
    id: &str,
    (patch, sealed): (&KeyPatch, &Sealed),
    now: Timestamp,
) -> Result<Planned, AdminError> {
    let no = find_key(live, id)?;
    let before = &live.roster.keys[&no];
    let tier = match &patch.tier {
        Some(tier) => find_tier_or_id(live, tier)?,
        None => before.tier,
    };
    let usage_limit = patch.usage_limit.unwrap_or(before.usage_limit);
    let usage_window_secs = match (patch.usage_limit, patch.usage_window_seconds) {
        (Some(None), None) => None,
        (_, window) => window.unwrap_or(before.usage_window_secs),
    };
    rules::check_window(usage_limit, usage_window_secs)?;
    let update = KeyUpdate {
        no,
        name: patch.name.clone().unwrap_or_else(|| before.name.to_string()),
        tier,
        value: sealed.value.as_ref().map(|(value, _)| value.clone()),
        active: patch.is_active.unwrap_or(before.is_active),
        expires_at: patch.expires_at.unwrap_or(before.expires_at),
        usage_limit,
        usage_window_secs,
        balance: balance(before, patch.usage_count, (usage_limit, usage_window_secs)),
        metadata: patch.metadata.clone(),
        secrets: sealed.secrets.clone(),
    };
    let after = load::updated_key(before, &update);
    if update.value.is_some() || update.secrets.iter().any(|(_, value)| value.is_some()) {
        rules::check_sealed(&after.sealed)?;
    }
    let record = record(live, (before, &after), &update, now);
    let fingerprints = sealed.value.iter().map(|(_, fingerprint)| *fingerprint).collect();
    let what = ChangeKind::UpdateKey(Box::new(update));
    Ok(Planned { fingerprints, ..Planned::one(what, record) })
}

/// What becomes of the count, where the budget is to have this limit and window.
fn balance(
    before: &KeyEntry,
    count: Option<i64>,
    (limit, window): (Option<i64>, Option<i64>),
) -> Balance {
    match (count, before.usage_window_secs) {
        (Some(count), _) => Balance::Struck(count),
        (None, _) if before.usage_limit.is_none() && limit.is_some() => Balance::Struck(0),
        (None, Some(window_secs)) if window.is_none() => Balance::KeptForLife { window_secs },
        (None, _) => Balance::Kept,
    }
}

/// New values go by their names.
fn record(
    live: &Live,
    (before, after): (&KeyEntry, &KeyEntry),
    update: &KeyUpdate,
    now: Timestamp,
) -> ChangeRecord {
    let (mut was, mut becomes) = (live.shown_key(before), live.shown_key(after));
    if let Balance::Struck(count) = update.balance {
        let used = live.core.budget_usage(update.no, now).map_or(0, |budget| budget.used);
        was = was.with("usage_count", used);
        becomes = becomes.with("usage_count", count);
    }
    if update.value.is_some() {
        becomes = becomes.with("key", "rotated");
    }
    let had = |name: &str| before.sealed.secrets.iter().any(|(its, _)| **its == *name);
    let touched = update.secrets.iter().filter_map(|(name, value)| match value {
        Some(_) => Some((&**name, "set")),
        None => had(name).then_some((&**name, "removed")),
    });
    let touched: BTreeMap<&str, &str> = touched.collect();
    if !touched.is_empty() {
        becomes = becomes.with("secrets", touched);
    }
    shown::updated("update_key", &before.sealed.id, &after.name, (was, becomes))
}
