//! Reads the newest section of `CHANGELOG.md` (<https://keepachangelog.com/en/1.1.0/>).

use anyhow::{Context as _, bail, ensure};
use time::Date;
use time::macros::format_description;

/// The section of a version.
#[derive(Debug)]
pub(crate) struct Section {
    text: String,
}

impl Section {
    /// What the tag says.
    pub(crate) fn message(&self, tag: &str) -> String {
        format!("keypooler {tag}\n\n{}\n", self.text)
    }
}

/// The newest section, which has to be `version`'s, with a date; above it nothing waits for another release.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn newest(changelog: &str, version: &str) -> anyhow::Result<Section> {
    let mut sections = sections(changelog);
    let mut first = sections.next().context("it has no section (## [VERSION] - DATE)")?;
    if first.0.trim() == "[Unreleased]" {
        ensure!(
            first.1.trim().is_empty(),
            "[Unreleased] is not empty: give it a version and a date"
        );
        first = sections.next().context("it has no section but [Unreleased]")?;
    }
    let (head, text) = first;
    let (name, date) = head.split_once(" - ").with_context(|| format!("{head:?} has no date"))?;
    if name != format!("[{version}]") {
        bail!("it is {name}, not [{version}]");
    }
    let date = date.trim();
    Date::parse(date, format_description!("[year]-[month]-[day]"))
        .with_context(|| format!("{date:?} is no date (YYYY-MM-DD)"))?;
    ensure!(!text.trim().is_empty(), "[{version}] does not say what changed");
    Ok(Section { text: text.trim().to_owned() })
}

/// Headings of the second level, each with what is below it.
fn sections(changelog: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = changelog.split("\n## ");
    // Before the first heading is the introduction, unless the text begins with a heading.
    let first = parts.next().and_then(|introduction| introduction.strip_prefix("## "));
    first.into_iter().chain(parts).map(|part| part.split_once('\n').unwrap_or((part, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(changelog: &str) -> String {
        format!("{:#}", newest(changelog, "1.2.3").unwrap_err())
    }

    #[test]
    fn reads_the_section_of_the_version() {
        let changelog = "# Changelog\n\nIt tells.\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-31\n\n### Added\n\n- This.\n\n\
                         ## [1.2.2] - 2025-12-31\n\n- That.\n";
        let section = newest(changelog, "1.2.3").unwrap();
        assert_eq!(section.message("v1.2.3"), "keypooler v1.2.3\n\n### Added\n\n- This.\n");
    }

    #[test]
    fn says_what_is_wrong_with_it() {
        assert!(refused("# Changelog\n").contains("no section"));
        assert!(refused("## [Unreleased]\n\n- This.\n").contains("[Unreleased] is not empty"));
        assert!(refused("## [Unreleased]\n").contains("no section but"));
        assert!(
            refused("## [1.2.2] - 2026-01-31\n\n- This.\n").contains("it is [1.2.2], not [1.2.3]")
        );
        assert!(refused("## [1.2.3]\n\n- This.\n").contains("has no date"));
        assert!(refused("## [1.2.3] - 2026-02-30\n\n- This.\n").contains("is no date"));
        assert!(
            refused("## [1.2.3] - 2026-01-31\n\n## [1.2.2] - 2026-01-01\n")
                .contains("what changed")
        );
    }
}
