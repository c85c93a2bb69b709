//! `cargo xtask contract`: schemathesis makes requests from the document at `/openapi.json`, valid ones and others, and
//! holds a running server's answers against it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::bench::process::{ADMIN_TOKEN, Executables, Setting};
use crate::run::{root, say};

/// Whether the answers were held against the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    Checked,
    /// There is no schemathesis.
    NotChecked,
}

/// Starts the release binary on an empty pool and tries it.
///
/// # Errors
/// If the server can't be started, or an answer is not as the document says.
pub(crate) fn contract() -> anyhow::Result<Contract> {
    let Some(schemathesis) = schemathesis() else {
        return Ok(Contract::NotChecked);
    };
    let folder = tempfile::tempdir()?;
    // Bad tokens are tried more often than one address may: each call names another.
    let setting = Setting { is_behind_proxy: true, ..Setting::plain("normal") };
    let server = Executables::build(&["keypooler"])?.keypooler(folder.path(), setting)?;
    let (hooks, url) =
        (root().join("xtask/schemathesis"), format!("http://{}/openapi.json", server.address));
    say(&format!("$ {} run {url}", schemathesis.display()));
    let status = Command::new(&schemathesis)
        .current_dir(folder.path())
        .arg("--config-file")
        .arg(hooks.join("schemathesis.toml"))
        .args(["run", &url, "--seed", "1", "--warnings", "off"])
        .args(["--header", &format!("Authorization: Bearer {ADMIN_TOKEN}")])
        .env("PYTHONPATH", &hooks)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .status()
        .context("schemathesis could not be started")?;
    if !status.success() {
        bail!("schemathesis: {status}");
    }
    server.stop()?;
    Ok(Contract::Checked)
}

/// The one that `.ci/run` installs, or another on the path.
fn schemathesis() -> Option<PathBuf> {
    let installed = root().join("target/schemathesis/bin/schemathesis");
    [installed, PathBuf::from("schemathesis")].into_iter().find(|program| {
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
    })
}
