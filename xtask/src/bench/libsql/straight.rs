//! Statements sent straight to the database server, over one connection: what a round trip costs, and a batch of draws
//! without anything of ours around it.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::bench::client::Client;

/// Keys of the pool, numbered from 1; it has one tier with one feature and one consumer.
pub(crate) const KEYS: usize = 10;

/// The statement that the store sends for a batch of draws.
const DRAW: &str = "INSERT INTO draw_batch (first, revision, events, strays, rates, budgets) VALUES (?1, ?2, '[]', ?3, ?4, ?5)";

/// A time of the year 2033, later than all that a server of today gives out.
const SINCE_MS: i64 = 2_000_000_000_000;

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct Straight {
    client: Client,
    revision: i64,
    /// The id of the next event.
    next: i64,
}

impl Straight {
    /// Connects to a server whose database holds a pool that no keypooler works on.
    pub(crate) fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let client = Client::connect(address, "")?;
        let mut straight = Self { client, revision: 0, next: SINCE_MS << 21 };
        let answer = straight.send(json!({"sql": "SELECT revision FROM pool"}))?;
        let revision = answer["rows"][0][0]["value"].as_str().context("a pool has a revision")?;
        straight.revision = revision.parse()?;
        Ok(straight)
    }

    /// A statement that does nothing.
    pub(crate) fn nothing(&mut self) -> anyhow::Result<()> {
        self.send(json!({"sql": "SELECT 1"})).map(drop)
    }

    /// A batch of so many draws, over all keys in turn.
    pub(crate) fn draw(&mut self, draws: u64) -> anyhow::Result<()> {
        let (first, draws) = (self.next, usize::try_from(draws)?);
        self.next += i64::try_from(draws)?;
        let [strays, rates, budgets] = tables(first, draws);
        let text = |value: String| json!({"type": "text", "value": value});
        let number = |value: i64| json!({"type": "integer", "value": value.to_string()});
        let args = [number(first), number(self.revision), text(strays), text(rates), text(budgets)];
        self.send(json!({"sql": DRAW, "args": args})).map(drop)
    }

    /// Sends one statement as the libsql crate does, and takes its result.
    #[expect(clippy::needless_pass_by_value, reason = "a statement is sent once")]
    fn send(&mut self, stmt: Value) -> anyhow::Result<Value> {
        let batch = json!({"type": "batch", "batch": {"steps": [{"stmt": stmt}]}});
        let requests = [batch, json!({"type": "get_autocommit"}), json!({"type": "close"})];
        let answer = self.client.call("POST", "/v3/pipeline", &json!({"requests": requests}))?;
        let result = &answer["results"][0]["response"]["result"];
        let error = &result["step_errors"][0];
        if !result.is_object() || !error.is_null() {
            bail!("the database server refuses a statement: {answer}");
        }
        Ok(result["step_results"][0].clone())
    }
}

/// The JSON of a batch: its events as strays, its charges to rates and to budgets.
fn tables(first: i64, draws: usize) -> [String; 3] {
    let [mut strays, mut rates, mut budgets] = [const { String::new() }; 3];
    for (id, draw) in (first..).zip(0..draws) {
        let (key, comma) = (draw % KEYS + 1, if draw == 0 { "" } else { "," });
        let before = id.checked_sub_unsigned(KEYS as u64).filter(|before| *before >= first);
        let before = before.map_or_else(|| "null".to_owned(), |before| before.to_string());
        let first_of_key = first.saturating_add_unsigned((draw % KEYS) as u64);
        // Writing to a string does not fail.
        let _ = write!(strays, "{comma}[{id},{key},1,1,{before},{first_of_key}]");
    }
    for (first_of_key, place) in (first..).zip(0..KEYS.min(draws)) {
        let (key, comma) = (place + 1, if place == 0 { "" } else { "," });
        let count = (draws - place).div_ceil(KEYS);
        let last = first_of_key.saturating_add_unsigned(((count - 1) * KEYS) as u64);
        let charge = format!("{count},{first_of_key},{last}");
        let _ = write!(rates, "{comma}[{key},1,{SINCE_MS},{charge}]");
        let _ = write!(budgets, "{comma}[{key},null,{charge}]");
    }
    [strays, rates, budgets].map(|rows| format!("[{rows}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_charges_each_key_what_it_draws() {
        let [strays, rates, budgets] = tables(100, 12);
        assert!(strays.starts_with("[[100,1,1,1,null,100],[101,2,1,1,null,101],"), "{strays}");
        assert!(strays.ends_with(",[110,1,1,1,100,100],[111,2,1,1,101,101]]"), "{strays}");
        assert!(rates.starts_with("[[1,1,2000000000000,2,100,110],[2,1,"), "{rates}");
        assert!(budgets.ends_with("[10,null,1,109,109]]"), "{budgets}");
        let [_, rates, budgets] = tables(100, 1);
        assert_eq!(rates, "[[1,1,2000000000000,1,100,100]]");
        assert_eq!(budgets, "[[1,null,1,100,100]]");
    }
}
