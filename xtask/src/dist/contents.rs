//! What the archive holds. The Debian package holds the same, at other places.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::place::Place;
use super::tree::Tree;

/// What was made, as against what lies in the source tree.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) binary: Vec<u8>,
    pub(crate) licences: String,
    pub(crate) sbom: String,
    pub(crate) said: Said,
}

/// What the binary says of itself.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) bash: Vec<u8>,
    pub(crate) zsh: Vec<u8>,
    pub(crate) fish: Vec<u8>,
    /// The manual's pages, by their files' names.
    pub(crate) manual: Vec<(String, Vec<u8>)>,
}

/// Where the binary lies that the unit names, when a package brings it.
const PACKAGED: &str = "/usr/bin/keypooler";
/// The same, when an administrator does.
const BY_HAND: &str = "/usr/local/bin/keypooler";

impl Said {
    /// Asks a binary, which has to run here.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn by(binary: &Path) -> anyhow::Result<Self> {
        let said = |arguments: &[&str]| {
            let said = Command::new(binary).args(arguments).output();
            let said = said.with_context(|| format!("{} does not run", binary.display()))?;
            ensure!(said.status.success(), "keypooler {}: {}", arguments.join(" "), said.status);
            Ok(said.stdout)
        };
        Ok(Self {
            bash: said(&["completions", "bash"])?,
            zsh: said(&["completions", "zsh"])?,
            fish: said(&["completions", "fish"])?,
            manual: manual(binary)?,
        })
    }
}

fn manual(binary: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let folder = tempfile::tempdir()?;
    let written = Command::new(binary).arg("manual").arg(folder.path()).status()?;
    ensure!(written.success(), "keypooler manual: {written}");
    let mut tree = Tree::default();
    tree.copy("man", folder.path())?;
    let page = |(path, bytes): (&str, &[u8])| {
        let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
        (name.to_owned(), bytes.to_vec())
    };
    Ok(tree.files().map(page).collect())
}

impl Contents {
    /// The archive's tree.
    ///
    /// # Errors
    /// If a file of the source tree is missing.
    pub(crate) fn archive(&self, place: &Place) -> anyhow::Result<Tree> {
        let mut tree = Tree::default();
        tree.program("keypooler", self.binary.clone());
        tree.file("keypooler.cdx.json", self.sbom.clone());
        for name in [
            "README.md",
            "ARCHITECTURE.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            "LICENSE-MIT",
            "LICENSE-APACHE",
        ] {
            tree.file(name, place.read(name)?);
        }
        tree.copy("docs", &place.root.join("docs"))?;
        self.add_licences(&mut tree, "licences", place)?;
        tree.file("completions/keypooler.bash", self.said.bash.clone());
        tree.file("completions/_keypooler", self.said.zsh.clone());
        tree.file("completions/keypooler.fish", self.said.fish.clone());
        for (name, page) in &self.said.manual {
            tree.file(&format!("man/{name}"), page.clone());
        }

        let packaging = |name: &str| place.read(Path::new("packaging").join(name));
        tree.file(
            "systemd/keypooler.service",
            packaging("systemd/keypooler.service")?.replace(PACKAGED, BY_HAND),
        );
        for name in [
            "systemd/keypooler.socket",
            "systemd/keypooler.sysusers",
            "keypooler.toml",
            "keypooler.env",
        ] {
            tree.file(name, packaging(name)?);
        }
        tree.file("container/Containerfile", packaging("container/Containerfile")?);
        tree.file("container/compose.yaml", packaging("container/compose.yaml")?);
        // What a volume there begins as.
        tree.folder("container/data");
        Ok(tree)
    }

    /// The texts of all licences in the binary.
    ///
    /// # Errors
    /// If one is missing.
    pub(crate) fn add_licences(
        &self,
        tree: &mut Tree,
        folder: &str,
        place: &Place,
    ) -> anyhow::Result<()> {
        for name in ["README.md", "glibc.txt", "LGPL-2.1.txt", "musl.txt"] {
            tree.file(
                &format!("{folder}/{name}"),
                place.read(Path::new("packaging/licences").join(name))?,
            );
        }
        let of_rust = PathBuf::from(super::binary::sysroot()?).join("share/doc/rust");
        for (name, text) in [
            ("rust-standard-library.html", "COPYRIGHT-library.html"),
            ("LLVM-exception.txt", "licenses/LLVM-exception.txt"),
            ("GCC-exception-3.1.txt", "licenses/GCC-exception-3.1.txt"),
        ] {
            let text = of_rust.join(text);
            let text = std::fs::read(&text).with_context(|| text.display().to_string())?;
            tree.file(&format!("{folder}/{name}"), text);
        }
        tree.file(&format!("{folder}/packages.txt"), self.licences.clone());
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::run::root;

    /// The workspace as it is, with what is made of it made up.
    pub(crate) fn example() -> (Place, Contents) {
        let place = Place { root: root(), ..crate::dist::place::tests::place(&root()) };
        let made = || b"made".to_vec();
        let said = Said {
            bash: made(),
            zsh: made(),
            fish: made(),
            manual: vec![("keypooler.1".into(), made())],
        };
        let contents =
            Contents { binary: made(), licences: "made".into(), sbom: "made".into(), said };
        (place, contents)
    }

    #[test]
    fn the_archive_has_what_its_readme_links_to() {
        let (place, contents) = example();
        let tree = contents.archive(&place).unwrap();
        let paths: Vec<_> = tree.files().map(|(path, _)| path).collect();
        let readme = place.read("README.md").unwrap();
        let links = readme.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let links: Vec<_> =
            links.filter(|link| !link.is_empty() && !link.contains("://")).collect();
        assert!(links.contains(&"docs/install.md"), "{links:?}");
        for link in links {
            assert!(paths.contains(&link), "README links to {link}");
        }
    }

    #[test]
    fn the_unit_starts_the_binary_where_the_guide_puts_it() {
        let (place, contents) = example();
        let tree = contents.archive(&place).unwrap();
        let (_, unit) =
            tree.files().find(|(path, _)| *path == "systemd/keypooler.service").unwrap();
        let unit = String::from_utf8_lossy(unit);
        assert!(unit.contains("\nExecStart=/usr/local/bin/keypooler"), "{unit}");
        assert!(!unit.contains("/usr/bin/"), "{unit}");
        assert!(place.read("docs/install.md").unwrap().contains("/usr/local/bin/keypooler"));
    }
}
