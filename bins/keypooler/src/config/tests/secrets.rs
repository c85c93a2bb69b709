//! Settings that are secret: where they come from, what they need beside them, and that nobody repeats them.

use super::*;

#[test]
fn secrets_are_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (token_path, key_path) = (path("token"), path("key"));
    fs::write(&token_path, format!("{TOKEN}\n")).unwrap();
    fs::write(&key_path, format!("{KEY}\r\n")).unwrap();
    let environment =
        [("ADMIN_TOKEN_FILE", token_path.as_str()), ("ENCRYPTION_KEY_FILE", key_path.as_str())];

    let settings = from_env(&environment).unwrap();
    assert_eq!(token(&settings), TOKEN);
    assert!(settings.encryption.key.is_some());

    for content in ["", "\n", "hush hush", "hush\n\n"] {
        fs::write(&token_path, content).unwrap();
        let refused = message(from_env(&environment));
        assert!(refused.starts_with("ADMIN_TOKEN_FILE names a file that must hold"), "{refused}");
        assert!(!refused.contains("hush"), "{refused}");
    }
}

#[test]
fn what_needs_an_encryption_key_is_refused_without_one() {
    for (name, value) in [("ENCRYPTION_KEY_PREVIOUS", KEY), ("ENCRYPTION_REQUIRED", "true")] {
        let refused = message(from_env(&[(name, value)]));
        assert_eq!(refused, format!("{name} is set without an ENCRYPTION_KEY"));
        assert!(from_env(&[("ENCRYPTION_KEY", OTHER_KEY), (name, value)]).is_ok());
    }
    assert!(from_env(&[("ENCRYPTION_REQUIRED", "false")]).is_ok());
    let same = [("ENCRYPTION_KEY", KEY), ("ENCRYPTION_KEY_PREVIOUS", KEY)];
    let refused = message(from_env(&same));
    assert!(refused.starts_with("ENCRYPTION_KEY_PREVIOUS takes another key"), "{refused}");
}

#[test]
fn the_metrics_token_is_another_than_the_admin_s() {
    let settings = from_env(&[("METRICS_TOKEN", "hush")]).unwrap();
    assert!(settings.metrics_token.unwrap().matches(&TokenDigest::of("hush")));
    assert!(from_env(&[]).unwrap().metrics_token.is_none());

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let path = path.to_str().unwrap();
    fs::write(path, "hush\n").unwrap();
    let settings = from_env(&[("METRICS_TOKEN_FILE", path)]).unwrap();
    assert!(settings.metrics_token.unwrap().matches(&TokenDigest::of("hush")));

    let by_file = ("ADMIN_TOKEN_FILE", path);
    for environment in [
        [("ADMIN_TOKEN", "hush"), ("METRICS_TOKEN", "hush")],
        [("ADMIN_TOKEN", "hush"), ("METRICS_TOKEN_FILE", path)],
        [by_file, ("METRICS_TOKEN", "hush")],
        [by_file, ("METRICS_TOKEN_FILE", path)],
        [("ADMIN_TOKEN_PREVIOUS", "hush"), ("METRICS_TOKEN", "hush")],
    ] {
        let refused = message(from_env(&environment));
        let expected = format!("{} gives a token that is the admin's", environment[1].0);
        assert!(refused.starts_with(&expected), "{refused}");
        assert!(!refused.contains("hush"), "{refused}");
    }
}

#[test]
fn an_empty_encryption_key_file_does_not_mean_plain_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, "").unwrap();
    let refused = message(from_env(&[("ENCRYPTION_KEY_FILE", path.to_str().unwrap())]));
    assert!(refused.starts_with("ENCRYPTION_KEY_FILE names a file that must hold"), "{refused}");
}

#[test]
fn a_secret_and_its_file_contradict_each_other() {
    for (name, file_name) in [
        ("ADMIN_TOKEN", "ADMIN_TOKEN_FILE"),
        ("ADMIN_TOKEN_PREVIOUS", "ADMIN_TOKEN_PREVIOUS_FILE"),
        ("METRICS_TOKEN", "METRICS_TOKEN_FILE"),
        ("ENCRYPTION_KEY", "ENCRYPTION_KEY_FILE"),
    ] {
        let refused = message(from_env(&[(name, KEY), (file_name, "/nowhere/hush")]));
        let expected = format!("{name} and {file_name} contradict each other: set one of them");
        assert_eq!(refused, expected);
    }
    let file = "admin_token_file = '/nowhere/hush'";
    let refused = message(read(file, &[("ADMIN_TOKEN", "hush")], &[], Mode::Serve));
    assert!(refused.contains("admin_token_file in keypooler.toml contradict"), "{refused}");
}

#[test]
fn a_short_admin_token_is_a_warning() {
    assert!(from_env(&[("ADMIN_TOKEN", "sixteen-letters!")]).unwrap().warnings.is_empty());
    for name in ["ADMIN_TOKEN", "ADMIN_TOKEN_PREVIOUS"] {
        let warnings = from_env(&[(name, "fifteen-letters")]).unwrap().warnings;
        assert!(matches!(warnings[..], [warning] if warning.starts_with(&format!("{name} is"))));
    }
}

#[test]
fn the_admin_token_of_before_is_another_one() {
    let settings = from_env(&[("ADMIN_TOKEN_PREVIOUS", "the-token-of-before")]).unwrap();
    assert_eq!(token(&settings), TOKEN);
    let previous = settings.previous_admin_token.unwrap();
    assert_eq!(previous.expose_secret(), "the-token-of-before");
    let alone = read_exactly("", &[("ADMIN_TOKEN_PREVIOUS", TOKEN)], &[], Mode::Serve);
    assert!(message(alone).starts_with("ADMIN_TOKEN is required"));
}
