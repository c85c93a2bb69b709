//! The settings that are packaged keep up with the table of settings.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn packaged(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(name)
}

#[test]
fn the_example_environment_has_every_setting_with_its_default_and_what_it_takes() {
    let entries = names::SETTINGS.iter().map(|setting| {
        let names::Setting { name, default, takes } = setting;
        format!("\n# Takes {takes}.\n#{name}={default}\n")
    });
    let example = fs::read_to_string(packaged("keypooler.env")).unwrap();
    let (_, given) = example.split_once("\n\n").expect("an introduction, then the settings");
    let expected: String = entries.collect();
    assert_eq!(
        format!("\n{given}"),
        expected,
        "packaging/keypooler.env goes on after its introduction as above"
    );
}

#[test]
fn the_settings_of_the_service_can_be_read() {
    let path = packaged("keypooler.toml");
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    // Where the secrets of a test lie.
    let text = text.replace("/etc/keypooler/", &format!("{}/", folder.path().display()));
    fs::write(folder.path().join("admin-token"), "a-token-of-the-service").unwrap();
    fs::write(folder.path().join("encryption-key"), "00".repeat(32)).unwrap();

    let file = Some(ConfigFile { name: "keypooler.toml".to_owned(), text });
    let sources = Sources { file, environment: Vec::new(), flags: Vec::new(), mode: Mode::Serve };
    let settings = Settings::read(&sources).unwrap();
    assert!(settings.encryption.key.is_some() && settings.admin_token.is_some());
    assert!(settings.server.host.is_loopback());
    assert!(
        !settings.server.is_address_asked_now,
        "it would listen there beside a socket of systemd's"
    );
    assert_eq!(settings.database.file().path, Path::new("/var/lib/keypooler/pool.db"));
}
