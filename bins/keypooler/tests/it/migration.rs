//! `keypooler migrate` and `--status`.

use std::path::Path;

use crate::support::{Server, run};

/// Runs `migrate` with these arguments; its exit code and all that it said.
fn migrate(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(folder, &[&["migrate"], arguments].concat(), &[]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("it says text"))
}

#[test]
fn status_tells_what_is_there_and_what_would_be_done_and_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = migrate(folder.path(), &["--status"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("./data/pool.db") && said.contains("nothing in it yet"), "{said}");
    assert!(said.contains("pending:  1 ") && said.contains("pending:  2 "), "{said}");
    assert!(!folder.path().join("data").exists());
}

#[test]
fn migrates_and_ends_and_the_second_time_has_nothing_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = migrate(folder.path(), &["--db", "p.db"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("p.db now has schema version "), "{said}");

    let (code, said) = migrate(folder.path(), &["--db", "p.db", "--status"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("applied:  1 ") && said.contains("pending:  nothing"), "{said}");

    let (code, said) = migrate(folder.path(), &["--db", "p.db"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("p.db already has schema version "), "{said}");
}

#[test]
fn a_database_that_is_being_served_is_not_migrated_but_can_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(folder.path(), &[]);
    let (code, said) = migrate(folder.path(), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("pool.db"), "{said}");
    let (code, said) = migrate(folder.path(), &["--status"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("pending:  nothing"), "{said}");
}
