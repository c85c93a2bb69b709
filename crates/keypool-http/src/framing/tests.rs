use proptest::prelude::*;

use super::*;

const MOST: usize = 16 * 1024;

fn scanned(head: &str) -> Result<Option<Head>, Problem> {
    Scan::default().advance(head.as_bytes(), MOST)
}

fn refused(head: &str) -> (Code, String) {
    let problem = scanned(head).expect_err(head);
    (problem.code, problem.detail.into_owned())
}

fn with(headers: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
}

#[test]
fn a_head_ends_at_its_empty_line_and_tells_its_body() {
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", BodyLength::Known(0)),
        ("\r\nGET / HTTP/1.0\r\nA: b\r\n\r\n", BodyLength::Known(0)),
        (&with("Content-Length: 17\r\n"), BodyLength::Known(17)),
        (&with("cONTENT-lENGTH:\t017 \r\n"), BodyLength::Known(17)),
        (&with("Transfer-Encoding: Chunked\r\n"), BodyLength::Chunked),
        (&with("Cookie: Content-Length: 5\r\nTE: trailers\r\n"), BodyLength::Known(0)),
    ];
    for (head, body) in cases {
        let whole = format!("{head}and more\n\n");
        assert_eq!(scanned(&whole), Ok(Some(Head { length: head.len(), body })), "{head:?}");
    }
}

#[test]
fn a_head_of_two_meanings_is_malformed() {
    let cases = [
        ("GET / HTTP/1.1\nHost: x\n\n".to_owned(), "bare LF"),
        ("GET / HTTP/1.1\r\nHost: x\n\r\n".to_owned(), "bare LF"),
        (with("A: b\n"), "bare LF"),
        (with("A: b\r\n continued\r\n"), "obs-fold"),
        (with("\tA: b\r\n"), "obs-fold"),
        (with("Content-Length: 1\r\nContent-Length: 1\r\n"), "two Content-Length"),
        (with("Content-Length: 1\r\ncontent-length: 2\r\n"), "two Content-Length"),
        (with("Content-Length: 1, 1\r\n"), "not a number"),
        (with("Content-Length: +1\r\n"), "not a number"),
        (with("Content-Length: -1\r\n"), "not a number"),
        (with("Content-Length: 0x1\r\n"), "not a number"),
        (with("Content-Length: 1 1\r\n"), "not a number"),
        (with("Content-Length:\r\n"), "not a number"),
        (with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), "both"),
        (with("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), "both"),
        (with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "two Transfer"),
        (with("Transfer-Encoding: chunked, chunked\r\n"), "does not end in one"),
        (with("Transfer-Encoding: chunked, identity\r\n"), "does not end in one"),
        (with("Transfer-Encoding: identity\r\n"), "does not end in one"),
        (with("Transfer-Encoding: xchunked\r\n"), "does not end in one"),
        (with("Transfer-Encoding: \u{b}chunked\r\n"), "does not end in one"),
        (with("Transfer-Encoding:\r\n"), "does not end in one"),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), "HTTP/1.0"),
        ("GET /#a HTTP/1.1\r\n\r\n".to_owned(), "fragment"),
        ("GET /\r\n\r\n".to_owned(), "request line"),
        ("GET\r\n\r\n".to_owned(), "request line"),
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_owned(), "request line"),
        ("GET / http/1.1\r\n\r\n".to_owned(), "request line"),
        ("GET / HTTP/1.1 \r\n\r\n".to_owned(), "request line"),
        ("GET HTTP/1.1\r\n\r\n".to_owned(), "request line"),
    ];
    for (head, sentence) in cases {
        let (code, detail) = refused(&head);
        assert_eq!(code, Code::MalformedRequest, "{head:?}");
        assert!(detail.contains(sentence), "{head:?}: {detail}");
    }
}

#[test]
fn what_is_not_done_here_is_said_so() {
    let cases = [
        ("GET / HTTP/2.0\r\n", Code::VersionNotSupported),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Code::VersionNotSupported),
        ("GET / HTTP/1.2\r\n", Code::VersionNotSupported),
        ("GET / HTTP/0.9\r\n", Code::VersionNotSupported),
        (&with("Transfer-Encoding: gzip, chunked\r\n"), Code::NotImplemented),
        (&with("Content-Length: 99999999999999999999\r\n"), Code::BodyTooLarge),
    ];
    for (head, code) in cases {
        assert_eq!(refused(head).0, code, "{head:?}");
    }
}

#[test]
fn heads_have_bounds() {
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\n", "x".repeat(length - 1));
    assert_eq!(scanned(&line(MOST_TARGET)), Ok(None));
    assert_eq!(refused(&line(MOST_TARGET + 1)).0, Code::UriTooLong);
    assert_eq!(refused(&"x".repeat(MOST_TARGET + AROUND_TARGET + 1)).0, Code::UriTooLong);

    let lines = |count: usize| with(&"A: b\r\n".repeat(count - 1));
    assert!(scanned(&lines(MOST_HEADERS)).unwrap().is_some());
    assert_eq!(refused(&lines(MOST_HEADERS + 1)).0, Code::HeadersTooLarge);

    let long =
        |length: usize| with(&format!("A: {}\r\n", "x".repeat(length - with("A: \r\n").len())));
    assert!(scanned(&long(MOST)).unwrap().is_some());
    assert_eq!(refused(&long(MOST + 1)).0, Code::HeadersTooLarge);
    let unfinished = with("A: ") + &"x".repeat(MOST);
    assert_eq!(refused(&unfinished).0, Code::HeadersTooLarge, "it need not end to be too large");
}

proptest! {
    /// However a head is cut into pieces, it means the same.
    #[test]
    fn pieces_mean_what_the_whole_means(
        head in "(\r\n)?(GET|POST) /[a#]{0,3} HTTP/1.[01](\r\n|\n)((Content-Length: [0-9]{1,2}|Transfer-Encoding: chunked|A: b| c)(\r\n|\r|\n)){0,3}(\r\n)?(\r\n)?x?",
        cuts in proptest::collection::vec(0_usize..100, 0..5),
    ) {
        let bytes = head.as_bytes();
        let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut scan = Scan::default();
        let mut outcome = Ok(None);
        for end in ends {
            outcome = scan.advance(&bytes[..end], MOST);
            if outcome != Ok(None) {
                break;
            }
        }
        prop_assert_eq!(outcome, scanned(&head));
    }
}
