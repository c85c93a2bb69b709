//! What all commands have in common: help, exit codes, JSON, and the two that need no database.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Server, run};

/// Runs a command; its exit code, and what it said on standard output and error.
fn said(folder: &Path, line: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let output = run(folder, line, environment);
    let [out, error] = [output.stdout, output.stderr];
    let text = |bytes| String::from_utf8(bytes).expect("it says text");
    (output.status.code().expect("no signal ended it"), text(out), text(error))
}

/// Every command, as `keypooler --help` lists them.
fn commands(folder: &Path) -> Vec<String> {
    let (code, help, _) = said(folder, &["--help"], &[]);
    assert_eq!(code, 0);
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    let name = |line: &str| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned);
    list.filter_map(name).filter(|name| !name.is_empty() && name != "help").collect()
}

#[test]
fn every_command_has_help_with_an_example_and_is_on_the_page_of_commands() {
    let folder = tempfile::tempdir().unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
    let page = fs::read_to_string(page).unwrap();
    let commands = commands(folder.path());
    assert!(commands.len() >= 5, "{commands:?}");
    for command in &commands {
        let (code, help, error) = said(folder.path(), &[command, "--help"], &[("LOG_LEVEL", "?")]);
        assert_eq!((code, error.as_str()), (0, ""), "{command}");
        assert!(help.contains("Example"), "{command} shows no example:\n{help}");
        assert!(page.contains(&format!("\n## `{command}")), "{command} is not on the page");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "help leaves nothing behind");
}

#[test]
fn exit_codes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (_, help, _) = said(folder.path(), &["--help"], &[]);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for code in ["0 it is done", "1 it failed", "2 the command line", "3 it looked"] {
        assert!(help.contains(code), "{code}:\n{help}");
    }
    for line in [&["no-such-command"][..], &["migrate", "--no-such-flag"], &["completions"]] {
        assert_eq!(said(folder.path(), line, &[]).0, 2, "{line:?}");
    }
}

#[test]
fn a_token_is_all_that_is_said_and_is_fit_to_be_the_admins() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("keypooler.toml"), "not toml at all").unwrap();
    let token = || {
        let (code, out, error) = said(folder.path(), &["token"], &[("LOG_LEVEL", "?")]);
        assert_eq!((code, error.as_str()), (0, ""));
        out.strip_suffix('\n').expect("a line").to_owned()
    };
    let tokens: HashSet<String> = (0..5).map(|_| token()).collect();
    assert_eq!(tokens.len(), 5, "no two are the same");

    fs::remove_file(folder.path().join("keypooler.toml")).unwrap();
    let token = tokens.iter().next().unwrap();
    assert!(token.starts_with("kp_") && token.len() == 52, "{token}");
    let server = Server::start(folder.path(), &[("ADMIN_TOKEN", token)]);
    assert_eq!(server.request("GET", "/admin/tiers", Some(token), None).status, 200);
    assert!(!server.log().contains("shorter than 16"));
}

#[test]
fn a_token_that_could_not_be_written_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_keypooler"))
        .arg("token")
        .current_dir(folder.path())
        .env_clear()
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn completions_name_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, error) = said(folder.path(), &["completions", shell], &[]);
        assert_eq!((code, error.as_str()), (0, ""), "{shell}");
        for command in commands(folder.path()) {
            assert!(script.contains(&command), "{shell}: {command}");
        }
    }
}

#[test]
fn a_report_is_one_json_object_and_what_is_logged_goes_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let line = ["migrate", "--json", "--log-level", "info"];
    let (code, out, error) = said(folder.path(), &line, &[]);
    assert_eq!(code, 0, "{error}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["changed"], &report["database"]), (&true.into(), &"./data/pool.db".into()));
    assert_eq!(report["schema_version"], report["applied"].as_array().unwrap().len());
    assert!(error.contains("schema version"), "the log was asked for: {error}");

    let (code, out, error) = said(folder.path(), &["migrate", "--status", "--json"], &[]);
    assert_eq!((code, error.as_str()), (0, ""));
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status["applied"], report["applied"]);
    assert_eq!(
        (&status["pending"], &status["unfinished_copy"]),
        (&Value::Array(vec![]), &false.into())
    );
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, error) = said(folder.path(), &["manual", "."], &[]);
    assert_eq!((code, out.as_str(), error.as_str()), (0, "", ""));
    let page = |name: &str| fs::read_to_string(folder.path().join(name)).expect(name);
    assert!(page("keypooler.1").contains("Serves pooled API keys"));
    for command in commands(folder.path()) {
        let page = page(&format!("keypooler-{command}.1"));
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    assert_eq!(said(folder.path(), &["manual", "nowhere"], &[]).0, 1);
}
