//! Embeds core alone: rotation and limits here, storage of the program's own.
//!
//! The storage is a text, one line a grant, appended before the key is used. It stands for a file or a table: what
//! was granted before is read back from it after a restart.

use std::fmt::Write as _;

use keypool_core::{
    Access, Budget, FeatureNo, FeatureTally, Grant, GrantId, KeyNo, KeyTerms, Limit, Period, Pool,
    RateLimit, Refusal, ReplicaNo, Tally, TierNo, Timestamp,
};

const TIER: TierNo = TierNo::new(1);
const SEARCH: FeatureNo = FeatureNo::new(1);
/// What the keys are; core knows their numbers alone.
const KEYS: [(KeyNo, &str); 2] = [(KeyNo::new(1), "alpha"), (KeyNo::new(2), "beta")];

/// Lines of `grant-id key start-of-rate-window`.
#[derive(Default)]
struct Journal {
    text: String,
    is_full: bool,
}

impl Journal {
    /// Appends a grant, if there is room.
    fn append(&mut self, grant: &Grant) -> bool {
        if self.is_full {
            return false;
        }
        let (id, key) = (grant.id().get(), grant.key().get());
        writeln!(self.text, "{id} {key} {}", grant.rate_since().as_millis()).is_ok()
    }

    /// The grants of a key: id and start of the rate window.
    fn of_key(&self, key: KeyNo) -> impl Iterator<Item = (GrantId, Timestamp)> {
        self.text.lines().filter_map(move |line| {
            let mut numbers = line.split(' ').map_while(|number| number.parse::<i64>().ok());
            let (id, of_key, since) = (numbers.next()?, numbers.next()?, numbers.next()?);
            (of_key == key.get()).then(|| (GrantId::new(id), Timestamp::from_millis(since)))
        })
    }
}

/// Fills a pool with the keys, and with what the journal says of them.
fn open(journal: &Journal) -> Pool {
    let mut pool = Pool::new(ReplicaNo::new(0).expect("0 is a replica"));
    let minute = Period::from_secs(60).expect("60 s is a window");
    pool.put_tier(TIER, &[(SEARCH, RateLimit { calls: 2, window: minute })]);
    for (key, _) in KEYS {
        let budget = Some(Budget { units: 3, window: None });
        pool.put_key(key, KeyTerms { tier: TIER, active: true, expires_at: None, budget });

        let grants: Vec<(GrantId, Timestamp)> = journal.of_key(key).collect();
        let since = grants.iter().map(|(_, since)| *since).max();
        let in_window = grants.iter().filter(|(_, own)| Some(*own) == since);
        let rate = Tally { since, count: in_window.count() as u64 };
        let last_grant = grants.iter().map(|(id, _)| *id).max();
        let for_life = Tally { since: None, count: grants.len() as u64 };
        pool.adopt(key, for_life, &[FeatureTally { feature: SEARCH, rate, last_grant }]);
    }
    pool
}

/// Draws a key and hands it out once its grant is in the journal; `None` if that failed.
fn draw(
    pool: &mut Pool,
    journal: &mut Journal,
    secs: i64,
) -> Result<Option<&'static str>, Refusal> {
    let grant = pool.draw(Access::All, SEARCH, Timestamp::from_millis(secs * 1000))?;
    if !journal.append(&grant) {
        pool.release(grant);
        return Ok(None);
    }
    let name = KEYS.iter().find(|(key, _)| *key == grant.key()).map(|(_, name)| *name);
    pool.commit(grant);
    Ok(name)
}

/// Draws, shows what came of it, and holds it against what was to come.
#[expect(clippy::print_stdout, reason = "it shows what it does")]
fn show(
    pool: &mut Pool,
    journal: &mut Journal,
    secs: i64,
    expected: Result<Option<&str>, Refusal>,
    why: &str,
) {
    let drawn = draw(pool, journal, secs);
    println!("{secs:>4} s  {drawn:?}: {why}");
    assert_eq!(drawn, expected);
}

#[expect(clippy::print_stdout, reason = "it shows what it does")]
fn main() {
    let spent = |secs: i64| {
        Err(Refusal::Spent { limit: Limit::Rate, until: Timestamp::from_millis(secs * 1000) })
    };
    let mut journal = Journal::default();
    let j = &mut journal;
    let mut pool = open(j);
    show(&mut pool, j, 100, Ok(Some("alpha")), "never served, and the older key");
    show(&mut pool, j, 101, Ok(Some("beta")), "served least recently");
    show(&mut pool, j, 104, Ok(Some("alpha")), "round robin");

    j.is_full = true;
    show(&mut pool, j, 105, Ok(None), "not on record, so not handed out; beta keeps its turn");
    j.is_full = false;

    let mut pool = open(j);
    show(&mut pool, j, 106, Ok(Some("beta")), "a restart later the turn is still beta's");
    show(&mut pool, j, 107, spent(160), "2 calls of this minute each; alpha's ends first");
    show(&mut pool, j, 159, spent(160), "not a second earlier");
    show(&mut pool, j, 160, Ok(Some("alpha")), "alpha's next minute, and its last unit of 3");
    show(&mut pool, j, 160, spent(161), "beta is back at 161 s");
    show(&mut pool, j, 161, Ok(Some("beta")), "as it said");
    show(&mut pool, j, 999, Err(Refusal::NoUsableKey), "all units are spent, time heals nothing");

    let grants = journal.text.lines().count();
    println!("the journal holds {grants} grants:\n{}", journal.text);
    assert_eq!(grants, 6);
}
