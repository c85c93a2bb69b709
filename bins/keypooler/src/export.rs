//! `keypooler export`: writes the pool's keys, with their values where that is asked for.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use keypool_engine::{Clock, Still, StillKey};
use keypool_http::Values;
use serde::Serialize;

use crate::config::Settings;
use crate::exit::Outcome;
use crate::flags::ExportFlags;
use crate::report::{self, Form};

/// Writes the keys to standard output, or to a file that is told of.
pub(crate) async fn export(settings: Settings, flags: &ExportFlags) -> anyhow::Result<Outcome> {
    let database = settings.database.to_string();
    let sealer = settings.encryption.sealer();
    let still = Still::read(settings.database, &sealer, &Clock::System).await?;
    if let Some(tier) = flags.tier.as_deref().filter(|tier| !still.has_tier(tier)) {
        bail!("there is no tier {tier:?} in {database}");
    }
    let values = if flags.with_values { Values::Shown } else { Values::Hidden };
    let is_of_tier = |key: &StillKey<'_>| flags.tier.as_deref().is_none_or(|tier| key.tier == tier);
    let (keys, left_out): (Vec<_>, Vec<_>) =
        still.keys().filter(is_of_tier).partition(|key| is_exported(key, flags));
    let count = keys.len();
    let left_out: Vec<LeftOut> = left_out.iter().map(LeftOut::of).collect();
    let text = flags.format().write(keys.into_iter(), values).map_err(|said| anyhow!("{said}"))?;

    // Somebody who keeps the list would miss them.
    let lacks_some = left_out.iter().any(|key| key.why == "damaged");
    let outcome = if lacks_some { Outcome::Amiss } else { Outcome::Done };

    let Some(file) = &flags.output else {
        for LeftOut { name, why, .. } in &left_out {
            tracing::warn!(name, "left out, as it is {why}");
        }
        report::write(&text).context("the keys could not be written to standard output")?;
        return Ok(outcome);
    };
    write_file(file, &text)?;
    let report = Exported { database, file: file.clone(), keys: count, left_out };
    report::print(&report, Form::of(flags.json))?;
    Ok(outcome)
}

/// With values the list is one to be imported, which takes no key that cannot be used.
fn is_exported(key: &StillKey<'_>, flags: &ExportFlags) -> bool {
    match key.unusable() {
        None => true,
        Some(_) if !flags.with_values => true,
        Some(_) => flags.all && key.open().is_some(),
    }
}

/// Writes a new file, readable by its owner alone, that is there whole or not at all.
fn write_file(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("{} could not be written", path.display());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".keypooler-unfinished-")
        .tempfile_in(folder)
        .with_context(failed)?;
    file.write_all(text).and_then(|()| file.as_file().sync_all()).with_context(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => File::open(folder).and_then(|folder| folder.sync_all()).with_context(failed),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} is there already and was left as it is: give another name", path.display())
        }
        Err(error) => Err(error.error).with_context(failed),
    }
}

/// What is told of an export to a file.
#[derive(Debug, Serialize)]
struct Exported {
    database: String,
    file: PathBuf,
    keys: usize,
    left_out: Vec<LeftOut>,
}

#[derive(Debug, Serialize)]
struct LeftOut {
    id: String,
    name: String,
    why: &'static str,
}

impl LeftOut {
    fn of(key: &StillKey<'_>) -> Self {
        let why = key.unusable().unwrap_or("damaged");
        Self { id: key.id.to_owned(), name: key.name.to_owned(), why }
    }
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, file, keys, left_out } = self;
        writeln!(f, "exported {keys} keys of {database} to {}", file.display())?;
        for LeftOut { name, why, .. } in left_out {
            writeln!(f, "left out, as it is {why}: {name}")?;
        }
        Ok(())
    }
}
