//! Grants and their ids: how an id is laid out, and how each is made larger than all before it.

use crate::{FeatureNo, KeyNo, ReplicaNo, Timestamp};

/// Bits of an id that number the grants of one millisecond and replica.
const SEQUENCE_BITS: u32 = 11;
/// Bits of an id that name the replica.
const REPLICA_BITS: u32 = 10;
/// Bits below an id's milliseconds.
const BELOW_MILLIS: u32 = SEQUENCE_BITS + REPLICA_BITS;
/// The last sequence number of a millisecond.
const LAST_SEQUENCE: i64 = (1 << SEQUENCE_BITS) - 1;
/// The last millisecond that fits an id's 42 bits: in the year 2109.
const LAST_MILLIS: i64 = (1 << 42) - 1;

/// Names a grant and its usage event; larger ids were granted later.
///
/// From the top: 1 bit 0, 42 bits milliseconds since the Unix epoch, 10 bits replica, 11 bits sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GrantId(i64);

impl GrantId {
    /// The last moment at which a grant can be made, as ids go no further.
    pub const LAST_AT: Timestamp = Timestamp::from_millis(LAST_MILLIS);

    /// The id with this number, as it stands in the database.
    #[must_use]
    pub const fn new(number: i64) -> GrantId {
        GrantId(number)
    }

    /// Puts an id together; `None` if the moment or the sequence number (at most 2,047) does not fit.
    #[must_use]
    pub fn compose(at: Timestamp, replica: ReplicaNo, sequence: u16) -> Option<GrantId> {
        let (millis, sequence) = (at.as_millis(), i64::from(sequence));
        let fits = (0..=LAST_MILLIS).contains(&millis) && sequence <= LAST_SEQUENCE;
        fits.then(|| GrantId(first_of(millis, replica) | sequence))
    }

    /// The id's number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The moment of the grant.
    #[must_use]
    pub const fn at(self) -> Timestamp {
        Timestamp::from_millis(self.0 >> BELOW_MILLIS)
    }
}

/// The first id of a replica in a millisecond.
fn first_of(millis: i64, replica: ReplicaNo) -> i64 {
    (millis << BELOW_MILLIS) | (i64::from(replica.get()) << SEQUENCE_BITS)
}

/// Issues ids, each above all that it knows of.
#[derive(Clone, Debug)]
pub(crate) struct GrantIds {
    replica: ReplicaNo,
    latest: Option<GrantId>,
}

impl GrantIds {
    pub(crate) fn new(replica: ReplicaNo) -> GrantIds {
        GrantIds { replica, latest: None }
    }

    pub(crate) fn latest(&self) -> Option<GrantId> {
        self.latest
    }

    pub(crate) fn remember(&mut self, id: GrantId) {
        self.latest = self.latest.max(Some(id));
    }

    /// The id that a grant asked for at `now` would have; `None` once ids are used up for all time.
    pub(crate) fn next(&self, now: Timestamp) -> Option<GrantId> {
        let asked = now.as_millis().clamp(0, LAST_MILLIS);
        let first = first_of(asked, self.replica);
        match self.latest {
            Some(GrantId(latest)) if latest >= first => self.after(latest),
            _ => Some(GrantId(first)),
        }
    }

    /// The smallest id of this replica above `latest`, which is not negative.
    fn after(&self, latest: i64) -> Option<GrantId> {
        let millis = latest >> BELOW_MILLIS;
        let first = first_of(millis, self.replica);
        if latest < first {
            Some(GrantId(first))
        } else if latest < first + LAST_SEQUENCE {
            Some(GrantId(latest + 1))
        } else if millis < LAST_MILLIS {
            Some(GrantId(first_of(millis + 1, self.replica)))
        } else {
            None
        }
    }
}

