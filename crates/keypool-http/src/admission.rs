//! How many connections there are, in all and of one address, and which give way when there are too many.
//!
//! Only those give way that wait for a request, the longest first, and never one whose request is being read or answered.
//! The lock here is taken when a connection comes and when it goes, not in between.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

use crate::progress::Progress;
use crate::source::Source;

/// Who waits for less than this may be about to send, and does not give way.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where nobody gave way, nobody is looked for again for so long: to look costs more the more connections there are.
const PAUSE: Duration = Duration::from_millis(100);

/// One in so many gives way at a time, so that not every newcomer has to look.
const A_PART: usize = 64;

/// The connections there are.
#[derive(Debug)]
pub(crate) struct Admission {
    started: Instant,
    most: Option<NonZeroU64>,
    most_of_address: Option<NonZeroU64>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: Slab<Entry>,
    all: Group,
    /// Those whose connections are counted, by their network.
    networks: HashMap<Source, Group>,
}

#[derive(Debug)]
struct Entry {
    /// The network that it is counted for, if it is.
    network: Option<Source>,
    progress: Progress,
    /// It was told to go, and is not counted any more.
    is_going: bool,
}

/// Connections that share a limit.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    count: usize,
    /// Nobody of it gives way before this.
    nobody_until: Option<Instant>,
}

/// A connection that was admitted.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) place: Place,
    pub(crate) progress: Progress,
    /// How many had to give way for it.
    pub(crate) given_up: usize,
}

/// A connection's place, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    index: usize,
}

/// Which limit there is no place under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    InAll,
    OfAddress,
}

impl Admission {
    /// Nobody is there yet. `None` is no limit.
    pub(crate) fn new(most: Option<NonZeroU64>, most_of_address: Option<NonZeroU64>) -> Self {
        Self { started: Instant::now(), most, most_of_address, table: Mutex::default() }
    }

    /// How many are there.
    pub(crate) fn count(&self) -> usize {
        self.table().all.count
    }

    /// Makes a place for a connection; `network` is whom it is counted for, beside all.
    ///
    /// # Errors
    ///
    /// There is none, and nobody gives way.
    pub(crate) fn admit(self: &Arc<Self>, network: Option<Source>) -> Result<Admitted, Full> {
        let mut leaving = Vec::new();
        let entered = {
            let mut table = self.table();
            if network.is_some() && !table.has_room(network, self.most_of_address, &mut leaving) {
                Err(Full::OfAddress)
            } else if !table.has_room(None, self.most, &mut leaving) {
                Err(Full::InAll)
            } else {
                Ok(table.enter(network, Progress::new(self.started)))
            }
        };
        // Without the lock, which they take as they go.
        leaving.iter().for_each(Progress::end);
        let (index, progress) = entered?;
        let place = Place { admission: Arc::clone(self), index };
        Ok(Admitted { place, progress, given_up: leaving.len() })
    }

    /// Lets some give way, as their files are needed. How many.
    pub(crate) fn give_up_some(&self) -> usize {
        let mut leaving = Vec::new();
        self.table().give_up(None, &mut leaving);
        leaving.iter().for_each(Progress::end);
        leaving.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.table().leave(self.index);
    }
}

impl Table {
    /// Whether one more fits in, perhaps after others gave way.
    fn has_room(
        &mut self,
        network: Option<Source>,
        most: Option<NonZeroU64>,
        leaving: &mut Vec<Progress>,
    ) -> bool {
        let most =
            most.map_or(usize::MAX, |most| usize::try_from(most.get()).unwrap_or(usize::MAX));
        let count = |table: &mut Self| table.group(network).map_or(0, |group| group.count);
        if count(self) >= most {
            self.give_up(network, leaving);
        }
        count(self) < most
    }

    fn enter(&mut self, network: Option<Source>, progress: Progress) -> (usize, Progress) {
        self.all.count += 1;
        if let Some(network) = network {
            self.networks.entry(network).or_default().count += 1;
        }
        let entry = Entry { network, progress: progress.clone(), is_going: false };
        (self.entries.insert(entry), progress)
    }

    fn leave(&mut self, index: usize) {
        let Entry { network, is_going, .. } = self.entries.remove(index);
        if !is_going {
            self.discount(network);
        }
    }

    fn discount(&mut self, network: Option<Source>) {
        self.all.count -= 1;
        let Some(network) = network else { return };
        if let Some(group) = self.networks.get_mut(&network) {
            group.count -= 1;
            if group.count == 0 {
                self.networks.remove(&network);
            }
        }
    }

    /// Those of a network, or all.
    fn group(&mut self, network: Option<Source>) -> Option<&mut Group> {
        match network {
            None => Some(&mut self.all),
            Some(network) => self.networks.get_mut(&network),
        }
    }

