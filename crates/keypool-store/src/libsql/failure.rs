//! What a failure of the libsql crate means. The crate keeps its error's type to itself, so its text is what there is:
//! the forms that are read here are those of its `HranaError` (version 0.10), and a test holds each against a server.

use crate::driver::DriverError;

/// The error of the boundary for one of the client library's.
pub(super) fn driver_error(error: libsql::Error) -> DriverError {
    if let libsql::Error::Hrana(error) = &error {
        return hrana(&error.to_string());
    }
    DriverError::Broken(Box::new(error))
}

fn hrana(text: &str) -> DriverError {
    let within = |kind: &str| text.strip_prefix(kind)?.strip_prefix(": `")?.strip_suffix('`');
    if let Some(said) = within("stream error") {
        return sql(&field(said, "message"), &field(said, "code"));
    }
    if let Some(said) = within("cursor error") {
        // `error at step 0: (error code: SQLITE_ERROR) `no such table: t``
        let coded = said.split_once("(error code: ").and_then(|(_, rest)| rest.split_once(") `"));
        return coded.map_or_else(
            || DriverError::Unanswered("a list broke off".to_owned()),
            |(code, message)| sql(message.trim_end_matches('`'), code),
        );
    }
    if let Some(said) = within("api error") {
        return match status(said) {
            Some(status) => answered(status),
            None => sql(said, ""),
        };
    }
    if let Some(said) = within("http error") {
        return match said.strip_prefix("error trying to connect: ") {
            Some(why) => {
                DriverError::Unreachable(Box::new(DriverError::NoConnection(why.to_owned())))
            }
            None => DriverError::Unanswered(said.to_owned()),
        };
    }
    // A text of JSON or of a response may be a part of what was asked for.
    DriverError::Unanswered("the answer is not as the protocol has it".to_owned())
}

/// The status in `status=429 Too Many Requests, body=…`. The body stays unsaid.
fn status(said: &str) -> Option<u16> {
    said.strip_prefix("status=")?.get(..3)?.parse().ok()
}

fn answered(status: u16) -> DriverError {
    match status {
        401 | 403 => DriverError::Unauthorized,
        429 => DriverError::TooManyRequests,
        408 => DriverError::Unanswered("status 408".to_owned()),
        400..=499 => DriverError::Status(status),
        // A gateway may have handed the request on before it gave up.
        _ => DriverError::Unanswered(format!("status {status}")),
    }
}

/// An error that the server's SQLite has with a statement: its sentence, and SQLite's name for it, which the answer to a
/// batch lacks.
fn sql(message: &str, code: &str) -> DriverError {
    let message = ["SQLite error: ", "SQL input error: ", "SQLite input error: "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .unwrap_or(message);
    if let Some(touched) = touched(message) {
        return touched;
    }
    if let Some((_, word)) = message.split_once("keypooler: ") {
        return DriverError::Raised(format!("keypooler: {word}"));
    }
    let is = |family: &str| code == family || code.starts_with(&format!("{family}_"));
    if is("SQLITE_BUSY") || is("SQLITE_LOCKED") || message.contains("database is locked") {
        return DriverError::Busy;
    }
    if is("SQLITE_CONSTRAINT") || message.contains("constraint failed") {
        return DriverError::Forbidden(message.to_owned());
    }
    if is("SQLITE_FULL") {
        return DriverError::Full;
    }
    if is("SQLITE_IOERR") || is("SQLITE_CORRUPT") || message.contains("disk I/O error") {
        return DriverError::Unanswered(message.to_owned());
    }
    DriverError::Rejected { code: code.to_owned(), message: message.to_owned() }
}

/// What a check of [`super::script`] says: `keypooler: touched STATEMENT WANTED TOUCHED`.
fn touched(message: &str) -> Option<DriverError> {
    let (_, numbers) = message.split_once("keypooler: touched ")?;
    let mut numbers = numbers.split(|char: char| !char.is_ascii_digit()).map(str::parse::<u64>);
    let (Some(Ok(statement)), Some(Ok(wanted)), Some(Ok(touched))) =
        (numbers.next(), numbers.next(), numbers.next())
    else {
        return None;
    };
    Some(DriverError::Touched { statement: usize::try_from(statement).ok()?, wanted, touched })
}

/// A text field of a message in Rust's debug form: `Error { message: "…", code: "…" }`.
fn field(debug: &str, name: &str) -> String {
    let Some((_, rest)) = debug.split_once(&format!("{name}: \"")) else { return String::new() };
    let mut text = String::new();
    let mut chars = rest.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => break,
            '\\' => text.extend(chars.next()),
            _ => text.push(char),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        format!("{:?}", hrana(text))
    }

    #[test]
    fn verdicts_are_read_out_of_every_form() {
        let raised = "Raised(\"keypooler: stale\")";
        for text in [
            "stream error: `Error { message: \"SQLite error: keypooler: stale\", code: \"SQLITE_CONSTRAINT_TRIGGER\" }`",
            "stream error: `Error { message: \"keypooler: stale\", code: \"\" }`",
            "api error: `SQLite error: keypooler: stale`",
            "cursor error: `error at step 0: (error code: SQLITE_CONSTRAINT) `keypooler: stale``",
        ] {
            assert_eq!(shown(text), raised, "{text}");
        }
    }

    #[test]
    fn a_check_tells_what_was_touched() {
        let found = hrana("api error: `SQLite error: bad JSON path: 'keypooler: touched 3 1 0'`");
        assert!(matches!(found, DriverError::Touched { statement: 3, wanted: 1, touched: 0 }));
    }

    #[test]
    fn statuses_and_broken_connections_are_told_apart_by_what_may_have_been_done() {
        let table = [
            ("api error: `status=401 Unauthorized, body=no`", false),
            ("api error: `status=429 Too Many Requests, body=`", false),
            ("api error: `status=400 Bad Request, body={\"code\":\"STREAM_EXPIRED\"}`", false),
            ("api error: `status=404 Not Found, body=`", false),
            ("api error: `status=502 Bad Gateway, body=`", true),
            ("http error: `error trying to connect: tcp connect error: refused`", false),
            ("http error: `connection closed before message completed`", true),
            ("json error: `EOF while parsing`", true),
            ("unexpected response: `x`", true),
            (
                "stream error: `Error { message: \"disk I/O error\", code: \"SQLITE_IOERR_WRITE\" }`",
                true,
            ),
            (
                "stream error: `Error { message: \"no such table: x\", code: \"SQLITE_ERROR\" }`",
                false,
            ),
            (
                "stream error: `Error { message: \"database is locked\", code: \"SQLITE_BUSY\" }`",
                false,
            ),
        ];
        for (text, doubt) in table {
            assert_eq!(hrana(text).leaves_doubt(), doubt, "{text}");
        }
    }

    #[test]
    fn nothing_of_an_answer_is_repeated_that_is_no_error_of_sqlite() {
        for text in [
            "api error: `status=500 x, body=hush`",
            "json error: `invalid type: string \"hush\"`",
            "unexpected response: `hush`",
            "stream closed: `hush`",
        ] {
            let error = hrana(text);
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
    }
}
