//! `cargo xtask release`: whether this commit can be released, and the tag that says so. What is published is for people
//! to publish: it makes no call to anywhere.

mod changelog;
mod git;

use anyhow::{Context as _, bail, ensure};

use crate::ci;
use crate::dist::{self, Place};
use crate::edges;
use crate::run::{Cargo, say, show};

use changelog::Section;

/// What to check, and whether to go on.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The version that is to be released; it has to be that of Cargo.toml [default: that of Cargo.toml]
    version: Option<String>,
    /// Only check, and say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not build the files of the release, which takes long
    #[arg(long)]
    skip_dist: bool,
}

/// Checks all, tells what is not as it has to be, and, where nothing is, tags the commit.
///
/// # Errors
/// If something is not as it has to be, or git can't tag.
pub(crate) fn release(arguments: &Arguments) -> anyhow::Result<()> {
    let place = Place::here()?;
    let tag = format!("v{}", place.version);
    let section = changelog::newest(&place.read("CHANGELOG.md")?, &place.version);
    let asked = arguments.version.as_deref();

    let mut checks = Checks::default();
    checks.take("the version asked for is Cargo.toml's", is_same(asked, &place.version));
    checks.take(
        "CHANGELOG.md's newest section is this version's, with a date",
        section.as_ref().map(drop),
    );
    checks.take("Cargo.lock is in step", lock_is_in_step());
    checks.take("nothing is uncommitted", git::is_clean(&place.root));
    checks.take("there is no such tag yet", git::has_no_tag(&place.root, &tag));
    checks.take("the layers' edges", edges::check());
    checks.take("licences, bans and sources", licences());
    if !arguments.skip_dist {
        checks
            .take("the files, reproducible", dist::Arguments::of_a_release().and_then(dist::dist));
    }
    checks.end()?;

    let section = section.context("it was checked")?;
    let commit = git::head(&place.root)?;
    if arguments.dry_run {
        show(&plan(&tag, &commit, &section));
        return Ok(());
    }
    ensure!(
        !arguments.skip_dist,
        "a release without its files is none: --skip-dist goes with --dry-run"
    );
    git::tag(&place.root, &tag, &section.message(&tag))?;
    show(&format!("{commit} is {tag} now, on this machine alone.\n\n{}", next(&tag)));
    Ok(())
}

/// What was looked at, and what is wrong with it.
#[derive(Debug, Default)]
struct Checks {
    failed: usize,
}

impl Checks {
    fn take<E: std::fmt::Display>(&mut self, what: &str, outcome: Result<(), E>) {
        match outcome {
            Ok(()) => say(&format!("ok      {what}")),
            Err(error) => {
                self.failed += 1;
                say(&format!("FAILED  {what}: {error:#}"));
            }
        }
    }

    fn end(self) -> anyhow::Result<()> {
        match self.failed {
            0 => Ok(()),
            1 => bail!("not to be released: 1 check failed"),
            failed => bail!("not to be released: {failed} checks failed"),
        }
    }
}

fn is_same(asked: Option<&str>, version: &str) -> anyhow::Result<()> {
    match asked {
        Some(asked) if asked != version => bail!("Cargo.toml says {version}, not {asked}"),
        Some(_) | None => Ok(()),
    }
}

fn lock_is_in_step() -> anyhow::Result<()> {
    Cargo::new(&["metadata", "--format-version", "1", "--locked"]).output().map(drop)
}

fn licences() -> anyhow::Result<()> {
    ensure!(ci::licences()? == ci::Licences::Checked, "cargo-deny is not installed");
    Ok(())
}

fn plan(tag: &str, commit: &str, section: &Section) -> String {
    let message = section.message(tag);
    let message = message.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!("Would tag {commit} as {tag}:\n\n{message}\n{}", next(tag))
}

fn next(tag: &str) -> String {
    format!(
        "Then it is for you to publish:\n\n    git push origin {tag}\n\nand the files of `cargo xtask dist`: the archive, the \
         Debian package, the bill of\nmaterials and SHA256SUMS."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_than_cargo_s_is_refused() {
        assert!(is_same(None, "1.2.3").is_ok());
        assert!(is_same(Some("1.2.3"), "1.2.3").is_ok());
        let refused = is_same(Some("v1.2.3"), "1.2.3").unwrap_err().to_string();
        assert_eq!(refused, "Cargo.toml says 1.2.3, not v1.2.3");
    }

    #[test]
    fn one_failed_check_is_enough() {
        let mut checks = Checks::default();
        checks.take("this", Ok::<(), String>(()));
        checks.take("that", Err("it is not"));
        assert_eq!(checks.end().unwrap_err().to_string(), "not to be released: 1 check failed");
        assert!(Checks::default().end().is_ok());
    }

    #[test]
    fn the_plan_has_the_tag_the_commit_and_what_changed() {
        let changelog = "## [1.2.3] - 2026-01-31\n\n### Added\n\n- This.\n";
        let section = changelog::newest(changelog, "1.2.3").unwrap();
        let plan = plan("v1.2.3", "abcdef", &section);
        assert!(plan.contains("Would tag abcdef as v1.2.3"), "{plan}");
        assert!(
            plan.contains("    - This.\n") && plan.contains("git push origin v1.2.3"),
            "{plan}"
        );
    }
}
