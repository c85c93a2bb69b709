//! The bill of materials: what is in the binary, for those who look for weaknesses in it and mind licences. CycloneDX
//! 1.6 (<https://cyclonedx.org/docs/1.6/json/>).
//!
//! It is not asked of a tool: those name the folders of the building machine, and know no C.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::binary::{Target, sysroot};
use super::packages::{Id, Package, Packages};
use super::place::Place;

/// The package that brings the source of SQLite along.
const BRINGS_SQLITE: &str = "libsqlite3-sys";

/// The version of musl that rustc brings along.
const MUSL: &str = "1.2.5";

/// Describes a binary.
///
/// # Errors
/// If the version of something in it can't be found out.
pub(crate) fn describe(
    place: &Place,
    target: Target,
    packages: &Packages,
    binary: &[u8],
) -> anyhow::Result<String> {
    let beside = beside(target, packages)?;
    let when =
        OffsetDateTime::from_unix_timestamp(i64::try_from(place.epoch)?)?.format(&Rfc3339)?;
    let keypooler = packages.0.iter().find(|package| package.name == "keypooler");
    let keypooler = keypooler.context("keypooler depends on itself")?;
    let mut main = component(keypooler);
    main["type"] = json!("application");
    main["hashes"] = json!([{"alg": "SHA-256", "content": hex::encode(digest(&SHA256, binary))}]);

    let parts = packages.0.iter().filter(|package| package.name != "keypooler").map(component);
    let parts: Vec<_> = parts.chain(beside.iter().map(|it| it.component.clone())).collect();
    let edges: Vec<_> = packages.0.iter().map(|package| edges(package, &beside)).collect();
    let described = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": when,
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{"type": "application", "name": "cargo xtask dist", "version": place.version}]},
            "component": main,
        },
        "components": parts,
        "dependencies": edges,
    });
    Ok(format!("{described:#}\n"))
}

/// Something in the binary that is no package.
struct Beside {
    component: Value,
    /// The package that brings it along.
    of: &'static str,
}

fn beside(target: Target, packages: &Packages) -> anyhow::Result<Vec<Beside>> {
    let sqlite = packages.0.iter().find(|package| package.name == BRINGS_SQLITE);
    let sqlite = sqlite_version(&sqlite.context("SQLite is in it")?.folder)?;
    let rust = said("rustc", &["--version"])?;
    let rust = rust.split(' ').nth(1).context("rustc tells its version")?;
    let mut beside = vec![
        other("sqlite", &sqlite, "blessing", BRINGS_SQLITE, Some("sqlite:sqlite")),
        other("rust-std", rust, "MIT OR Apache-2.0", "keypooler", Some("rust-lang:rust")),
    ];
    beside.extend(match target {
        Target::Musl => musl()?,
        Target::Gnu => glibc()?,
    });
    Ok(beside)
}

/// musl and what unwinds the stack, as rustc brings them along.
fn musl() -> anyhow::Result<[Beside; 2]> {
    let library =
        Path::new(&sysroot()?).join("lib/rustlib").join(Target::Musl.triple()).join("lib");
    let archive = library.join("self-contained/libc.a");
    let archive =
        std::fs::read(&archive).with_context(|| format!("{} can't be read", archive.display()))?;
    ensure!(
        has_version(&archive, MUSL),
        "rustc brings another musl than {MUSL}: say in xtask/src/dist/sbom.rs which"
    );
    let rust = said("rustc", &["--version", "--verbose"])?;
    let llvm = rust.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    let llvm = llvm.context("rustc tells the version of LLVM")?;
    let apache = "Apache-2.0 WITH LLVM-exception";
    Ok([
        other("musl", MUSL, "MIT", "keypooler", Some("musl-libc:musl")),
        other("llvm-libunwind", llvm, apache, "keypooler", None),
    ])
}

/// Whether a C library says that this is its version.
fn has_version(library: &[u8], version: &str) -> bool {
    let text = format!("{version}\0").into_bytes();
    library.windows(text.len()).any(|window| window == text)
}

/// glibc and what of GCC unwinds the stack, as the machine has them.
fn glibc() -> anyhow::Result<[Beside; 2]> {
    let glibc = said("getconf", &["GNU_LIBC_VERSION"])?;
    let glibc = glibc.strip_prefix("glibc ").context("getconf tells of glibc")?;
    let gcc = said("cc", &["-dumpfullversion"])?;
    let gpl = "GPL-3.0-or-later WITH GCC-exception-3.1";
    Ok([
        other("glibc", glibc, "LGPL-2.1-or-later", "keypooler", Some("gnu:glibc")),
        other("libgcc", &gcc, gpl, "keypooler", None),
    ])
}

