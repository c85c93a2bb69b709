//! `keypooler import`: adds the keys of a file, all or none, beside a server that runs.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, bail};
use keypool_engine::{Clock, EngineSettings, Guest, NewKey, Prospective, SameNames, Still};
use keypool_http::ListedKey;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::config::Settings;
use crate::exit::Outcome;
use crate::flags::ImportFlags;
use crate::report::{self, Form};

/// A file of keys may be so long, as the body of a request may.
const MOST_BYTES: u64 = 32 * 1_024 * 1_024;

/// Adds the keys, or only tells what would become of each.
pub(crate) async fn import(settings: Settings, flags: &ImportFlags) -> anyhow::Result<Outcome> {
    let text = read(&flags.file)?;
    let listed = flags.format().read(&text, flags.tier.as_deref());
    let listed = listed.with_context(|| format!("{} can't be read", flags.file.display()))?;
    drop(text);

    let database = settings.database.to_string();
    let sealer = settings.encryption.sealer();
    let still = Still::read(settings.database.clone(), &sealer, &Clock::System).await?;
    let names = if flags.allow_same_name { SameNames::Allow } else { SameNames::Refuse };
    let (keys, new) = judge(listed, &still, names);
    drop(still);
    let mut report = Report::of(database, flags, keys);
    if report.refused == 0 && !flags.dry_run && !new.is_empty() {
        let settings = EngineSettings {
            store: settings.database.into(),
            sealer,
            admin_tokens: Vec::new(),
            clock: Clock::System,
            accept_clock: true,
        };
        add(settings, new).await?;
        report.added = report.new;
    }
    report::print(&report, Form::of(flags.json))?;
    Ok(if report.refused == 0 { Outcome::Done } else { Outcome::Amiss })
}

fn read(file: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let failed = || format!("{} can't be read", file.display());
    let mut text = Zeroizing::new(Vec::new());
    let most = MOST_BYTES + 1;
    let read = if file == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut text)
    } else {
        File::open(file).and_then(|file| file.take(most).read_to_end(&mut text))
    };
    read.with_context(failed)?;
    if text.len() as u64 == most {
        bail!("{} is longer than 32 MiB: import it in parts", file.display());
    }
    Ok(text)
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

/// Adds the keys as one change, which holds when this returns.
async fn add(settings: EngineSettings, keys: Vec<NewKey>) -> anyhow::Result<()> {
    let guest = Guest::open("keypooler import", settings).await?;
    let added = guest.engine().add_keys(guest.origin(), keys).await;
    let left = guest.leave().await;
    added.context("the keys could not be added")?;
    Ok(left?)
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
