//! Keys as `NAME=value` lines, as shells and `.env` files have them. Each name becomes a key's name, each value a value.
//!
//! Variables in values are not looked up: a value that would change by that is refused.

use std::collections::HashMap;

use keypool_engine::StillKey;
use keypool_http::ListedKey;
use zeroize::Zeroizing;

use super::{Object, Unreadable, add};

/// Reads a file, each line by itself.
pub(super) fn read(text: &str, tier: Option<&str>) -> Result<Vec<ListedKey>, Unreadable> {
    let tier = tier.unwrap_or_default();
    let mut listed = Vec::new();
    for (text, line) in text.lines().zip(1..) {
        let Some((name, value)) =
            read_line(text.trim()).map_err(|problem| Unreadable::new(line, problem))?
        else {
            continue;
        };
        let mut key = Object::with_room_for(3, name.len() + value.len() + tier.len());
        key.add("name", &name);
        key.add("key", &value);
        key.add("tier", tier);
        add(&mut listed, line, key)?;
    }
    Ok(listed)
}

/// One line without the spaces around it: a name and its value, or nothing.
fn read_line(line: &str) -> Result<Option<(String, Zeroizing<String>)>, &'static str> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if has_variable(line) {
        return Err("has a `$`, and variables are not looked up: put the value in single quotes");
    }
    match dotenvy::from_read_iter(line.as_bytes()).next() {
        Some(Ok((name, value))) => Ok(Some((name, Zeroizing::new(value)))),
        // What dotenvy says repeats the line.
        None | Some(Err(_)) => Err(
            "is no NAME=value: a value with spaces stands in quotes, and one with line breaks in double quotes with \\n for each",
        ),
    }
}

/// Whether a `$` stands where dotenvy would look a variable up: in double quotes, too, in which a `'` is one sign of many;
/// but not in single quotes, in which a backslash is one, or behind a backslash.
fn has_variable(line: &str) -> bool {
    let (mut is_single, mut is_double, mut is_escaped) = (false, false, false);
    for char in line.chars() {
        match char {
            _ if is_escaped => is_escaped = false,
            '\'' if !is_double => is_single = !is_single,
            _ if is_single => {}
            '\\' => is_escaped = true,
            '"' => is_double = !is_double,
            '$' => return true,
            _ => {}
        }
    }
    false
}

/// Writes a file: names of keys become names of variables, which no two keys may share.
pub(super) fn write<'a>(
    keys: impl Iterator<Item = StillKey<'a>>,
) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut text = Zeroizing::new(Vec::new());
    let mut taken: HashMap<String, String> = HashMap::new();
    for key in keys {
        let Some((value, _)) = key.open() else { continue };
        let name = variable(key.name);
        if let Some(other) = taken.insert(name.clone(), key.name.to_owned()) {
            return Err(format!(
                "the keys {other:?} and {:?} would both be {name} in this format: export them as json or csv",
                key.name
            ));
        }
        let Some(value) = quoted(value.expose()) else {
            return Err(format!(
                "the value of the key {:?} cannot stand in this format: export it as json or csv",
                key.name
            ));
        };
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"=");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\n");
    }
    Ok(text)
}

