//! The packages whose code is in the binary: what keypooler depends on, without what only builds it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::binary::Target;
use super::place::Place;
use crate::run::Cargo;

/// All of them, ours among them, by name and version.
#[derive(Debug)]
pub(crate) struct Packages(pub(crate) Vec<Package>);

/// One package.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression.
    pub(crate) license: Option<String>,
    pub(crate) repository: Option<String>,
    /// Where its source lies on this machine.
    pub(crate) folder: PathBuf,
    /// Whether it is of this workspace.
    pub(crate) is_ours: bool,
    /// The SHA-256 of what the registry has, in hex.
    pub(crate) checksum: Option<String>,
    /// The packages in the binary that it depends on.
    pub(crate) depends_on: Vec<Id>,
}

/// Name and version, which are one package's alone.
pub(crate) type Id = (String, String);

impl Packages {
    /// Asks cargo.
    ///
    /// # Errors
    /// If cargo can't tell.
    pub(crate) fn linked(place: &Place, target: Target) -> anyhow::Result<Self> {
        let tree = tree(place, target)?;
        let metadata = ["metadata", "--format-version", "1", "--locked", "--filter-platform"];
        let metadata = Cargo::new(&metadata).arg(target.triple()).folder(&place.root).output()?;
        Self::read(&tree, &metadata, &place.read("Cargo.lock")?)
    }

    /// Puts together what `cargo tree` says (which packages), `cargo metadata` (what they are) and
    /// `Cargo.lock` (their checksums).
    fn read(tree: &str, metadata: &[u8], lock: &str) -> anyhow::Result<Self> {
        let linked = read_tree(tree)?;
        let metadata: Metadata =
            serde_json::from_slice(metadata).context("the metadata of cargo can't be read")?;
        let lock: Lock = toml::from_str(lock).context("Cargo.lock can't be read")?;
        let checksums =
            lock.package.into_iter().filter_map(|it| Some(((it.name, it.version), it.checksum?)));
        let checksums: BTreeMap<Id, String> = checksums.collect();
        let ids: BTreeMap<&str, Id> =
            metadata.packages.iter().map(|it| (it.id.as_str(), it.name_and_version())).collect();
        let nodes: BTreeMap<&str, &Node> =
            metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();

        let mut packages = Vec::new();
        for package in metadata.packages.iter().filter(|it| linked.contains(&it.name_and_version()))
        {
            let id = package.name_and_version();
            let node = nodes.get(package.id.as_str()).context("a package is resolved")?;
            let depends_on =
                node.normal().filter_map(|id| ids.get(id)).filter(|id| linked.contains(*id));
            packages.push(Package {
                checksum: checksums.get(&id).cloned(),
                depends_on: depends_on.cloned().collect::<BTreeSet<_>>().into_iter().collect(),
                name: id.0,
                version: id.1,
                license: package.license.as_deref().map(spdx),
                repository: package.repository.clone(),
                folder: package
                    .manifest_path
                    .parent()
                    .context("a manifest lies in a folder")?
                    .to_owned(),
                is_ours: package.source.is_none(),
            });
        }
        packages.sort_by_key(Package::id);
        ensure!(
            packages.len() == linked.len(),
            "cargo tree and cargo metadata tell of different packages"
        );
        Ok(Self(packages))
    }

    /// Those of other people.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = &Package> {
        self.0.iter().filter(|package| !package.is_ours)
    }
}