/// A draw that succeeded, reserved and not yet on record; [`commit`](crate::Pool::commit) or
/// [`release`](crate::Pool::release) ends it.
///
/// One that is dropped instead goes on counting until its key is removed.
#[must_use = "a grant goes on counting until it is committed or released"]
#[derive(Debug)]
pub struct Grant {
    pub(crate) id: GrantId,
    pub(crate) key: KeyNo,
    pub(crate) feature: FeatureNo,
    pub(crate) rate_since: Timestamp,
    pub(crate) budget_since: Option<Timestamp>,
    /// Where the pool keeps its reservation.
    pub(crate) reservation: usize,
}

impl Grant {
    /// Names the grant and its usage event.
    #[must_use]
    pub fn id(&self) -> GrantId {
        self.id
    }

    /// The key that was granted.
    #[must_use]
    pub fn key(&self) -> KeyNo {
        self.key
    }

    /// The feature that it was granted for.
    #[must_use]
    pub fn feature(&self) -> FeatureNo {
        self.feature
    }

    /// The moment at which it was granted: never before that of any grant before it.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.id.at()
    }

    /// The start of the rate window in which it counted when it was drawn.
    #[must_use]
    pub fn rate_since(&self) -> Timestamp {
        self.rate_since
    }

    /// The start of the budget window in which it counted when it was drawn; `None` where the count is for life.
    #[must_use]
    pub fn budget_since(&self) -> Option<Timestamp> {
        self.budget_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(number: u16) -> ReplicaNo {
        ReplicaNo::new(number).unwrap()
    }

    fn id(millis: i64, of: u16, sequence: u16) -> GrantId {
        GrantId::compose(Timestamp::from_millis(millis), replica(of), sequence).unwrap()
    }

    #[test]
    fn an_id_is_laid_out_as_the_design_says() {
        assert_eq!(id(5, 3, 7).get(), 5 << 21 | 3 << 11 | 7);
        assert_eq!(id(LAST_MILLIS, 1023, 2047).get(), i64::MAX);
        assert_eq!(id(5, 1023, 2047).at(), Timestamp::from_millis(5));
        for (millis, sequence) in [(-1, 0), (LAST_MILLIS + 1, 0), (0, 2048)] {
            assert_eq!(
                GrantId::compose(Timestamp::from_millis(millis), replica(0), sequence),
                None
            );
        }
    }

    #[test]
    fn the_next_id_is_the_smallest_one_above_all_before() {
        // replica 3 asks; what is latest, when it asks, what it gets
        let table = [
            (None, 5, Some(id(5, 3, 0))),
            (None, -5, Some(id(0, 3, 0))),
            (None, i64::MAX, Some(id(LAST_MILLIS, 3, 0))),
            (Some(id(5, 3, 0)), 6, Some(id(6, 3, 0))),
            (Some(id(5, 3, 0)), 5, Some(id(5, 3, 1))),
            (Some(id(5, 3, 0)), 1, Some(id(5, 3, 1))),
            (Some(id(5, 3, 2047)), 5, Some(id(6, 3, 0))),
            (Some(id(5, 3, 2047)), 1, Some(id(6, 3, 0))),
            (Some(id(5, 2, 2047)), 5, Some(id(5, 3, 0))),
            (Some(id(5, 2, 9)), 1, Some(id(5, 3, 0))),
            (Some(id(5, 4, 0)), 5, Some(id(6, 3, 0))),
            (Some(id(LAST_MILLIS, 3, 2046)), 0, Some(id(LAST_MILLIS, 3, 2047))),
            (Some(id(LAST_MILLIS, 3, 2047)), 0, None),
            (Some(GrantId::new(i64::MAX)), i64::MAX, None),
            (Some(GrantId::new(i64::MIN)), i64::MIN, Some(id(0, 3, 0))),
        ];
        for (latest, now, expected) in table {
            let ids = GrantIds { replica: replica(3), latest };
            assert_eq!(ids.next(Timestamp::from_millis(now)), expected, "{latest:?} at {now}");
        }
    }
}
