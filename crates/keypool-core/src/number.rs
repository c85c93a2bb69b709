//! The numbers that name things: rows of the database, and the replica that issues grants.

/// Makes a newtype over the number of a database row.
macro_rules! row_number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(i64);

        impl $name {
            /// Names the row with this number.
            #[must_use]
            pub const fn new(number: i64) -> Self {
                Self(number)
            }

            /// The row's number.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }
    };
}

row_number!(
    /// Names a key; among keys that were never served, the smallest is the oldest and goes first.
    KeyNo
);
row_number!(
    /// Names a tier.
    TierNo
);
row_number!(
    /// Names a feature.
    FeatureNo
);
row_number!(
    /// Names a consumer; core itself knows consumers only by their [`Access`](crate::Access).
    ConsumerNo
);

/// Names one server of several on a database; it is part of every grant id that the server issues.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReplicaNo(u16);

impl ReplicaNo {
    /// The largest replica number: ids give it 10 bits.
    pub const MAX: ReplicaNo = ReplicaNo(1023);

    /// A replica number, if it is at most 1023.
    #[must_use]
    pub const fn new(number: u16) -> Option<ReplicaNo> {
        if number <= Self::MAX.0 { Some(ReplicaNo(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_number_fits_ten_bits() {
        assert_eq!(ReplicaNo::new(1023), Some(ReplicaNo::MAX));
        assert_eq!(ReplicaNo::new(1024), None);
    }
}
