//! `cargo xtask dist`: what is released. A static binary, and what carries it to a machine: an archive, a Debian
//! package, a bill of materials, and the checksums of them.

mod binary;
#[cfg(test)]
mod container;
mod contents;
mod debian;
mod licences;
mod packages;
mod place;
mod sbom;
mod second;
mod tree;
#[cfg(test)]
mod units;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use ring::digest::{SHA256, digest};

use binary::Target;
use contents::{Contents, Said};
use packages::Packages;
pub(crate) use place::Place;
use tree::gzip;

use crate::run::say;

/// What to build, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder for the files [default: packages, in cargo's target directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What the binary is built for [default: x86_64-unknown-linux-musl where it is installed, else
    /// x86_64-unknown-linux-gnu]
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// Build a second time, from a copy of the source in another folder, and compare every byte
    #[arg(long)]
    check_reproducible: bool,
}

impl Arguments {
    /// What a release is built with.
    ///
    /// # Errors
    /// If it is not installed.
    pub(crate) fn of_a_release() -> anyhow::Result<Self> {
        match Target::what_musl_lacks()? {
            Some(lack) => bail!("{lack}"),
            None => Ok(Self { out: None, target: Some(Target::Musl), check_reproducible: true }),
        }
    }
}

/// The files of a release, by name.
type Files = Vec<(String, Vec<u8>)>;

/// Builds the files, and with `--check-reproducible` compares them with those of a second build.
///
/// # Errors
/// If something can't be built, a licence text is missing, or the two builds differ.
pub(crate) fn dist(arguments: Arguments) -> anyhow::Result<()> {
    let place = Place::here()?;
    let target = arguments.target.map_or_else(Target::installed, Ok)?;
    if target == Target::Gnu {
        say("on glibc, not musl: for this machine and others of its glibc (docs/install.md)");
    }
    let files = files(&place, target)?;
    let out = arguments.out.unwrap_or_else(|| place.target_folder.join("packages"));
    write(&out, &files)?;
    if arguments.check_reproducible {
        second::compare(&place, target, &files)?;
        say("reproducible: a second build in another folder gave the same bytes");
    }
    Ok(())
}

/// All that is released, made at a place.
fn files(place: &Place, target: Target) -> anyhow::Result<Files> {
    let packages = Packages::linked(place, target)?;
    let licences = licences::collect(place, &packages)?;
    let path = binary::build(place, target)?;
    let said = Said::by(&path)?;
    let binary = fs::read(&path).with_context(|| format!("{} can't be read", path.display()))?;
    let sbom = sbom::describe(place, target, &packages, &binary)?;
    let contents = Contents { binary, licences, sbom, said };

    let name = format!("keypooler-{}-{}", place.version, target.short_name());
    let archive = contents.archive(place)?.tar(&format!("{name}/"), place.epoch)?;
    let mut files = vec![
        (format!("{name}.tar.gz"), gzip(&archive)?),
        (debian::file_name(&place.version), debian::package(place, &contents)?),
        (format!("{name}.cdx.json"), contents.sbom.into_bytes()),
    ];
    let sums = checksums(&files);
    files.push(("SHA256SUMS".to_owned(), sums.into_bytes()));
    Ok(files)
}

/// What `sha256sum --check` reads.
fn checksums(files: &Files) -> String {
    let line = |(name, bytes): &(String, Vec<u8>)| {
        format!("{}  {name}\n", hex::encode(digest(&SHA256, bytes)))
    };
    files.iter().map(line).collect()
}

fn write(out: &Path, files: &Files) -> anyhow::Result<()> {
    fs::create_dir_all(out).with_context(|| format!("{} can't be made", out.display()))?;
    for (name, bytes) in files {
        let path = out.join(name);
        fs::write(&path, bytes).with_context(|| format!("{} can't be written", path.display()))?;
        say(&format!("{} ({} KiB)", path.display(), bytes.len().div_ceil(1024)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_sha256sum() {
        let files = vec![("empty".to_owned(), Vec::new()), ("abc".to_owned(), b"abc".to_vec())];
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty\n\
                        ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  abc\n";
        assert_eq!(checksums(&files), expected);
    }
}
