//! Decides which key a draw gets: rotation, rate limits, budgets, expiry.
//!
//! Pure: it knows no clock, disk, socket, log or secret value. Callers say what time it is and remember what was
//! granted. Everything goes through [`Pool`]: fill it with [`Pool::put_tier`] and [`Pool::put_key`], tell it what was
//! counted before with [`Pool::adopt`], then [`Pool::draw`]. A [`Grant`] is a reservation: it counts at once, and ends
//! in [`Pool::commit`] when it is on record, or in [`Pool::release`] when that failed.
//!
//! ```
//! use keypool_core::{
//!     Access, FeatureNo, KeyNo, KeyTerms, Limit, Period, Pool, RateLimit, Refusal, ReplicaNo, TierNo, Timestamp,
//! };
//!
//! let (tier, search) = (TierNo::new(1), FeatureNo::new(1));
//! let minute = Period::from_secs(60).expect("60 s is a window");
//! let mut pool = Pool::new(ReplicaNo::new(0).expect("0 is a replica"));
//! pool.put_tier(tier, &[(search, RateLimit { calls: 1, window: minute })]);
//! pool.put_key(KeyNo::new(7), KeyTerms { tier, active: true, expires_at: None, budget: None });
//!
//! let now = Timestamp::from_millis(1_000);
//! let grant = pool.draw(Access::All, search, now).expect("the key is free");
//! assert_eq!(grant.key(), KeyNo::new(7));
//! pool.commit(grant);
//!
//! let until = Timestamp::from_millis(61_000);
//! assert_eq!(pool.draw(Access::All, search, now).err(), Some(Refusal::Spent { limit: Limit::Rate, until }));
//! ```

mod counter;
mod coverage;
mod grant;
mod line;
mod list;
mod number;
mod pool;
mod refusal;
mod seat;
mod terms;
mod time;

pub use counter::{BudgetUsage, FeatureTally, Tally};
pub use grant::{Grant, GrantId};
pub use number::{ConsumerNo, FeatureNo, KeyNo, ReplicaNo, TierNo};
pub use pool::Pool;
pub use refusal::{Condition, Limit, Refusal, TierInUse};
pub use terms::{Access, Budget, KeyTerms, RateLimit};
pub use time::{Period, Timestamp};
