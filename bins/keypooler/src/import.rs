//! `keypooler import`: adds the keys of a file, all or none, beside a server that runs.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail};
use keypool_engine::{
    AdminError, Clock, EngineSettings, Guest, NewKey, Prospective, SameNames, Still,
};
use keypool_http::ListedKey;
use serde::Serialize;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::config::{DatabaseSettings, Settings};
use crate::exit::Outcome;
use crate::flags::ImportFlags;
use crate::report;

/// A file of keys may be so long, as the body of a request may.
const MOST_BYTES: usize = 32 * 1_024 * 1_024;
/// The longest that a server is waited for in silence.
const UNTIL_TOLD: Duration = Duration::from_secs(2);
/// How often the keys are judged anew, each time because the pool has changed since.
const MOST_OVERTAKEN: usize = 16;

/// What is asked for.
struct Import<'f> {
    flags: &'f ImportFlags,
    database: DatabaseSettings,
    text: Zeroizing<Vec<u8>>,
}

/// Adds the keys, or only tells what would become of each.
pub(crate) async fn import(settings: Settings, flags: &ImportFlags) -> anyhow::Result<Outcome> {
    let asked = Import { flags, database: settings.database, text: read(&flags.file)? };
    let sealer = settings.encryption.sealer();
    let still = Still::read(asked.database.clone(), &sealer, &Clock::System).await?;
    let (mut report, new) = asked.judge(&still)?;
    drop(still);
    if !new.is_empty() {
        let settings = EngineSettings {
            store: asked.database.clone().into(),
            sealer,
            admin_tokens: Vec::new(),
            clock: Clock::System,
            accept_clock: true,
        };
        let guest = Guest::open("keypooler import", settings).await?;
        let added = asked.add(&guest, report, new).await;
        let mut leaving = pin!(guest.leave());
        let left = match timeout(UNTIL_TOLD, &mut leaving).await {
            Ok(left) => left,
            Err(_) => {
                tracing::warn!("the keys are added; waiting for the server to take them over");
                leaving.await
            }
        };
        report = added?;
        left?;
    }
    report::print(&report, flags.report.form())?;
    Ok(if report.refused == 0 { Outcome::Done } else { Outcome::Amiss })
}

fn read(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let text = if path == Path::new("-") {
        read_all(io::stdin().lock(), MOST_BYTES)
    } else {
        File::open(path).and_then(|file| {
            let told = file.metadata()?;
            let length = usize::try_from(told.len()).unwrap_or(MOST_BYTES);
            read_all(file, if told.is_file() { length } else { MOST_BYTES })
        })
    };
    let text = text.with_context(|| format!("{} can't be read", path.display()))?;
    if text.len() > MOST_BYTES {
        bail!("{} is longer than 32 MiB: import it in parts", path.display());
    }
    Ok(text)
}

/// Reads what should have this length, and no more than a byte above what is taken. Memory that grows leaves a copy behind.
fn read_all(from: impl Read, length: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::with_capacity(length.min(MOST_BYTES) + 1));
    from.take(MOST_BYTES as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

impl Import<'_> {
    /// What becomes of the keys by the pool as it stands, and those that are to be added to it.
    fn judge(&self, still: &Still<'_>) -> anyhow::Result<(Report, Vec<NewKey>)> {
        let Self { flags, database, text } = self;
        let listed = flags.format().read(text, flags.tier.as_deref());
        let listed = listed.with_context(|| format!("{} can't be read", flags.file.display()))?;
        let (keys, new) = judge(listed, still, self.names());
        let report = Report::of(database.to_string(), flags, keys);
        let is_made = report.refused == 0 && !flags.dry_run;
        Ok((report, if is_made { new } else { Vec::new() }))
    }

    /// Adds the keys as one change. Where the pool has changed so that it can't be made, they are judged anew.
    async fn add(
        &self,
        guest: &Guest,
        mut report: Report,
        mut new: Vec<NewKey>,
    ) -> anyhow::Result<Report> {
        let mut overtaken = 0;
        while !new.is_empty() {
            let engine = guest.engine();
            match engine.add_new_keys(guest.origin(), new, self.names()).await {
                Ok(added) => {
                    report.added = added.len();
                    break;
                }
                Err(AdminError::Invalid(_) | AdminError::Unknown { .. })
                    if overtaken < MOST_OVERTAKEN =>
                {
                    overtaken += 1;
                    let database = self.database.clone();
                    let still = Still::read_for(guest, database, &Clock::System).await?;
                    (report, new) = self.judge(&still)?;
                }
                Err(error) => return Err(error).context("the keys could not be added"),
            }
        }
        Ok(report)
    }

    fn names(&self) -> SameNames {
        if self.flags.allow_same_name { SameNames::Allow } else { SameNames::Refuse }
    }
}

