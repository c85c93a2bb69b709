//! Moments as members of answers: RFC 3339 in UTC with `Z`.

pub(crate) use keypool_engine::times::parse;
use keypool_engine::{Timestamp, times};
use serde::{Serialize, Serializer};

/// A moment, written to the whole second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToTheSecond(pub(crate) Timestamp);

/// A moment, written to the millisecond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToTheMillisecond(pub(crate) Timestamp);

/// The day of a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToTheDay(pub(crate) Timestamp);

impl Serialize for ToTheSecond {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&times::to_the_second(self.0))
    }
}

impl Serialize for ToTheDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&times::to_the_day(self.0))
    }
}

impl Serialize for ToTheMillisecond {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&times::to_the_millisecond(self.0))
    }
}
