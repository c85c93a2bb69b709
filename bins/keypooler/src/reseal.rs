//! `keypooler reseal`: seals every value under the current encryption key, beside a server that runs, and tells how the
//! values are sealed.

use std::fmt;

use keypool_engine::{Clock, CopyFound, SealReport, Sealer, StoreSettings, Unopened};
use serde::Serialize;
use tokio::time::{Duration, Instant};

use crate::config::{ConfigError, PlainText, Settings};
use crate::exit::Outcome;
use crate::flags::ResealFlags;
use crate::progress::Progress;
use crate::report;
use crate::values_told::Values;

/// How often the log is told how far it is.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Values that are named in the text of a report.
const MOST_NAMED: usize = 10;

/// Settings fit for it: there is a key to seal under, and what is plain text is opened to be sealed.
pub(crate) fn settings(mut settings: Settings) -> Result<Settings, ConfigError> {
    if settings.encryption.key.is_none() {
        return Err(ConfigError::new(
            "ENCRYPTION_KEY is required, as it is what values are sealed under: set it, or ENCRYPTION_KEY_FILE",
        ));
    }
    settings.encryption.plain_text = PlainText::Accepted;
    Ok(settings)
}

/// Seals, unless it is only to look, and tells how the values are sealed then.
pub(crate) async fn reseal(settings: Settings, flags: &ResealFlags) -> anyhow::Result<Outcome> {
    let database = settings.database.to_string();
    let store: StoreSettings = settings.database.into();
    let sealer = settings.encryption.sealer();
    let resealed = if flags.check { None } else { Some(seal(store.clone(), &sealer).await?) };
    let sealed = keypool_engine::check_seals(store, &sealer).await?;
    let report = Report::of(database, resealed, &sealed);
    report::print(&report, flags.report.form())?;
    Ok(if report.sound { Outcome::Done } else { Outcome::Amiss })
}

async fn seal(store: StoreSettings, sealer: &Sealer) -> anyhow::Result<u64> {
    let progress = Progress::start();
    progress.doing("looking at the values");
    let mut logged = Instant::now();
    let tell = |done, of| {
        progress.done("sealing values", done, of);
        if logged.elapsed() >= LOG_EVERY {
            logged = Instant::now();
            tracing::info!("sealed {done} of {of} values");
        }
    };
    Ok(keypool_engine::reseal(store, sealer, &Clock::System, tell).await?)
}

/// What is told.
#[derive(Debug, Serialize)]
struct Report {
    database: String,
    /// Whether everything is sealed under the current key, and no copy with plain text lies beside.
    sound: bool,
    /// How many values got a new seal; none where it only looked.
    resealed: Option<u64>,
    values: Values,
    unopened: Vec<Told>,
    copies: Vec<CopyTold>,
}

#[derive(Debug, Serialize)]
struct Told {
    key_id: String,
    key_name: String,
    secret: Option<String>,
    why: String,
    #[serde(skip)]
    text: String,
}

/// A copy of the database that lies beside it.
#[derive(Debug, Serialize)]
struct CopyTold {
    path: String,
    /// None where it can't be read.
    plain: Option<usize>,
}

impl Report {
    fn of(database: String, resealed: Option<u64>, sealed: &SealReport) -> Self {
        let copies = sealed.copies.iter();
        let copy = |copy: &CopyFound| CopyTold {
            path: copy.path.display().to_string(),
            plain: copy.plain,
        };
        Self {
            database,
            sound: sealed.is_well(),
            resealed,
            values: sealed.counts.into(),
            unopened: sealed.unopened.iter().map(Told::from).collect(),
            copies: copies.map(copy).collect(),
        }
    }
}

impl From<&Unopened> for Told {
    fn from(value: &Unopened) -> Self {
        let text = value.to_string();
        let Unopened { key, name, secret, why } = value.clone();
        Self { key_id: key, key_name: name, secret, why: why.to_string(), text }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "database: {}", self.database)?;
        if let Some(resealed) = self.resealed {
            writeln!(f, "resealed: {resealed} values")?;
        }
        writeln!(f, "{}", self.values)?;
        for value in self.unopened.iter().take(MOST_NAMED) {
            writeln!(f, "found:    {}", value.text)?;
        }
        if let Some(more) = self.unopened.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
            writeln!(f, "found:    {more} more that do not open (--json names all)")?;
        }
        for copy in &self.copies {
            writeln!(f, "{copy}")?;
        }
        if self.sound {
            writeln!(f, "found:    nothing amiss")?;
        }
        Ok(())
    }
}

impl fmt::Display for CopyTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match self.plain {
            Some(0) => write!(f, "copy:     {path} holds no plain values"),
            Some(plain) => {
                write!(
                    f,
                    "found:    {path} holds {plain} plain values: remove it once you need it no more"
                )
            }
            None => write!(
                f,
                "found:    {path} can't be read, and may hold plain values: remove it if you don't need it"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use keypool_engine::SealCounts;

    use super::*;

    #[test]
    fn tells_what_is_amiss_and_names_no_more_than_it_can() {
        let unopened = |n| Unopened {
            key: format!("id-{n}"),
            name: "k".to_owned(),
            secret: (n == 0).then(|| "s".to_owned()),
            why: keypool_engine::ValueError::Damaged,
        };
        let sealed = SealReport {
            counts: SealCounts { current: 1, previous: 2, original: 3, plain: 4 },
            unopened: (0..12).map(unopened).collect(),
            copies: vec![
                CopyFound { path: "a.v1.bak".into(), plain: Some(5) },
                CopyFound { path: "b.v1.bak".into(), plain: Some(0) },
                CopyFound { path: "c.v1.bak".into(), plain: None },
            ],
        };
        let text = Report::of("a.db".to_owned(), Some(7), &sealed).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "resealed: 7 values");
        assert_eq!(
            lines[2],
            "values:   1 under the current key, 2 under the key before, 3 in the original's form, 4 plain"
        );
        assert!(
            lines[3].starts_with("found:    secret \"s\" of key \"k\" (id-0): the value's seal"),
            "{text}"
        );
        assert!(lines[4].starts_with("found:    key \"k\" (id-1): "), "{text}");
        assert_eq!(lines[13], "found:    2 more that do not open (--json names all)");
        assert!(lines[14].starts_with("found:    a.v1.bak holds 5 plain values"), "{text}");
        assert_eq!(lines[15], "copy:     b.v1.bak holds no plain values");
        assert!(lines[16].starts_with("found:    c.v1.bak can't be read"), "{text}");
        assert_eq!(lines.len(), 17, "{text}");
    }

    #[test]
    fn tells_that_nothing_is_amiss() {
        let counts = SealCounts { current: 2, ..SealCounts::default() };
        let sealed = SealReport { counts, ..SealReport::default() };
        let report = Report::of("a.db".to_owned(), None, &sealed);
        assert!(report.sound);
        assert!(report.to_string().ends_with("found:    nothing amiss\n"));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["values"]["current"], 2);
        assert!(json["resealed"].is_null());
    }
}
