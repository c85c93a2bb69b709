//! The network between replicas and database: each replica's way has its weather, which turns.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keypool_engine::{Errand, Fate, Fault};

use crate::chance::Chance;

/// How a replica's way to the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// Requests take some milliseconds.
    Fair,
    /// Some are lost, late, repeated or refused.
    Foul,
    /// No request arrives, and none is answered.
    Silent,
    /// There is no connection, and it is known at once.
    Down,
}

/// The ways of all replicas.
#[derive(Clone)]
pub(crate) struct Network {
    ways: Arc<Mutex<Ways>>,
    chance: Chance,
}

struct Ways {
    weather: Vec<Weather>,
    requests: u64,
}

impl Network {
    pub(crate) fn new(ways: usize, chance: Chance) -> Self {
        let weather = vec![Weather::Fair; ways];
        Self { ways: Arc::new(Mutex::new(Ways { weather, requests: 0 })), chance }
    }

    fn ways(&self) -> MutexGuard<'_, Ways> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.ways().requests
    }

    /// The weather of one way turns.
    pub(crate) fn turn(&self) {
        let mut ways = self.ways();
        let way = self.chance.index(ways.weather.len());
        ways.weather[way] = match self.chance.between(0, 9) {
            0..=3 => Weather::Fair,
            4..=7 => Weather::Foul,
            8 => Weather::Silent,
            _ => Weather::Down,
        };
    }

    /// From now on every way is fair.
    pub(crate) fn clear(&self) {
        self.ways().weather.fill(Weather::Fair);
    }

    /// What becomes of a request.
    pub(crate) fn fate(&self, way: usize, errand: Errand) -> Fate {
        let chance = &self.chance;
        let weather = {
            let mut ways = self.ways();
            ways.requests += 1;
            ways.weather[way]
        };
        let fair = || Fate::Answered { there: chance.millis(0, 8), back: chance.millis(0, 8) };
        match weather {
            Weather::Fair => fair(),
            Weather::Silent => Fate::RequestLost,
            Weather::Down => Fate::Refused(Fault::Unreachable),
            Weather::Foul => match chance.between(0, 19) {
                0..=10 => fair(),
                11 | 12 => {
                    Fate::Answered { there: chance.millis(0, 900), back: chance.millis(0, 900) }
                }
                13 => Fate::RequestLost,
                14 | 15 => Fate::AnswerLost { there: self.now_or_much_later() },
                16 if errand == Errand::Write => {
                    Fate::Repeated { there: chance.millis(0, 20), again: self.now_or_much_later() }
                }
                17 if errand == Errand::Write => Fate::AnsweredTwice {
                    there: chance.millis(0, 20),
                    again: chance.millis(0, 400),
                },
                18 => Fate::Refused(match chance.between(0, 2) {
                    0 => Fault::Busy,
                    1 => Fault::Full,
                    _ => Fault::TooMany,
                }),
                _ => fair(),
            },
        }
    }

    /// A request can be on its way for longer than its sender waits.
    fn now_or_much_later(&self) -> Duration {
        if self.chance.per_mille(400) {
            self.chance.millis(900, 15_000)
        } else {
            self.chance.millis(0, 30)
        }
    }
}