/// A key's name as a variable's.
fn variable(name: &str) -> String {
    let fits = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let name: String = name.chars().map(|char| if fits(char) { char } else { '_' }).collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// A value in quotes; none where it cannot be written so that it is read again as it is.
fn quoted(value: &str) -> Option<Zeroizing<String>> {
    if value.contains(['\r', '\0']) {
        return None;
    }
    // A backslash in single quotes is not read alike by all.
    if !value.contains(['\'', '\n', '\\']) {
        return Some(Zeroizing::new(format!("'{value}'")));
    }
    let mut quoted = Zeroizing::new(String::with_capacity(2 * value.len() + 2));
    quoted.push('"');
    for char in value.chars() {
        match char {
            '"' | '\\' | '$' | '\'' => quoted.extend(['\\', char]),
            '\n' => quoted.push_str("\\n"),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    Some(quoted)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    fn read(text: &str) -> Result<Vec<(usize, String, String)>, String> {
        let listed =
            Format::Env.read(text.as_bytes(), Some("t")).map_err(|error| error.to_string())?;
        let read = |listed: ListedKey| {
            let key = listed.key.expect("it can be read");
            assert_eq!(key.tier, "t");
            (listed.line, key.name, key.value.expose().to_owned())
        };
        Ok(listed.into_iter().map(read).collect())
    }

    #[test]
    fn reads_names_and_values_with_their_lines() {
        let text = "# keys $HOME\n\nA=plain\nexport B_2=\"with space # and\\nline\"\r\nC='lit$eral \\n'\nD=x # note\nE=x \t\nF=\"it's\"\n";
        let expected = [
            (3, "A", "plain"),
            (4, "B_2", "with space # and\nline"),
            (5, "C", "lit$eral \\n"),
            (6, "D", "x"),
            (7, "E", "x"),
            (8, "F", "it's"),
        ];
        let expected =
            expected.map(|(line, name, value)| (line, name.to_owned(), value.to_owned()));
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read("").unwrap(), []);
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_line_and_not_repeated() {
        for (text, expected) in [
            ("A=x\nB=hush$HOME\n", "line 2: has a `$`"),
            ("A=\"hush${HOME}\"\n", "line 1: has a `$`"),
            ("A=\"hush'$y-z\"\n", "line 1: has a `$`"),
            ("A=\"it's hush ${ENCRYPTION_KEY}\"\n", "line 1: has a `$`"),
            ("A='hush'$HOME\n", "line 1: has a `$`"),
            ("A=hush\\'$HOME\n", "line 1: has a `$`"),
            ("A=hush\\ \n", "line 1: is no NAME=value"),
            ("A=\"hush\nmore\"\n", "line 1: is no NAME=value"),
            ("hush\n", "line 1: is no NAME=value"),
            ("A=hush hush\n", "line 1: is no NAME=value"),
            ("=hush\n", "line 1: is no NAME=value"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.starts_with(expected), "{text}: {said}");
            assert!(!said.contains("hush"), "{said}");
        }
    }

    /// Every short value of signs that mean something: none is taken for another.
    #[test]
    fn a_dollar_is_refused_or_kept() {
        let signs = ['\'', '"', '\\', '$', 'x', ' '];
        let mut lines = vec![String::from("K=")];
        for length in 1..=5 {
            let longer = lines.iter().flat_map(|line| signs.map(|sign| format!("{line}{sign}")));
            lines = longer.collect();
            assert_eq!(lines.len(), signs.len().pow(length));
            for line in &lines {
                if let Ok(Some((_, value))) = read_line(line.trim()) {
                    let dollars = |text: &str| text.matches('$').count();
                    assert_eq!(dollars(&value), dollars(line), "{line}");
                }
            }
        }
    }

    #[test]
    fn a_value_is_read_again_as_it_was_written() {
        let values = [
            "plain",
            "$HOME",
            "a'b",
            "a\"b\\c$d",
            "'",
            "\"",
            "\\",
            "\\n",
            "a\nb'c",
            " spaces ",
            "#",
            "a # b",
            "ü🔑",
            "=",
            "'$'\n",
        ];
        for value in values {
            let line = format!("K={}\n", &*quoted(value).unwrap());
            let read = read(&line).unwrap_or_else(|said| panic!("{line}: {said}"));
            assert_eq!(read, [(1, "K".to_owned(), value.to_owned())], "{line}");
        }
        assert!(quoted("a\r\nb").is_none());
    }

    #[test]
    fn names_become_those_of_variables() {
        for (name, expected) in [("A_1", "A_1"), ("firecrawl-01", "firecrawl_01"), ("1 ü", "_1__")]
        {
            assert_eq!(variable(name), expected);
        }
    }
}