impl Package {
    pub(crate) fn id(&self) -> Id {
        (self.name.clone(), self.version.clone())
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Described>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Described {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
    source: Option<String>,
}

impl Described {
    fn name_and_version(&self) -> Id {
        (self.name.clone(), self.version.clone())
    }
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

impl Node {
    /// What is linked with it: neither built for its build script nor for its tests.
    fn normal(&self) -> impl Iterator<Item = &str> {
        let is_normal = |it: &&Dependency| it.dep_kinds.iter().any(|kind| kind.kind.is_none());
        self.deps.iter().filter(is_normal).map(|dependency| dependency.pkg.as_str())
    }
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// What `cargo build --package keypooler` links: `cargo metadata` would count in what other members turn on.
fn tree(place: &Place, target: Target) -> anyhow::Result<String> {
    let tree = ["tree", "--package", "keypooler", "--locked", "--edges", "normal,no-proc-macro"];
    let plain = ["--prefix", "none", "--format", "{p}", "--target", target.triple()];
    let tree =
        plain.into_iter().fold(Cargo::new(&tree), Cargo::arg).folder(&place.root).output()?;
    String::from_utf8(tree).context("what cargo tree says")
}

/// Lines such as `ring v0.17.14`, with a path behind what is ours.
fn read_tree(tree: &str) -> anyhow::Result<BTreeSet<Id>> {
    let read = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next()?;
        let version = words.next()?.strip_prefix('v')?;
        Some((name.to_owned(), version.to_owned()))
    };
    let lines = tree.lines().filter(|line| !line.is_empty());
    lines.map(|line| read(line).with_context(|| format!("cargo tree says {line:?}"))).collect()
}

/// `MIT/Apache-2.0` is the form that old manifests have for `MIT OR Apache-2.0`.
fn spdx(license: &str) -> String {
    license.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// keypooler, which depends on a crate `far`, which depends on one that only builds it.
    pub(crate) fn example() -> Packages {
        let registry = "registry+https://github.com/rust-lang/crates.io-index";
        let metadata = json!({
            "packages": [
                {"id": "far", "name": "far", "version": "1.2.3", "license": "MIT/Apache-2.0",
                 "repository": "https://example.org/far", "manifest_path": "/c/far/Cargo.toml", "source": registry},
                {"id": "builder", "name": "builder", "version": "1.0.0", "license": "MIT",
                 "repository": null, "manifest_path": "/c/builder/Cargo.toml", "source": registry},
                {"id": "us", "name": "keypooler", "version": "0.1.0", "license": "MIT OR Apache-2.0",
                 "repository": null, "manifest_path": "/w/keypooler/Cargo.toml", "source": null},
            ],
            "resolve": {"nodes": [
                {"id": "us", "deps": [{"pkg": "far", "dep_kinds": [{"kind": null}]}]},
                {"id": "far", "deps": [{"pkg": "builder", "dep_kinds": [{"kind": "build"}]}]},
                {"id": "builder", "deps": []},
            ]},
        });
        let lock = "[[package]]\nname = 'far'\nversion = '1.2.3'\nchecksum = 'abcd'\n\
                    [[package]]\nname = 'keypooler'\nversion = '0.1.0'\n";
        let tree = "keypooler v0.1.0 (/w/keypooler)\nfar v1.2.3\n\nfar v1.2.3 (*)\n";
        Packages::read(tree, metadata.to_string().as_bytes(), lock).unwrap()
    }

    #[test]
    fn only_what_is_linked_counts() {
        let packages = example();
        let names: Vec<_> = packages.0.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["far", "keypooler"]);
        let foreign: Vec<_> = packages.foreign().map(Package::id).collect();
        assert_eq!(foreign, [("far".to_owned(), "1.2.3".to_owned())]);
        assert_eq!(packages.0[1].depends_on, foreign);
        assert_eq!(packages.0[0].depends_on, []);
        assert_eq!(packages.0[0].checksum.as_deref(), Some("abcd"));
        assert_eq!(packages.0[0].license.as_deref(), Some("MIT OR Apache-2.0"));
    }

    #[test]
    fn a_package_that_cargo_does_not_describe_is_not_passed_over() {
        let metadata = json!({"packages": [], "resolve": {"nodes": []}}).to_string();
        assert!(Packages::read("far v1.2.3\n", metadata.as_bytes(), "package = []").is_err());
        assert!(read_tree("what is this\n").is_err());
    }
}
