//! An archive is cut off at every byte, and added to again: each event is in it once, and none is missing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use keypool_engine::Timestamp;
use tempfile::TempDir;

use super::*;

fn event(number: u64) -> UsageView {
    UsageView {
        key_id: "k".to_owned(),
        key_name: "name \"of\" k".to_owned(),
        consumer_id: "admin".to_owned(),
        consumer_name: "admin".to_owned(),
        feature: "f".to_owned(),
        created_at: Timestamp::from_millis(1_800_000_000_000),
        draw_id: id(number),
    }
}

/// Some id of a usage event, in order.
fn id(number: u64) -> DrawId {
    format!("{:016x}", 0x1_0000_0000_0000 + number).parse().expect("it is an id")
}

fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<UsageView> {
    numbers.into_iter().map(event).collect()
}

fn fresh() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.jsonl.gz");
    (folder, path)
}

/// The ids in an archive, as any reader of gzip finds them.
fn held(path: &Path) -> Vec<DrawId> {
    let output = Command::new("gzip").arg("-dc").stdin(File::open(path).unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let id = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["key_name"], &line["feature"]), (&"name \"of\" k".into(), &"f".into()));
        assert_eq!(line["created_at"], "2027-01-15T08:00:00.000Z");
        line["draw_id"].as_str().unwrap().parse().unwrap()
    };
    text.lines().map(id).collect()
}

fn ids(numbers: impl IntoIterator<Item = u64>) -> Vec<DrawId> {
    numbers.into_iter().map(id).collect()
}

#[test]
fn events_are_added_once_over_several_openings() {
    let (_folder, path) = fresh();
    let mut archive = Archive::open(&path).unwrap();
    archive.keep(&events(0..10)).unwrap();
    archive.keep(&events(10..20)).unwrap();
    drop(archive);
    let mut archive = Archive::open(&path).unwrap();
    // The last of them had not gone yet.
    archive.keep(&events(10..30)).unwrap();
    archive.keep(&events(20..30)).unwrap();
    archive.keep(&[]).unwrap();
    drop(archive);
    assert_eq!(held(&path), ids(0..30));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// As a process that was started at that moment has, until it runs another program.
#[test]
fn it_is_free_once_it_is_closed_though_somebody_else_has_the_file_open() {
    let (_folder, path) = fresh();
    let archive = Archive::open(&path).unwrap();
    let _open_elsewhere = archive.file.try_clone().unwrap();
    assert!(matches!(Archive::open(&path), Err(ArchiveError::Taken)));
    drop(archive);
    Archive::open(&path).unwrap();
}

#[test]
fn cut_off_anywhere_it_goes_on_without_a_hole_or_a_repetition() {
    let (_folder, path) = fresh();
    Archive::open(&path).unwrap().keep(&events(0..10)).unwrap();
    let first = fs::metadata(&path).unwrap().len();
    Archive::open(&path).unwrap().keep(&events(10..20)).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in usize::try_from(first).unwrap()..whole.len() {
        for zeros in [0, 512] {
            let cut = [&whole[..length], &vec![0; zeros]].concat();
            let is_told_apart = zeros == 0 || length == usize::try_from(first).unwrap();
            fs::write(&path, cut).unwrap();
            match Archive::open(&path) {
                Ok(mut archive) => {
                    archive.keep(&events(10..20)).unwrap();
                    drop(archive);
                    assert_eq!(held(&path), ids(0..20), "{length} {zeros}");
                }
                // Half a member and zeros behind it: not ours to take off.
                Err(error) => assert!(!is_told_apart, "{length} {zeros}: {error}"),
            }
        }
    }
}

/// As after a pool was restored from a backup that is older than a prune.
#[test]
fn events_of_a_part_before_the_last_are_refused_without_saying_that_they_are_missing() {
    let (_folder, path) = fresh();
    let mut archive = Archive::open(&path).unwrap();
    archive.keep(&events(0..10)).unwrap();
    archive.keep(&events(10..20)).unwrap();
    drop(archive);
    let mut archive = Archive::open(&path).unwrap();
    let refused = archive.keep(&events(0..10)).unwrap_err();
    assert!(matches!(refused, ArchiveError::Older { .. }), "{refused:?}");
    let told = refused.to_string();
    let [last, older] = [id(19), id(0)].map(|id| id.to_string());
    assert!(told.contains(&last) && told.contains(&older), "{told}");
    assert!(told.contains("restored from a backup") && told.contains("another file"), "{told}");
    assert!(!told.contains("but not the older event"), "{told}");
    drop(archive);
    assert_eq!(held(&path), ids(0..20));
}

#[test]
fn an_archive_of_another_pool_or_of_something_else_is_refused_and_left_alone() {
    let (_folder, path) = fresh();
    let mut archive = Archive::open(&path).unwrap();
    archive.keep(&events([5, 7])).unwrap();
    assert!(matches!(Archive::open(&path), Err(ArchiveError::Taken)));
    for foreign in [4, 6] {
        let refused = archive.keep(&events([foreign]));
        assert!(matches!(refused, Err(ArchiveError::Older { .. })), "{refused:?}");
    }
    drop(archive);
    assert_eq!(held(&path), ids([5, 7]));

    let of_others = {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
        gzip.write_all(b"something that is precious to others").unwrap();
        gzip.finish().unwrap()
    };
    for text in [&b"precious"[..], b"p", &of_others, &of_others[..30]] {
        fs::write(&path, text).unwrap();
        let opened = Archive::open(&path);
        assert!(matches!(opened, Err(ArchiveError::Foreign)), "{opened:?}");
        assert_eq!(fs::read(&path).unwrap(), text);
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(b"{\"not\":\"an event\"}\n").unwrap();
    fs::write(&path, gzip.finish().unwrap()).unwrap();
    assert!(matches!(Archive::open(&path), Err(ArchiveError::Foreign)));
}