    /// Adds to `leaving` who gives way, of a network or of all.
    fn give_up(&mut self, network: Option<Source>, leaving: &mut Vec<Progress>) {
        let now = Instant::now();
        let Some(group) = self.group(network) else { return };
        if group.nobody_until.is_some_and(|until| now < until) {
            return;
        }
        let part = (group.count / A_PART).max(1);
        let mut waiting = Vec::new();
        for (index, entry) in &self.entries {
            let is_meant = !entry.is_going && (network.is_none() || entry.network == network);
            if is_meant && let Some(since) = entry.progress.waits_since(now, PATIENCE) {
                waiting.push((since, index));
            }
        }
        if waiting.len() > part {
            waiting.select_nth_unstable(part);
            waiting.truncate(part);
        }
        let before = leaving.len();
        for (since, index) in waiting {
            let Some(entry) = self.entries.get_mut(index) else { continue };
            // Unless its next request came in this moment.
            if entry.progress.give_up(since) {
                entry.is_going = true;
                leaving.push(entry.progress.clone());
                let network = entry.network;
                self.discount(network);
            }
        }
        if leaving.len() == before
            && let Some(group) = self.group(network)
        {
            group.nobody_until = Some(now + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn admission(most: u64, most_of_address: u64) -> Arc<Admission> {
        let [most, most_of_address] = [most, most_of_address].map(NonZeroU64::new);
        Arc::new(Admission::new(most, most_of_address))
    }

    fn at(address: &str) -> Option<Source> {
        Some(Source::of(address.parse().unwrap()).network())
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_longest_gives_way() {
        let admission = admission(3, 0);
        let mut places = Vec::new();
        for _ in 0..3 {
            let admitted = admission.admit(at("192.0.2.1")).unwrap();
            admitted.progress.wait(Instant::now());
            places.push(admitted);
            tokio::time::advance(SECOND).await;
        }
        // The first has got something to do meanwhile.
        assert!(places[0].progress.go_on());
        let fourth = admission.admit(at("192.0.2.1")).unwrap();
        assert_eq!((fourth.given_up, admission.count()), (1, 3));
        let went_on = places.iter().map(|place| place.progress.go_on()).collect::<Vec<_>>();
        assert_eq!(went_on, [true, false, true]);
        drop(places);
        assert_eq!(admission.count(), 1);
        drop(fourth);
        assert_eq!(admission.count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_gives_way_who_is_busy_or_has_only_just_come() {
        let admission = admission(2, 0);
        let busy = admission.admit(None).unwrap();
        let fresh = admission.admit(None).unwrap();
        fresh.progress.wait(Instant::now());
        assert_eq!(admission.admit(None).unwrap_err(), Full::InAll);
        tokio::time::advance(SECOND).await;
        assert_eq!(admission.admit(None).unwrap().given_up, 1);
        assert!(busy.progress.go_on() && !fresh.progress.go_on());
    }

    #[tokio::test(start_paused = true)]
    async fn who_found_nobody_does_not_look_again_at_once() {
        let admission = admission(1, 0);
        let only = admission.admit(None).unwrap();
        only.progress.wait(Instant::now());
        tokio::time::advance(SECOND - PAUSE / 2).await;
        assert_eq!(admission.admit(None).unwrap_err(), Full::InAll);
        tokio::time::advance(PAUSE / 2).await;
        assert_eq!(admission.admit(None).unwrap_err(), Full::InAll, "it could give way by now");
        tokio::time::advance(PAUSE / 2).await;
        assert_eq!(admission.admit(None).unwrap().given_up, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_its_own_limit_and_gives_way_to_itself() {
        let admission = admission(0, 2);
        let others = [at("192.0.2.9"), None, None, None].map(|of| admission.admit(of).unwrap());
        let own = ["2001:db8::1", "2001:db8::2"].map(|own| admission.admit(at(own)).unwrap());
        for admitted in others.iter().chain(&own) {
            admitted.progress.wait(Instant::now());
        }
        assert_eq!(admission.admit(at("2001:db8::3")).unwrap_err(), Full::OfAddress);
        tokio::time::advance(SECOND).await;
        assert_eq!(admission.admit(at("2001:db8::3")).unwrap().given_up, 1);
        assert!(others.iter().all(|other| other.progress.go_on()));
        assert_eq!(admission.count(), 5, "the new one is gone again");
    }

    #[tokio::test(start_paused = true)]
    async fn many_give_way_at_once_where_there_are_many() {
        let admission = admission(1_000, 0);
        let all: Vec<_> = (0..1_000).map(|_| admission.admit(None).unwrap()).collect();
        all.iter().for_each(|admitted| admitted.progress.wait(Instant::now()));
        tokio::time::advance(SECOND).await;
        assert_eq!(admission.admit(None).unwrap().given_up, 1_000 / A_PART);
        assert_eq!(admission.admit(None).unwrap().given_up, 0, "there is room");
    }

    #[tokio::test(start_paused = true)]
    async fn networks_are_forgotten_when_their_last_connection_is() {
        let admission = admission(1, 1);
        for host in 0..100_u32 {
            let source = Source::Address(std::net::IpAddr::V4(host.into()));
            let first = admission.admit(Some(source)).unwrap();
            assert_eq!(admission.admit(at("192.0.2.1")).unwrap_err(), Full::InAll);
            drop(first);
        }
        assert!(admission.table().networks.is_empty());
    }
}
