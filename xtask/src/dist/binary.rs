//! The static binary: built so that neither the folder, nor the machine's name, nor the time shows in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use super::place::Place;
use crate::run::Cargo;

/// What the binary is built for. Either way it starts with nothing of the machine but its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    /// On musl, of which rustc brings its own. What is released.
    #[value(name = "x86_64-unknown-linux-musl")]
    Musl,
    /// On glibc, linked statically: for the machine that it was built on, and others of the same glibc. Elsewhere it may
    /// load a plug-in for host names (`/etc/nsswitch.conf`) that was made for another glibc, and end with a signal.
    #[value(name = "x86_64-unknown-linux-gnu")]
    Gnu,
}

impl Target {
    /// musl where it is installed, else glibc.
    ///
    /// # Errors
    /// If rustc can't be asked.
    pub(crate) fn installed() -> anyhow::Result<Self> {
        Ok(if Self::what_musl_lacks()?.is_none() { Self::Musl } else { Self::Gnu })
    }

    /// What is missing here to build on musl, and how it is got.
    ///
    /// # Errors
    /// If rustc can't be asked.
    pub(crate) fn what_musl_lacks() -> anyhow::Result<Option<&'static str>> {
        let library = Path::new(&sysroot()?).join("lib/rustlib").join(Self::Musl.triple());
        if !library.is_dir() {
            return Ok(Some("rustc has no musl: rustup target add x86_64-unknown-linux-musl"));
        }
        // SQLite and ring are C, too.
        let compiler = Command::new("musl-gcc").arg("--version").output();
        Ok(compiler.is_err().then_some("there is no musl-gcc: apt install musl-tools"))
    }

    /// As rustc knows it.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Musl => "x86_64-unknown-linux-musl",
            Self::Gnu => "x86_64-unknown-linux-gnu",
        }
    }

    /// As people know it who only want to run it.
    pub(crate) fn short_name(self) -> &'static str {
        "x86_64-linux"
    }
}

/// Builds the binary and tells where it lies.
///
/// # Errors
/// If it can't be built, or needs a library of the machine.
pub(crate) fn build(place: &Place, target: Target) -> anyhow::Result<PathBuf> {
    let triple = target.triple();
    let names = names_of_folders(place)?;
    // `--target`, though it may be the host's own, keeps these flags off build scripts and macros.
    let build = ["build", "--package", "keypooler", "--profile", "dist", "--locked", "--target"];
    Cargo::new(&build)
        .arg(triple)
        .folder(&place.root)
        .env("CARGO_TARGET_DIR", &place.target_folder)
        .env("CARGO_HOME", &place.cargo_home)
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(&names))
        .env("CARGO_INCREMENTAL", "0")
        .env(format!("CFLAGS_{}", triple.replace('-', "_")), c_flags(&names)?)
        .env("CFLAGS", "")
        .env("SOURCE_DATE_EPOCH", place.epoch.to_string())
        .run()?;
    let path = place.target_folder.join(triple).join("dist/keypooler");
    check_static(&path)?;
    Ok(path)
}

/// The folders that would show in the binary, each with the name that shows instead. Of two that fit,
/// compilers take the later one.
fn names_of_folders(place: &Place) -> anyhow::Result<[(String, &'static str); 4]> {
    let text = |path: &Path| {
        path.to_str().map(str::to_owned).with_context(|| format!("{}: UTF-8", path.display()))
    };
    Ok([
        (sysroot()?, "/rust"),
        (text(&place.cargo_home)?, "/cargo"),
        (text(&place.root)?, "/keypooler"),
        (text(&place.target_folder)?, "/target"),
    ])
}

fn rust_flags(names: &[(String, &str)]) -> OsString {
    let remapped =
        names.iter().map(|(folder, name)| format!("--remap-path-prefix={folder}={name}"));
    let flags: Vec<_> =
        ["-Ctarget-feature=+crt-static".to_owned()].into_iter().chain(remapped).collect();
    // The separator of CARGO_ENCODED_RUSTFLAGS.
    flags.join("\u{1f}").into()
}

fn c_flags(names: &[(String, &str)]) -> anyhow::Result<OsString> {
    for (folder, _) in names {
        ensure!(!folder.contains(char::is_whitespace), "C compilers can't build in {folder:?}");
    }
    let flags: Vec<_> =
        names.iter().map(|(folder, name)| format!("-ffile-prefix-map={folder}={name}")).collect();
    Ok(flags.join(" ").into())
}

/// Where rustc lies with its libraries.
///
/// # Errors
/// If rustc can't be asked.
pub(crate) fn sysroot() -> anyhow::Result<String> {
    let told =
        Command::new("rustc").args(["--print", "sysroot"]).current_dir(crate::run::root()).output();
    let told = told.context("rustc could not be started")?;
    Ok(String::from_utf8(told.stdout).context("the sysroot's path")?.trim().to_owned())
}

/// Fails if a loader or a library of the machine is asked for.
fn check_static(path: &Path) -> anyhow::Result<()> {
    let read = Command::new("readelf")
        .args(["--wide", "--program-headers", "--dynamic"])
        .arg(path)
        .output();
    let read = read.context("readelf (of binutils) could not be started")?;
    ensure!(read.status.success(), "readelf can't read {}", path.display());
    let headers = String::from_utf8_lossy(&read.stdout);
    match headers.lines().find(|line| line.contains("INTERP") || line.contains("(NEEDED)")) {
        Some(line) => bail!("{} is not static: {}", path.display(), line.trim()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> [(String, &'static str); 2] {
        [("/home/a/.cargo".to_owned(), "/cargo"), ("/home/a/keypooler".to_owned(), "/keypooler")]
    }

    #[test]
    fn no_folder_keeps_its_name() {
        let flags = rust_flags(&names()).into_string().unwrap();
        let flags: Vec<_> = flags.split('\u{1f}').collect();
        assert_eq!(
            flags,
            [
                "-Ctarget-feature=+crt-static",
                "--remap-path-prefix=/home/a/.cargo=/cargo",
                "--remap-path-prefix=/home/a/keypooler=/keypooler",
            ]
        );
        let flags = c_flags(&names()).unwrap().into_string().unwrap();
        assert!(flags.contains("-ffile-prefix-map=/home/a/keypooler=/keypooler"), "{flags}");
    }

    #[test]
    fn a_folder_that_c_compilers_would_take_for_two_is_refused() {
        assert!(c_flags(&[("/home/a b".to_owned(), "/x")]).is_err());
    }

    #[test]
    fn what_needs_a_loader_is_not_static() {
        let tests = std::env::current_exe().unwrap();
        let error = check_static(&tests).unwrap_err().to_string();
        assert!(error.contains("is not static"), "{error}");
    }
}