/// `cpe` is vendor and product, by which weaknesses are listed (<https://nvd.nist.gov/products/cpe>).
fn other(name: &str, version: &str, license: &str, of: &'static str, cpe: Option<&str>) -> Beside {
    let purl = format!("pkg:generic/{name}@{version}");
    let mut component = json!({
        "type": "library", "bom-ref": purl, "name": name, "version": version, "scope": "required",
        "licenses": [{"expression": license}], "purl": purl,
    });
    if let Some(cpe) = cpe {
        component["cpe"] = json!(format!("cpe:2.3:a:{cpe}:{version}:*:*:*:*:*:*:*"));
    }
    Beside { component, of }
}

fn component(package: &Package) -> Value {
    let mut component = json!({
        "type": "library", "bom-ref": reference(&package.id()), "name": package.name,
        "version": package.version, "scope": "required",
    });
    if let Some(license) = &package.license {
        component["licenses"] = json!([{"expression": license}]);
    }
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(repository) = &package.repository {
        component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    // Ours are not in the registry that such a URL means.
    if !package.is_ours {
        component["purl"] = json!(purl(&package.id()));
    }
    component
}

fn edges(package: &Package, beside: &[Beside]) -> Value {
    let packages = package.depends_on.iter().map(|id| json!(reference(id)));
    let others = beside.iter().filter(|it| it.of == package.name);
    let others = others.map(|it| it.component["bom-ref"].clone());
    json!({"ref": reference(&package.id()), "dependsOn": packages.chain(others).collect::<Vec<_>>()})
}

fn reference((name, version): &Id) -> String {
    format!("{name}@{version}")
}

/// <https://github.com/package-url/purl-spec>
fn purl(id: &Id) -> String {
    format!("pkg:cargo/{}", reference(id).replace('+', "%2B"))
}

/// The version of the SQLite whose source a package holds.
fn sqlite_version(package: &Path) -> anyhow::Result<String> {
    let path = package.join("sqlite3/sqlite3.h");
    let header = std::fs::read_to_string(&path)
        .with_context(|| format!("{} can't be read", path.display()))?;
    let line = header.lines().find(|line| line.starts_with("#define SQLITE_VERSION "));
    let version = line.and_then(|line| line.split('"').nth(1));
    Ok(version.context("sqlite3.h tells no version")?.to_owned())
}

fn said(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let said = Command::new(program).args(arguments).output();
    let said = said.with_context(|| format!("{program} could not be started"))?;
    Ok(String::from_utf8(said.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;
    use crate::dist::packages::tests::example;
    use crate::dist::place::tests::place;

    /// That of the example's packages, one of which brings SQLite along.
    fn described() -> Value {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sqlite3")).unwrap();
        let header = "#define SQLITE_VERSION        \"3.99.1\"\n";
        fs::write(folder.path().join("sqlite3/sqlite3.h"), header).unwrap();
        let mut packages = example();
        let sqlite = Package {
            name: BRINGS_SQLITE.to_owned(),
            version: "0.1.0+3.99".to_owned(),
            folder: folder.path().to_owned(),
            ..packages.0[0].clone()
        };
        packages.0.push(sqlite);
        let place = place(folder.path());
        let text = describe(&place, Target::Gnu, &packages, b"abc").unwrap();
        assert_eq!(text, describe(&place, Target::Gnu, &packages, b"abc").unwrap());
        assert!(!text.contains(folder.path().to_str().unwrap()), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn names_what_is_in_the_binary() {
        let described = described();
        let main = &described["metadata"]["component"];
        assert_eq!(
            (main["name"].as_str(), main["type"].as_str()),
            (Some("keypooler"), Some("application"))
        );
        assert_eq!(
            main["hashes"][0]["content"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(described["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
        let far = &described["components"][0];
        assert_eq!(far["purl"], "pkg:cargo/far@1.2.3");
        assert_eq!(far["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(far["hashes"][0]["content"], "abcd");
        let names = described["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["name"].as_str().unwrap());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["far", BRINGS_SQLITE, "sqlite", "rust-std", "glibc", "libgcc"]
        );
        let sqlite = &described["components"][2];
        assert_eq!(sqlite["cpe"], "cpe:2.3:a:sqlite:sqlite:3.99.1:*:*:*:*:*:*:*");
    }

    #[test]
    fn a_c_library_is_known_by_the_text_of_its_version() {
        assert!(has_version(b"ELF\x0c\x001.2.5\0GNU", "1.2.5"));
        assert!(!has_version(b"ELF\x0c\x001.2.51\0GNU 1.2.6\0", "1.2.5"));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let described = described();
        let components = described["components"].as_array().unwrap();
        let known: BTreeSet<_> = components
            .iter()
            .chain([&described["metadata"]["component"]])
            .map(|it| it["bom-ref"].as_str().unwrap())
            .collect();
        assert_eq!(known.len(), components.len() + 1, "no reference stands for two");
        for edge in described["dependencies"].as_array().unwrap() {
            assert!(known.contains(edge["ref"].as_str().unwrap()), "{edge}");
            for to in edge["dependsOn"].as_array().unwrap() {
                assert!(known.contains(to.as_str().unwrap()), "{edge}");
            }
        }
    }
}
