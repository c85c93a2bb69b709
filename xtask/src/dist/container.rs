//! The container's files are what container tools read, and name what the archive holds.

use std::collections::BTreeMap;

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use super::contents::tests::example;

/// All that may stand in the file of an image that nothing can be run in.
const INSTRUCTIONS: [&str; 11] = [
    "FROM",
    "LABEL",
    "COPY",
    "WORKDIR",
    "VOLUME",
    "USER",
    "ENV",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ENTRYPOINT",
];

fn packaged(name: &str) -> String {
    example().0.read(format!("packaging/container/{name}")).unwrap()
}

/// The instructions, each with what it is given.
fn containerfile() -> Vec<(String, String)> {
    let text = packaged("Containerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = |line: &str| {
        let (instruction, given) = line.split_once(' ').expect("an instruction is given something");
        (instruction.to_owned(), given.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    lines.map(split).collect()
}

/// What an instruction is given that stands there once.
fn only(instruction: &str) -> String {
    let all = containerfile();
    let mut given = all.iter().filter(|(it, _)| it == instruction).map(|(_, given)| given);
    let first = given.next().expect(instruction).clone();
    assert_eq!(given.next(), None, "{instruction} stands there once");
    first
}

/// The words of a command that is run without a shell: there is none.
fn words(command: &str) -> Vec<String> {
    let words: Value = serde_json::from_str(command).expect("a command is a list in JSON");
    serde_json::from_value(words).expect("a command is a list of texts")
}

fn compose() -> Yaml {
    let mut documents = YamlLoader::load_from_str(&packaged("compose.yaml")).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

fn texts(list: &Yaml) -> Vec<&str> {
    list.as_vec().expect("a list").iter().map(|it| it.as_str().expect("a text")).collect()
}

#[test]
fn the_image_begins_with_nothing_and_runs_nothing_while_it_is_built() {
    let all = containerfile();
    assert_eq!(all[0], ("FROM".to_owned(), "scratch".to_owned()));
    for (instruction, _) in &all {
        assert!(INSTRUCTIONS.contains(&instruction.as_str()), "{instruction}");
    }
}

#[test]
fn the_image_takes_what_the_archive_holds() {
    let (place, contents) = example();
    let archive = contents.archive(&place).unwrap();
    let archive = archive.tar("top/", 0).unwrap();
    let mut archive = tar::Archive::new(archive.as_slice());
    let paths: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().to_str().unwrap().to_owned())
        .collect();
    let copied: BTreeMap<_, _> = containerfile()
        .into_iter()
        .filter(|(instruction, _)| instruction == "COPY")
        .map(|(_, given)| {
            let mut words = given.split(' ').filter(|word| !word.starts_with("--"));
            let from = words.next().unwrap().to_owned();
            (words.next().expect("a destination").to_owned(), from)
        })
        .collect();
    for from in copied.values() {
        let wanted = format!("top/{from}");
        let is_there = |path: &String| *path.trim_end_matches('/') == wanted;
        assert!(paths.iter().any(is_there), "the archive has no {from}");
    }
    // Nothing but the binary, texts, and the folder that the volume begins as.
    let to: Vec<_> = copied.keys().map(String::as_str).collect();
    assert_eq!(to, ["/app/data", "/usr/bin/keypooler", "/usr/share/doc/keypooler/licences"]);
}

#[test]
fn the_image_serves_as_a_user_without_rights_with_its_pool_in_the_volume() {
    assert_eq!(only("USER"), "65532:65532");
    assert_eq!(only("VOLUME"), "/app/data");
    assert_eq!(only("WORKDIR"), "/app");
    assert_eq!(words(&only("ENTRYPOINT")), ["/usr/bin/keypooler"]);
    let of_the_owner =
        ("COPY".to_owned(), "--chown=65532:65532 container/data /app/data".to_owned());
    assert!(containerfile().contains(&of_the_owner));
}

#[test]
fn image_and_compose_check_the_health_alike() {
    let check = only("HEALTHCHECK");
    let (flags, command) = check.split_once(" CMD ").expect("a command");
    let compose = compose();
    let same = &compose["services"]["keypooler"]["healthcheck"];
    let mut expected = vec!["CMD".to_owned()];
    expected.extend(words(command));
    assert_eq!(texts(&same["test"]), expected);
    assert_eq!(expected[1..], ["/usr/bin/keypooler", "health"]);
    for flag in flags.split(' ') {
        let (name, value) = flag.trim_start_matches("--").split_once('=').expect(flag);
        let told = &same[name.replace('-', "_").as_str()];
        let told = told.as_str().map_or_else(|| format!("{:?}", told.as_i64()), str::to_owned);
        assert!(told == value || told == format!("Some({value})"), "{name}: {told}");
    }
}

#[test]
fn compose_gives_the_service_no_more_than_it_needs() {
    let (place, contents) = example();
    let archive = contents.archive(&place).unwrap();
    let is_there = |wanted: &str| archive.files().any(|(path, _)| path == wanted);
    let compose = compose();
    let service = &compose["services"]["keypooler"];
    assert_eq!(service["read_only"].as_bool(), Some(true));
    assert_eq!(texts(&service["cap_drop"]), ["ALL"]);
    assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"]);
    assert_eq!(texts(&service["volumes"]), ["pool:/app/data"]);
    for port in texts(&service["ports"]) {
        assert!(port.starts_with("127.0.0.1:"), "{port} is open to others");
    }
    assert!(is_there(service["env_file"].as_str().unwrap()));
    assert!(is_there(service["build"]["dockerfile"].as_str().unwrap()));
    for secret in texts(&service["secrets"]) {
        let file = compose["secrets"][secret]["file"].as_str().expect(secret);
        assert_eq!(file, format!("secrets/{secret}"));
        let environment = service["environment"].as_hash().unwrap();
        let path = format!("/run/secrets/{secret}");
        assert!(environment.values().any(|value| value.as_str() == Some(&path)), "{path}");
    }
}
