//! The Debian package: two archives in an `ar` archive (deb(5)).

use anyhow::Context as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::contents::Contents;
use super::place::Place;
use super::tree::{Tree, gzip};

/// Where documentation lies.
const DOC: &str = "usr/share/doc/keypooler";

/// The name under which the package is found.
pub(crate) fn file_name(version: &str) -> String {
    format!("keypooler_{}_amd64.deb", debian_version(version))
}

/// A version before another is marked by `~` there (deb-version(7)).
fn debian_version(version: &str) -> String {
    version.replacen('-', "~", 1)
}

/// The package.
///
/// # Errors
/// If a file of the source tree is missing.
pub(crate) fn package(place: &Place, contents: &Contents) -> anyhow::Result<Vec<u8>> {
    let data = data(place, contents)?;
    let control = control(place, &data)?;
    let [control, data] = [&control, &data].map(|tree| gzip(&tree.tar("./", place.epoch)?));
    Ok(ar(
        &[("debian-binary", b"2.0\n"), ("control.tar.gz", &control?), ("data.tar.gz", &data?)],
        place.epoch,
    ))
}

/// The files that are installed.
fn data(place: &Place, contents: &Contents) -> anyhow::Result<Tree> {
    let packaging = |name: &str| place.read(format!("packaging/{name}"));
    let mut tree = Tree::default();
    tree.program("usr/bin/keypooler", contents.binary.clone());
    tree.file("usr/lib/systemd/system/keypooler.service", packaging("systemd/keypooler.service")?);
    tree.file("usr/lib/systemd/system/keypooler.socket", packaging("systemd/keypooler.socket")?);
    tree.file("usr/lib/sysusers.d/keypooler.conf", packaging("systemd/keypooler.sysusers")?);
    tree.file("etc/keypooler/keypooler.toml", packaging("keypooler.toml")?);
    tree.file("usr/share/bash-completion/completions/keypooler", contents.said.bash.clone());
    tree.file("usr/share/zsh/vendor-completions/_keypooler", contents.said.zsh.clone());
    tree.file("usr/share/fish/vendor_completions.d/keypooler.fish", contents.said.fish.clone());
    for (name, page) in &contents.said.manual {
        tree.file(&format!("usr/share/man/man1/{name}.gz"), gzip(page)?);
    }

    tree.copy(&format!("{DOC}/docs"), &place.root.join("docs"))?;
    tree.file(&format!("{DOC}/README.md"), place.read("README.md")?);
    tree.file(&format!("{DOC}/copyright"), packaging("debian/copyright")?);
    tree.file(&format!("{DOC}/changelog.gz"), gzip(changelog(place)?.as_bytes())?);
    tree.file(&format!("{DOC}/CHANGELOG.md"), place.read("CHANGELOG.md")?);
    tree.file(&format!("{DOC}/keypooler.cdx.json"), contents.sbom.clone());
    tree.file(&format!("{DOC}/examples/keypooler.env"), packaging("keypooler.env")?);
    contents.add_licences(&mut tree, &format!("{DOC}/licences"), place)?;
    Ok(tree)
}

/// What dpkg reads and runs.
fn control(place: &Place, data: &Tree) -> anyhow::Result<Tree> {
    let mut tree = Tree::default();
    let control = place.read("packaging/debian/control")?;
    let size = data.size().div_ceil(1024).to_string();
    let control =
        control.replace("@VERSION@", &debian_version(&place.version)).replace("@SIZE@", &size);
    tree.file("control", control);
    let settings = data.files().filter(|(path, _)| path.starts_with("etc/"));
    tree.file("conffiles", settings.map(|(path, _)| format!("/{path}\n")).collect::<String>());
    for script in ["postinst", "prerm", "postrm"] {
        tree.program(script, place.read(format!("packaging/debian/{script}"))?);
    }
    Ok(tree)
}

/// One entry, in Debian's form (deb-changelog(5)); the rest is in `CHANGELOG.md`.
fn changelog(place: &Place) -> anyhow::Result<String> {
    let version = debian_version(&place.version);
    let date =
        OffsetDateTime::from_unix_timestamp(i64::try_from(place.epoch)?)?.format(&Rfc2822)?;
    let control = place.read("packaging/debian/control")?;
    let maintainer = control.lines().find_map(|line| line.strip_prefix("Maintainer: "));
    let maintainer = maintainer.context("control names a maintainer")?;
    Ok(format!(
        "keypooler ({version}) unstable; urgency=medium\n\n  * What changed is told in CHANGELOG.md.\n\n \
         -- {maintainer}  {date}\n"
    ))
}

/// An `ar` archive: a line, then for each file a header of 60 bytes (name 16, date 12, owner 6, group 6, mode 8, size
/// 10, and two that end it) and its bytes, to an even length.
fn ar(files: &[(&str, &[u8])], epoch: u64) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, bytes) in files {
        let size = bytes.len();
        archive.extend(
            format!("{name:<16}{epoch:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 100_644).bytes(),
        );
        archive.extend_from_slice(bytes);
        archive.resize(archive.len().next_multiple_of(2), b'\n');
    }
    archive
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::contents::tests::example;

    fn text(tree: &Tree, wanted: &str) -> String {
        let (_, bytes) = tree.files().find(|(path, _)| *path == wanted).expect(wanted);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_version_before_another_sorts_before_it() {
        assert_eq!(file_name("1.2.3"), "keypooler_1.2.3_amd64.deb");
        assert_eq!(file_name("2.0.0-rc.1"), "keypooler_2.0.0~rc.1_amd64.deb");
    }

    #[test]
    fn an_ar_archive_has_headers_of_60_bytes_and_files_of_even_length() {
        let archive =
            ar(&[("debian-binary", b"2.0\n"), ("odd", b"abc"), ("last", b"z")], 1_700_000_000);
        let expected = "!<arch>\n\
            debian-binary   1700000000  0     0     100644  4         `\n2.0\n\
            odd             1700000000  0     0     100644  3         `\nabc\n\
            last            1700000000  0     0     100644  1         `\nz\n";
        assert_eq!(String::from_utf8(archive).unwrap(), expected);
    }

    #[test]
    fn the_package_says_what_it_is_and_which_files_are_settings() {
        let (place, contents) = example();
        let data = data(&place, &contents).unwrap();
        let control = control(&place, &data).unwrap();
        let said = text(&control, "control");
        assert!(said.contains("Package: keypooler\nVersion: 1.2.3\n"), "{said}");
        assert!(!said.contains("@VERSION@") && !said.contains("@SIZE@"), "{said}");
        assert_eq!(text(&control, "conffiles"), "/etc/keypooler/keypooler.toml\n");
        let unit = text(&data, "usr/lib/systemd/system/keypooler.service");
        assert!(unit.contains("\nExecStart=/usr/bin/keypooler"), "{unit}");
    }

    #[test]
    fn the_same_tree_gives_the_same_package() {
        let (place, contents) = example();
        let one = package(&place, &contents).unwrap();
        assert_eq!(one, package(&place, &contents).unwrap());
        let later = Place { epoch: place.epoch + 1, ..place };
        assert_ne!(one, package(&later, &contents).unwrap(), "the date is in it");
    }

    #[test]
    fn the_changelog_is_of_this_version_and_date() {
        let (place, _) = example();
        let changelog = changelog(&place).unwrap();
        assert!(changelog.starts_with("keypooler (1.2.3) unstable; urgency="), "{changelog}");
        assert!(changelog.ends_with("  Tue, 14 Nov 2023 22:13:20 +0000\n"), "{changelog}");
    }
}
