//! A pool as it stood at one moment: read only, beside whoever serves it. Keys are taken out of it to be exported, and keys
//! that are to be added are held against it.

use std::collections::HashMap;
use std::sync::Arc;

use keypool_core::{ReplicaNo, Timestamp};
use keypool_crypto::{Fingerprint, Fingerprinter, Plain, Sealer};
use keypool_store::{StoreSettings, read_snapshot};

use crate::clock::Clock;
use crate::load::load;
use crate::opener::Opener;
use crate::roster::{KeyEntry, Roster};
use crate::{Guest, NewKey, OpenError, Secret, rules};

/// A pool at one moment.
#[derive(Debug)]
pub struct Still<'s> {
    roster: Roster,
    sealer: &'s Sealer,
    fingerprinter: Fingerprinter,
    at: Timestamp,
}

/// A key as it stood.
#[derive(Debug)]
pub struct StillKey<'a> {
    /// Its UUID.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The name of its tier.
    pub tier: &'a str,
    /// Whether it may be granted, as far as an admin has a say.
    pub is_active: bool,
    /// From this moment on it is not granted.
    pub expires_at: Option<Timestamp>,
    /// Units per budget window, or for life.
    pub usage_limit: Option<i64>,
    /// Length of the budget window, in seconds.
    pub usage_window_seconds: Option<i64>,
    /// The text of a JSON object, as it was given.
    pub metadata: &'a str,
    /// Names of its secrets, in order.
    pub secret_names: Vec<&'a str>,
    entry: &'a KeyEntry,
    sealer: &'a Sealer,
    at: Timestamp,
}

/// What would become of a key that is to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prospective {
    /// It would be added.
    New,
    /// The pool has a key of this value already.
    Present {
        /// That key's UUID.
        id: Arc<str>,
        /// That key's name.
        name: Arc<str>,
    },
    /// Another of the keys, by its place among them from 0, has the same value.
    Twin {
        /// The first of them.
        of: usize,
    },
    /// Another of the keys, by its place among them from 0, has the same name, with another value.
    Namesake {
        /// The first of them.
        of: usize,
    },
    /// It cannot be added: a sentence that repeats no value.
    Refused(String),
}

/// What becomes of a key whose name another key bears, with another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameNames {
    /// It is refused.
    Refuse,
    /// Several keys may bear one name.
    Allow,
}

impl<'s> Still<'s> {
    /// Reads a pool. Values that do not open leave their key damaged, as when it is served.
    ///
    /// # Errors
    /// There is no pool, it is not of this version's schema, or it cannot be read.
    pub async fn read(
        store: impl Into<StoreSettings>,
        sealer: &'s Sealer,
        clock: &Clock,
    ) -> Result<Self, OpenError> {
        let snapshot = read_snapshot(store).await?;
        let nobody = ReplicaNo::new(0).expect("0 is a replica's number");
        let now = clock.read();
        let fingerprinter = Fingerprinter::generate()?;
        let opener = Opener { sealer, fingerprinter: &fingerprinter };
        let roster = load(snapshot, nobody, now.steady_ms, opener).roster;
        Ok(Self { roster, sealer, fingerprinter, at: now.wall })
    }

    /// The same while a guest changes the pool: by the guest's encryption key.
    ///
    /// # Errors
    /// Those of [`Still::read`].
    pub async fn read_for(
        guest: &'s Guest,
        store: impl Into<StoreSettings>,
        clock: &Clock,
    ) -> Result<Self, OpenError> {
        Self::read(store, &guest.engine().shared.sealer, clock).await
    }

    /// Whether it has a tier of that name.
    #[must_use]
    pub fn has_tier(&self, name: &str) -> bool {
        self.roster.tier_named(name).is_some()
    }

    /// Its keys, in order of creation.
    pub fn keys(&self) -> impl Iterator<Item = StillKey<'_>> {
        self.roster.keys.values().map(|entry| StillKey {
            id: &entry.sealed.id,
            name: &entry.name,
            tier: self.roster.tiers.get(&entry.tier).map_or("", |tier| &tier.name),
            is_active: entry.is_active,
            expires_at: entry.expires_at,
            usage_limit: entry.usage_limit,
            usage_window_seconds: entry.usage_window_secs,
            metadata: &entry.sealed.metadata,
            secret_names: entry.sealed.secrets.iter().map(|(name, _)| &**name).collect(),
            entry,
            sealer: self.sealer,
            at: self.at,
        })
    }

    /// What would become of these keys, one by one, by the rules that an admin's request is held to. A value that the pool
    /// has already is found by its fingerprint; one that stands twice among these is refused, and so is a name that two
    /// values would bear, unless that is allowed.
    #[must_use]
    pub fn hold_against(&self, keys: &[NewKey], names: SameNames) -> Vec<Prospective> {
        let bearers = self.bearers(names);
        let mut values: HashMap<Fingerprint, usize> = HashMap::new();
        let mut named: HashMap<&str, usize> = HashMap::new();
        let mut prospects = Vec::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            prospects.push(match self.refuse(key) {
                Some(why) => Prospective::Refused(why),
                None => {
                    let fingerprint = self.fingerprinter.of(&key.value);
                    let twin = *values.entry(fingerprint).or_insert(place);
                    let namesake = *named.entry(key.name.as_str()).or_insert(place);
                    match (self.present(fingerprint), bearers.get(key.name.as_str())) {
                        _ if twin != place => Prospective::Twin { of: twin },
                        (Some(present), _) => present,
                        (None, Some(id)) => Prospective::Refused(format!(
                            "there is a key of this name with another value ({id})"
                        )),
                        (None, None) if namesake != place && names == SameNames::Refuse => {
                            Prospective::Namesake { of: namesake }
                        }
                        (None, None) => Prospective::New,
                    }
                }
            });
        }
        prospects
    }

    /// Why a key cannot be added, whatever else there is.
    fn refuse(&self, key: &NewKey) -> Option<String> {
        if let Err(invalid) = rules::check_key(key, self.at) {
            return Some(invalid.to_string());
        }
        (!self.has_tier(&key.tier)).then(|| format!("there is no tier {:?}", key.tier))
    }

    /// The key that has a value.
    fn present(&self, fingerprint: Fingerprint) -> Option<Prospective> {
        let number = self.roster.oldest_with_value(fingerprint)?;
        let entry = self.roster.keys.get(&number)?;
        let (id, name) = (Arc::clone(&entry.sealed.id), Arc::clone(&entry.name));
        Some(Prospective::Present { id, name })
    }

    /// Names that no further key may bear, with the UUID of the oldest key that does.
    fn bearers(&self, names: SameNames) -> HashMap<&str, &str> {
        let youngest_first = self.roster.keys.values().rev();
        match names {
            SameNames::Refuse => {
                youngest_first.map(|entry| (&*entry.name, &*entry.sealed.id)).collect()
            }
            SameNames::Allow => HashMap::new(),
        }
    }
}

impl StillKey<'_> {
    /// Its value and its secrets; none where one of them does not open.
    #[must_use]
    pub fn open(&self) -> Option<(Plain, Vec<Secret>)> {
        self.entry.sealed.open(self.sealer).ok()
    }

    /// Why it would not be granted, whatever its limits say; none if it would.
    #[must_use]
    pub fn unusable(&self) -> Option<&'static str> {
        match () {
            () if self.entry.is_damaged() => Some("damaged"),
            () if !self.is_active => Some("inactive"),
            () if self.expires_at.is_some_and(|expires_at| expires_at <= self.at) => {
                Some("expired")
            }
            () => None,
        }
    }
}
