//! The units of systemd are what systemd reads, and take away what the service does not need.

use std::fs;
use std::process::Command;

use crate::run::root;

fn unit(name: &str) -> String {
    fs::read_to_string(root().join("packaging/systemd").join(name)).unwrap()
}

/// The lines that say something, each with the section that it stands in.
fn directives(text: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut directives = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => name.clone_into(&mut section),
            None => directives.push((section.clone(), line.to_owned())),
        }
    }
    directives
}

#[test]
fn every_line_is_a_directive_in_its_section() {
    for (name, own) in [("keypooler.service", "Service"), ("keypooler.socket", "Socket")] {
        let text = unit(name);
        for (section, line) in directives(&text) {
            assert!(["Unit", own, "Install"].contains(&section.as_str()), "{name}: [{section}]");
            let (key, _) = line.split_once('=').expect(&line);
            assert!(key.chars().all(char::is_alphanumeric), "{name}: {line}");
        }
    }
}

#[test]
fn the_service_keeps_its_hardening() {
    let text = unit("keypooler.service");
    let lines: Vec<_> = directives(&text).into_iter().map(|(_, line)| line).collect();
    for line in [
        "Type=notify",
        "WatchdogSec=30s",
        "User=keypooler",
        "LimitCORE=0",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "MemoryDenyWriteExecute=yes",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged @resources",
        "StateDirectory=keypooler",
        "RestartPreventExitStatus=2",
    ] {
        assert!(lines.iter().any(|known| known == line), "{line}");
    }
    assert!(!text.contains("ADMIN_TOKEN="), "a secret is handed over in a file");
}

/// Where systemd is installed it reads them, with a program that is there.
#[test]
fn systemd_understands_them() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["keypooler.service", "keypooler.socket"];
    let paths = names.map(|name| folder.path().join(name));
    for (name, path) in names.iter().zip(&paths) {
        let text = unit(name).replace("/usr/bin/keypooler --config", "/bin/true --config");
        fs::write(path, text.replace("Documentation=man:keypooler(1)\n", "")).unwrap();
    }
    let Ok(said) = Command::new("systemd-analyze").arg("verify").args(&paths).output() else {
        return;
    };
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let ours: Vec<_> = said.lines().filter(|line| line.contains("keypooler")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}

/// Where systemd is installed it counts what is left exposed: 0 is nothing, 9.6 a service without any hardening. The network is
/// what the service is for.
#[test]
fn little_is_left_exposed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keypooler.service");
    fs::write(&path, unit("keypooler.service")).unwrap();
    let ask = ["security", "--offline=true", "--no-pager"];
    let Ok(said) = Command::new("systemd-analyze").args(ask).arg(&path).output() else { return };
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    // A systemd before version 250 knows no such question.
    let Some(overall) = said.lines().find(|line| line.contains("Overall exposure level")) else {
        return;
    };
    let level = overall.split(' ').find_map(|word| word.parse::<f64>().ok()).expect(overall);
    assert!(level < 1.5, "{said}");
}
