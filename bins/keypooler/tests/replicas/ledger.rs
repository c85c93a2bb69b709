//! What clients were answered, as they saw it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::Answer;

/// A draw that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) replica: usize,
    pub(crate) feature: String,
    pub(crate) outcome: Outcome,
    pub(crate) sent: Instant,
    /// When the answer was read to its end, or the connection broke.
    pub(crate) ended: Instant,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Granted {
        key_id: String,
        draw_id: String,
    },
    Refused {
        status: u16,
        code: String,
        retry_after_secs: Option<u64>,
    },
    /// No whole answer came.
    Lost,
}

impl Outcome {
    pub(crate) fn of(answer: std::io::Result<Answer>) -> Self {
        let Ok(answer) = answer else { return Self::Lost };
        let json = answer.json();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        if answer.status == 200 {
            return Self::Granted { key_id: text("key_id"), draw_id: text("draw_id") };
        }
        let retry_after_secs = answer.header("retry-after").and_then(|secs| secs.parse().ok());
        Self::Refused { status: answer.status, code: text("code"), retry_after_secs }
    }

    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Granted { .. } => 200,
            Self::Refused { status, .. } => *status,
            Self::Lost => 0,
        }
    }

    pub(crate) fn is_grant(&self) -> bool {
        matches!(self, Self::Granted { .. })
    }

    /// Whether it may be on record although no value came, and the server said so.
    pub(crate) fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "commit_in_doubt")
    }
}

/// All entries of a test, of all clients.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
}

impl Ledger {
    /// Draw id and key id of every grant that was received.
    pub(crate) fn grants(&self) -> impl Iterator<Item = (&Entry, &str, &str)> {
        self.entries.iter().filter_map(|entry| match &entry.outcome {
            Outcome::Granted { key_id, draw_id } => {
                Some((entry, draw_id.as_str(), key_id.as_str()))
            }
            Outcome::Refused { .. } | Outcome::Lost => None,
        })
    }

    pub(crate) fn count(&self, is_meant: impl Fn(&Entry) -> bool) -> usize {
        self.entries.iter().filter(|entry| is_meant(entry)).count()
    }

    /// How many answers of each kind.
    pub(crate) fn summary(&self) -> BTreeMap<String, usize> {
        let mut summary = BTreeMap::new();
        for entry in &self.entries {
            let kind = match &entry.outcome {
                Outcome::Granted { .. } => "granted".to_owned(),
                Outcome::Refused { status, code, .. } => format!("{status} {code}"),
                Outcome::Lost => "lost".to_owned(),
            };
            *summary.entry(kind).or_default() += 1;
        }
        summary
    }

    /// How long after a moment a replica granted a draw that was sent after it.
    pub(crate) fn resumed_after(&self, replica: usize, moment: Instant) -> Option<Duration> {
        let of_replica = self.grants().map(|(entry, ..)| entry).filter(|it| it.replica == replica);
        let after = of_replica.filter(|entry| entry.sent >= moment);
        after.map(|entry| entry.ended.duration_since(moment)).min()
    }

    /// Draws that a replica was asked for before it was gone, and whose answers were lost with it.
    pub(crate) fn lost_in_flight(&self, replica: usize, [killing, gone]: [Instant; 2]) -> usize {
        let is_lost = |it: &Entry| it.replica == replica && it.outcome == Outcome::Lost;
        self.count(|it| is_lost(it) && it.sent < gone && it.ended > killing)
    }

    /// The longest time without a grant by a replica between two moments.
    pub(crate) fn longest_gap(&self, replica: usize, from: Instant, to: Instant) -> Duration {
        let of_replica = self.grants().map(|(entry, ..)| entry).filter(|it| it.replica == replica);
        let within = of_replica.map(|entry| entry.ended).filter(|at| *at > from && *at < to);
        let mut moments: Vec<_> = within.chain([from, to]).collect();
        moments.sort_unstable();
        let gaps = moments.windows(2).map(|two| two[1].duration_since(two[0]));
        gaps.max().unwrap_or_default()
    }

    /// The longest answer.
    pub(crate) fn longest(&self) -> Duration {
        let lasted = self.entries.iter().map(|entry| entry.ended.duration_since(entry.sent));
        lasted.max().unwrap_or_default()
    }
}
