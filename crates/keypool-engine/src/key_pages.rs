//! Keys as they are listed: all of them, or those that are asked for, page by page.

use std::ops::Bound;

use keypool_core::{KeyNo, TierNo};

use crate::live::Live;
use crate::roster::KeyEntry;
use crate::views::KeyView;
use crate::{AdminError, Engine, Unavailable, report};

/// Keys that are shown in one go; between two goes draws pass.
const SHOWN_AT_ONCE: usize = 64;
/// Keys that are looked at in one go.
const LOOKED_AT_AT_ONCE: usize = 1_024;

/// Which keys to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysQuery {
    /// Only those in the tier of this name or UUID.
    pub tier: Option<String>,
    /// Only those of this name.
    pub name: Option<String>,
    /// Only those that were added after the key with this UUID, whether or not it still exists.
    pub after: Option<String>,
    /// At most this many.
    pub limit: Option<usize>,
}

/// Some keys, and whether there are more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys, in order of creation.
    pub keys: Vec<KeyView>,
    /// Whether further keys would have been listed without the limit.
    pub has_more: bool,
}

impl Engine {
    /// All keys with their live counters, in order of creation, as memory has them
    /// ([`confirm_recent`](Engine::confirm_recent)). However many they are, draws pass between.
    pub async fn keys(&self) -> Vec<KeyView> {
        self.list_keys(&KeysQuery::default(), Bound::Unbounded).await.keys
    }

    /// Those keys that are asked for, likewise. A tier that does not exist has none.
    ///
    /// # Errors
    /// [`AdminError::Unknown`] if there never was a key with the UUID to begin after; [`AdminError::Unavailable`] if that
    /// could not be found out.
    pub async fn key_page(&self, query: &KeysQuery) -> Result<KeyPage, AdminError> {
        let after = match &query.after {
            Some(id) => Bound::Excluded(self.number_of_key(id).await?),
            None => Bound::Unbounded,
        };
        Ok(self.list_keys(query, after).await)
    }

    /// The key with this UUID, as memory has it.
    #[must_use]
    pub fn key(&self, id: &str) -> Option<KeyView> {
        let mut live = self.shared.live();
        let now = live.now();
        let number = live.roster.key_with_id(id)?;
        Some(live.key_view(number, &live.roster.keys[&number], now))
    }

    async fn list_keys(&self, query: &KeysQuery, mut after: Bound<KeyNo>) -> KeyPage {
        let most = query.limit.unwrap_or(usize::MAX);
        let mut keys = Vec::new();
        loop {
            let (some, last) = self.shared.live().key_views(query, after);
            keys.extend(some);
            let has_more = keys.len() > most;
            let (Some(last), false) = (last, has_more) else {
                keys.truncate(most);
                return KeyPage { keys, has_more };
            };
            after = Bound::Excluded(last);
            tokio::task::yield_now().await;
        }
    }

    /// A deleted key's number is on record with its UUID, so that pages go on from it.
    async fn number_of_key(&self, id: &str) -> Result<KeyNo, AdminError> {
        let living = self.shared.live().roster.key_with_id(id);
        if let Some(number) = living {
            return Ok(number);
        }
        let found = self.shared.store.key_number(id).await.map_err(|error| {
            report(&error, "a key's number could not be read");
            Unavailable::Store
        })?;
        found.ok_or_else(|| AdminError::Unknown { what: "key", name: id.to_owned() })
    }
}

impl Live {
    /// Some of the keys that are asked for, and the last one that was looked at if there are further ones.
    fn key_views(
        &mut self,
        query: &KeysQuery,
        after: Bound<KeyNo>,
    ) -> (Vec<KeyView>, Option<KeyNo>) {
        let now = self.now();
        let tier = query.tier.as_deref().map(|tier| self.roster.tier_named_or_with_id(tier));
        let mut shown = Vec::new();
        let keys = self.roster.keys.range((after, Bound::Unbounded));
        for (looked_at, (number, key)) in (1..).zip(keys) {
            if is_wanted(key, tier, query.name.as_deref()) {
                shown.push(self.key_view(*number, key, now));
            }
            if shown.len() == SHOWN_AT_ONCE || looked_at == LOOKED_AT_AT_ONCE {
                return (shown, Some(*number));
            }
        }
        (shown, None)
    }
}

fn is_wanted(key: &KeyEntry, tier: Option<Option<TierNo>>, name: Option<&str>) -> bool {
    tier.is_none_or(|tier| tier == Some(key.tier)) && name.is_none_or(|name| *key.name == *name)
}
