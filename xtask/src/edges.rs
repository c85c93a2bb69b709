//! The layers of the house: which of our crates may depend on which.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::run::Cargo;

/// Every edge that is allowed. Storage cannot decrypt even by mistake: `keypool-store` does not know `keypool-crypto`.
const ALLOWED: [(&str, &[&str]); 9] = [
    ("keypool-core", &[]),
    ("keypool-crypto", &[]),
    ("keypool-store", &["keypool-core"]),
    ("keypool-engine", &["keypool-core", "keypool-crypto", "keypool-store"]),
    ("keypool-http", &["keypool-engine"]),
    ("keypooler", &["keypool-engine", "keypool-http"]),
    (TEST_SERVER, &[]),
    ("keypool-simulation", &["keypool-engine"]),
    // It measures all of them.
    (
        "xtask",
        &[
            "keypool-core",
            "keypool-crypto",
            "keypool-store",
            "keypool-engine",
            "keypool-http",
            TEST_SERVER,
        ],
    ),
];

/// The libSQL server of the tests: every crate's tests may start it.
const TEST_SERVER: &str = "keypool-test-server";

/// Checks the workspace as it is.
///
/// # Errors
/// If a crate has an edge that is not allowed, or is not in the list.
pub(crate) fn check() -> anyhow::Result<()> {
    let metadata =
        Cargo::new(&["metadata", "--format-version", "1", "--no-deps", "--locked"]).output()?;
    let metadata: Value = serde_json::from_slice(&metadata).context("cargo metadata is JSON")?;
    for package in metadata["packages"].as_array().context("cargo metadata lists packages")? {
        let name = package["name"].as_str().context("a package has a name")?;
        check_package(name, package)?;
    }
    Ok(())
}

fn check_package(name: &str, package: &Value) -> anyhow::Result<()> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
        bail!("{name} has no place in the house: say in xtask/src/edges.rs what it may depend on");
    };
    let dependencies = package["dependencies"].as_array().context("a package has dependencies")?;
    let ours: BTreeSet<&str> = dependencies
        .iter()
        .filter(|dependency| dependency["kind"] != "dev" || dependency["name"] != TEST_SERVER)
        .filter_map(|dependency| dependency["name"].as_str())
        .filter(|dependency| ALLOWED.iter().any(|(known, _)| known == dependency))
        .collect();
    match ours.iter().find(|dependency| !allowed.contains(dependency)) {
        Some(dependency) => bail!("{name} must not depend on {dependency}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refuses_an_edge_that_is_not_allowed() {
        let package = json!({"dependencies": [{"name": "serde"}, {"name": "keypool-crypto"}]});
        assert!(check_package("keypool-engine", &package).is_ok());
        assert!(check_package("keypool-store", &package).is_err());
        assert!(check_package("keypool-unheard-of", &package).is_err());
    }

    #[test]
    fn the_test_server_is_for_tests_alone() {
        let package = |kind| json!({"dependencies": [{"name": TEST_SERVER, "kind": kind}]});
        assert!(check_package("keypool-engine", &package(json!("dev"))).is_ok());
        assert!(check_package("keypool-engine", &package(json!(null))).is_err());
    }
}
