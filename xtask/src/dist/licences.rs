//! The licence texts of the packages in the binary, in one file; what is alike stands there once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::packages::{Package, Packages};
use super::place::Place;

/// How the files begin that hold a licence or belong to one.
const NAMES: [&str; 6] = ["license", "licence", "copying", "copyright", "notice", "unlicense"];

/// Packages that come without a text of their licence, and the file of ours that has it.
const WITHOUT_TEXT: [(&str, &str); 3] = [
    ("libsql", "packaging/licences/libsql.txt"),
    ("libsql-hrana", "packaging/licences/libsql.txt"),
    ("prost", "LICENSE-APACHE"),
];

/// All texts.
///
/// # Errors
/// If a package has none.
pub(crate) fn collect(place: &Place, packages: &Packages) -> anyhow::Result<String> {
    let mut texts = Texts::default();
    let mut list = String::new();
    for package in packages.foreign() {
        let numbers: Vec<_> =
            texts_of(place, package)?.into_iter().map(|text| texts.number(text)).collect();
        let license = package.license.as_deref().unwrap_or("see the text");
        writeln!(list, "{} {}: {license} {numbers:?}", package.name, package.version)?;
    }
    Ok(format!(
        "The packages in the binary of keypooler, each with its licence and the numbers of its texts below.\n\n\
         {list}\n{texts}"
    ))
}

/// Different texts, numbered in the order in which they came.
#[derive(Default)]
struct Texts {
    numbers: BTreeMap<String, usize>,
}

impl Texts {
    fn number(&mut self, text: String) -> usize {
        let next = self.numbers.len() + 1;
        *self.numbers.entry(text).or_insert(next)
    }
}

impl std::fmt::Display for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut texts: Vec<_> = self.numbers.iter().map(|(text, number)| (number, text)).collect();
        texts.sort();
        texts
            .iter()
            .try_for_each(|(number, text)| writeln!(f, "{}\n[{number}]\n\n{text}", "=".repeat(100)))
    }
}

fn texts_of(place: &Place, package: &Package) -> anyhow::Result<Vec<String>> {
    let name = &package.name;
    let found = files_in(&package.folder).with_context(|| format!("the source of {name}"))?;
    if !found.is_empty() {
        return Ok(found);
    }
    let known = WITHOUT_TEXT.iter().find(|(known, _)| known == name);
    let path = known.map(|(_, path)| *path).with_context(|| {
        format!(
            "{name} {} comes without a text of its licence: say in xtask/src/dist/licences.rs where it is",
            package.version
        )
    })?;
    Ok(vec![tidy(&place.read(path)?)])
}

/// The texts in a folder, in the order of their files' names: files, and all in a folder of such a name
/// (<https://reuse.software/spec/>).
fn files_in(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let kind = entry.file_type()?;
        if kind.is_dir() && ["licenses", "licences"].contains(&name.as_str()) {
            for text in fs::read_dir(entry.path())? {
                paths.push(text?.path());
            }
        } else if kind.is_file() && NAMES.iter().any(|known| name.starts_with(known)) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let read = |path| {
        let text = tidy(&fs::read_to_string(path)?);
        ensure!(!text.trim().is_empty(), "an empty licence");
        Ok(text)
    };
    paths.iter().map(read).collect()
}

/// Without what makes no difference: line ends, and blanks at the ends.
fn tidy(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::binary::Target;
    use crate::dist::packages::tests::example;
    use crate::dist::place::tests::place;
    use crate::run::root;

    fn packages(folder: &Path) -> Packages {
        let mut packages = example();
        packages.0.iter_mut().for_each(|it| folder.join(&it.name).clone_into(&mut it.folder));
        packages
    }

    #[test]
    fn texts_that_are_alike_stand_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut packages = packages(folder.path());
        let twin = Package { name: "twin".to_owned(), ..packages.0[0].clone() };
        packages.0.push(twin);
        fs::create_dir(folder.path().join("far")).unwrap();
        fs::write(folder.path().join("far/LICENSE-MIT"), "Permission is granted \r\n").unwrap();
        fs::write(folder.path().join("far/COPYING"), "Copy it\n").unwrap();
        fs::write(folder.path().join("far/README.md"), "Read it\n").unwrap();

        let text = collect(&place(folder.path()), &packages).unwrap();
        assert!(text.contains("far 1.2.3: MIT OR Apache-2.0 [1, 2]\n"), "{text}");
        assert!(text.contains("twin 1.2.3: MIT OR Apache-2.0 [1, 2]\n"), "{text}");
        assert_eq!(text.matches("Permission is granted\n").count(), 1, "{text}");
        assert!(
            text.contains("Copy it")
                && !text.contains("Read it")
                && !text.contains("keypooler 0.1.0"),
            "{text}"
        );
    }

    #[test]
    fn a_folder_of_licences_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("LICENSES")).unwrap();
        fs::write(folder.path().join("LICENSES/Apache-2.0.txt"), "Copy it").unwrap();
        fs::write(folder.path().join("LICENSES/MIT.txt"), "Permission is granted").unwrap();
        let texts = files_in(folder.path()).unwrap();
        assert_eq!(texts, ["Copy it\n", "Permission is granted\n"]);
    }

    #[test]
    fn every_package_of_the_workspace_has_a_text() {
        let place = Place { root: root(), ..place(&root()) };
        let packages = Packages::linked(&place, Target::Gnu).unwrap();
        let texts = collect(&place, &packages).unwrap();
        assert!(texts.contains("\nring 0.") && texts.contains("\nlibsql 0."), "{texts}");
    }

    #[test]
    fn a_package_without_a_text_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("far")).unwrap();
        let refused = collect(&place(folder.path()), &packages(folder.path())).unwrap_err();
        assert!(format!("{refused:#}").contains("far 1.2.3 comes without"), "{refused:#}");
    }
}
