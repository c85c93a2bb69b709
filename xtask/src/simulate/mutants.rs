//! Faults that are built into a copy of the code, each of which must break a promise in some history: what can't fail
//! proves nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::run::{Cargo, root, say};

/// A change of the code, and the promise that it breaks.
struct Mutant {
    breaks: &'static str,
    file: &'static str,
    code: &'static str,
    instead: &'static str,
}

const TRIGGER: &str = "migrations/0008_strays.sql";

const MUTANTS: [Mutant; 8] = [
    Mutant {
        breaks: "2: a batch that failed is answered as if it were on record",
        file: "crates/keypool-engine/src/committer/record.rs",
        code: "report(&error, \"a batch of draws could not be recorded\");\n            give_back(shared, grants);",
        instead: "report(&error, \"a batch of draws could not be recorded\");\n            return settle(shared, grants);",
    },
    Mutant {
        breaks: "2: what a failed batch held is not given back",
        file: "crates/keypool-engine/src/committer/record.rs",
        code: "let asked = shared.live().release(grants);",
        instead: "let asked: Vec<_> = grants.into_iter().map(|gathered| gathered.asked).collect();",
    },
    Mutant {
        breaks: "2: a request that was carried out before is not known again",
        file: TRIGGER,
        code: "WHEN EXISTS (SELECT 1 FROM usage_events WHERE id = NEW.first) THEN",
        instead: "WHEN 0 THEN",
    },
    Mutant {
        breaks: "5: a batch that was decided before a change is carried out",
        file: TRIGGER,
        code: "WHEN (SELECT revision FROM pool) IS NOT NEW.revision AND (",
        instead: "WHEN 0 AND (",
    },
    Mutant {
        breaks: "1: the database does not hold to budgets",
        file: TRIGGER,
        code: "THEN budget_counters.used + charge.count <= k.usage_limit",
        instead: "THEN 1",
    },
    Mutant {
        breaks: "1: the database does not hold to rate limits",
        file: TRIGGER,
        code: "THEN rate_counters.used + excluded.used <= f.rate_limit",
        instead: "THEN 1",
    },
    Mutant {
        breaks: "3: an event that is older than its balance is not in it",
        file: TRIGGER,
        code: "UPDATE budget_counters SET opening = opening + before.events",
        instead: "UPDATE budget_counters SET opening = opening",
    },
    Mutant {
        breaks: "9: whoever asks while the pool closes is not answered",
        file: "crates/keypool-engine/src/live/questions.rs",
        code: "} else if self.is_closing {",
        instead: "} else if false {",
    },
];

/// Lives through histories with each of them.
///
/// # Errors
/// If one breaks no promise, or its code is no longer there.
pub(super) fn try_all(seeds: u64) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("keypooler");
    copy_tree(&copy)?;
    for mutant in &MUTANTS {
        let file = copy.join(mutant.file);
        let text = fs::read_to_string(&file).with_context(|| format!("{} is gone", mutant.file))?;
        if text.matches(mutant.code).count() != 1 {
            bail!(
                "{} does not hold, once, {:?}: mend xtask/src/simulate/mutants.rs",
                mutant.file,
                mutant.code
            );
        }
        fs::write(&file, text.replace(mutant.code, mutant.instead))?;
        let is_caught = !run(&copy, seeds)?;
        fs::write(&file, text)?;
        if !is_caught {
            bail!("{seeds} histories go well with this built in: {}", mutant.breaks);
        }
        say(&format!("caught: {}", mutant.breaks));
    }
    say(&format!("all {} faults that were built in were caught", MUTANTS.len()));
    Ok(())
}

/// The files that git knows.
fn copy_tree(to: &Path) -> anyhow::Result<()> {
    let listed = Command::new("git").current_dir(root()).args(["ls-files", "-z"]).output()?;
    for name in String::from_utf8(listed.stdout)?.split('\0').filter(|name| !name.is_empty()) {
        let target = to.join(name);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(root().join(name), target).with_context(|| format!("{name} can't be copied"))?;
    }
    Ok(())
}

/// Whether all histories go well in the copy.
fn run(copy: &Path, seeds: u64) -> anyhow::Result<bool> {
    let build =
        ["test", "--locked", "--package", "keypool-simulation", "--test", "seeds", "--no-run"];
    let target = root().join("target/mutants");
    Cargo::new(&build).folder(copy).env("CARGO_TARGET_DIR", &target).run()?;
    let run = ["test", "--quiet", "--locked", "--package", "keypool-simulation", "--test", "seeds"];
    let status = Cargo::new(&run)
        .folder(copy)
        .arg("--")
        .arg("no_history_breaks_a_promise")
        .env("CARGO_TARGET_DIR", &target)
        .env("KEYPOOL_SIMULATE_SEEDS", seeds.to_string())
        .status()?;
    Ok(status.success())
}
