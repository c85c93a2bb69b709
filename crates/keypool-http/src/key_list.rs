//! Keys as a text, apart from any request: the array (or the one object) that `POST /admin/keys` takes, read by the same
//! rules and written so that it can be read again.

use keypool_engine::{NewKey, StillKey};
use serde::Serialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::endpoints::{Ordered, metadata, read_key};
use crate::members::{Body, read_one_or_many};
use crate::secret_buffer::SecretBuffer;
use crate::times::ToTheMillisecond;

/// A key of a text.
#[derive(Debug)]
pub struct ListedKey {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// The key, or a sentence that says why it cannot be read and repeats no value.
    pub key: Result<NewKey, String>,
}

/// Reads the keys of a text.
///
/// # Errors
/// A sentence, where the text is no JSON, or neither an object nor an array.
pub fn read_keys(text: &[u8]) -> Result<Vec<ListedKey>, String> {
    let sentence = |problem: crate::problem::Problem| problem.detail.into_owned();
    let fields = match read_one_or_many(text).map_err(sentence)? {
        Body::One(field) => vec![field],
        Body::Many(fields) => fields,
    };
    // From one key to the next: counted from the start, lines of a long text would take forever.
    let (mut line, mut counted) = (1, 0);
    let listed = fields.into_iter().map(|field| {
        let offset = field.offset_in(text);
        let between = text.get(counted..offset).unwrap_or_default();
        line += between.iter().filter(|byte| **byte == b'\n').count();
        counted = offset;
        ListedKey { line, key: read_key(&field).map(|(key, _)| key).map_err(sentence) }
    });
    Ok(listed.collect())
}

/// Whether values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// They are: the text can be read by [`read_keys`].
    Shown,
    /// They are not: names of secrets alone, and whether a key is active.
    Hidden,
}

/// Writes keys as an array, one on a line. Keys whose values do not open are left out where values are written.
pub fn write_keys<'a>(
    keys: impl IntoIterator<Item = StillKey<'a>>,
    values: Values,
) -> Zeroizing<Vec<u8>> {
    let mut buffer = SecretBuffer::default();
    let mut separator = "[\n";
    for key in keys {
        let opened = key.open();
        let written = match (values, &opened) {
            (Values::Hidden, _) => {
                buffer.extend(separator.as_bytes());
                serde_json::to_writer(&mut buffer, &shape(&key))
            }
            (Values::Shown, Some((value, secrets))) => {
                let secrets = secrets.iter().map(|it| (&*it.name, it.value.expose()));
                let shown = Shown {
                    name: key.name,
                    key: value.expose(),
                    tier: key.tier,
                    terms: terms(&key),
                    secrets: Ordered(secrets),
                };
                buffer.extend(separator.as_bytes());
                serde_json::to_writer(&mut buffer, &shown)
            }
            (Values::Shown, None) => continue,
        };
        written.expect("our shapes are written to memory");
        separator = ",\n";
    }
    buffer.extend(if separator == "[\n" { b"[]\n" } else { b"\n]\n" });
    buffer.into_inner()
}

#[derive(Serialize)]
struct Shown<'a, S: Serialize> {
    name: &'a str,
    key: &'a str,
    tier: &'a str,
    #[serde(flatten)]
    terms: Terms<'a>,
    secrets: S,
}

#[derive(Serialize)]
struct Hidden<'a> {
    id: &'a str,
    name: &'a str,
    tier: &'a str,
    is_active: bool,
    unusable: Option<&'a str>,
    #[serde(flatten)]
    terms: Terms<'a>,
    secret_names: &'a [&'a str],
}

#[derive(Serialize)]
struct Terms<'a> {
    expires_at: Option<ToTheMillisecond>,
    usage_limit: Option<i64>,
    usage_window_seconds: Option<i64>,
    metadata: &'a RawValue,
}

fn shape<'a>(key: &'a StillKey<'a>) -> Hidden<'a> {
    Hidden {
        id: key.id,
        name: key.name,
        tier: key.tier,
        is_active: key.is_active,
        unusable: key.unusable(),
        terms: terms(key),
        secret_names: &key.secret_names,
    }
}

fn terms<'a>(key: &StillKey<'a>) -> Terms<'a> {
    Terms {
        expires_at: key.expires_at.map(ToTheMillisecond),
        usage_limit: key.usage_limit,
        usage_window_seconds: key.usage_window_seconds,
        metadata: metadata(key.metadata),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_line_of_every_key() {
        let text = b"\n[ {},\n\n{\"name\":\n1}, {}\n,{}]";
        let lines =
            |text: &[u8]| read_keys(text).unwrap().iter().map(|key| key.line).collect::<Vec<_>>();
        assert_eq!(lines(text), [2, 4, 5, 6]);
        assert_eq!(lines(b"\n\n{}"), [3]);
    }

    /// It took minutes when the lines before each key were counted anew.
    #[test]
    fn reads_as_many_keys_as_it_takes_without_delay() {
        let value = "v".repeat(1_000);
        let key = format!("{{\"name\":\"n\",\"key\":\"{value}\",\"tier\":\"t\"}}");
        let text = format!("[{}]", vec![key; 10_000].join(",\n"));
        let keys = read_keys(text.as_bytes()).unwrap();
        assert_eq!(
            keys.iter().map(|key| key.line).collect::<Vec<_>>(),
            (1..=10_000).collect::<Vec<_>>()
        );
        assert!(keys.iter().all(|key| key.key.is_ok()));
    }
}