/// What becomes of each key of the file, and those that are to be added.
fn judge(listed: Vec<ListedKey>, still: &Still<'_>, names: SameNames) -> (Vec<Told>, Vec<NewKey>) {
    let mut told = Vec::new();
    let (mut keys, mut lines) = (Vec::new(), Vec::new());
    for ListedKey { line, key } in listed {
        match key {
            Ok(key) => {
                keys.push(key);
                lines.push(line);
            }
            Err(why) => told.push(Told { line, name: None, becomes: Becomes::Refused { why } }),
        }
    }
    let prospects = still.hold_against(&keys, names);
    let mut new = Vec::new();
    for ((key, line), prospect) in keys.into_iter().zip(&lines).zip(prospects) {
        let becomes = match prospect {
            Prospective::New => Becomes::New,
            Prospective::Present { id, name } => {
                Becomes::Present { id: id.to_string(), known_as: name.to_string() }
            }
            Prospective::Twin { of } => {
                let twin = lines.get(of).copied().unwrap_or_default();
                Becomes::Refused { why: format!("holds the value of the key on line {twin}") }
            }
            Prospective::Namesake { of } => {
                let line = lines.get(of).copied().unwrap_or_default();
                let why = format!("has the name of the key on line {line}, with another value");
                Becomes::Refused { why }
            }
            Prospective::Refused(why) => Becomes::Refused { why },
        };
        told.push(Told { line: *line, name: Some(key.name.clone()), becomes });
        if matches!(told.last(), Some(Told { becomes: Becomes::New, .. })) {
            new.push(key);
        }
    }
    told.sort_by_key(|told| told.line);
    (told, new)
}

/// What is told of an import.
#[derive(Debug, Serialize)]
struct Report {
    database: String,
    file: String,
    dry_run: bool,
    /// Keys that were added.
    added: usize,
    /// Keys of the file that the pool did not have.
    new: usize,
    /// Keys of the file whose value the pool had already.
    present: usize,
    refused: usize,
    keys: Vec<Told>,
}

#[derive(Debug, Serialize)]
struct Told {
    line: usize,
    name: Option<String>,
    #[serde(flatten)]
    becomes: Becomes,
}

#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Becomes {
    New,
    Present { id: String, known_as: String },
    Refused { why: String },
}

impl Report {
    fn of(database: String, flags: &ImportFlags, keys: Vec<Told>) -> Self {
        let count =
            |is_it: fn(&Becomes) -> bool| keys.iter().filter(|it| is_it(&it.becomes)).count();
        Self {
            database,
            file: flags.file.display().to_string(),
            dry_run: flags.dry_run,
            added: 0,
            new: count(|it| matches!(it, Becomes::New)),
            present: count(|it| matches!(it, Becomes::Present { .. })),
            refused: count(|it| matches!(it, Becomes::Refused { .. })),
            keys,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, file, dry_run, new, present, refused, .. } = self;
        for Told { line, name, becomes } in &self.keys {
            let name = name.as_deref().unwrap_or("a key");
            match becomes {
                Becomes::New if !dry_run => {}
                Becomes::New => writeln!(f, "line {line}: {name}: would be added")?,
                Becomes::Present { known_as, .. } => {
                    writeln!(f, "line {line}: {name}: is in the pool already, as {known_as}")?;
                }
                Becomes::Refused { why } => writeln!(f, "line {line}: {name}: {why}")?,
            }
        }
        match (refused, dry_run) {
            (0, false) => {
                writeln!(f, "added {new} keys of {file} to {database}; {present} were there")
            }
            (0, true) => writeln!(
                f,
                "{new} keys of {file} would be added to {database}; {present} are there"
            ),
            (refused, _) => {
                writeln!(f, "nothing was added to {database}: {refused} keys of {file} cannot be")
            }
        }
    }
}
