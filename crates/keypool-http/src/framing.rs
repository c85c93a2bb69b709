//! Where a request's head ends and how long its body is, read from the bytes as they came.
//!
//! hyper takes more than RFC 9112 allows and hides what it took: a length given twice, a length beside a transfer coding,
//! lines that end in a bare LF. A proxy before us may read such a head otherwise, and what the one takes for a body is the
//! other's next request. So here a head has one meaning, or it is refused.

use memchr::memchr;

use crate::problem::{Code, Problem};

/// The longest request target, in bytes (RFC 9110 section 4.1 asks for 8,000 at least).
pub(crate) const MOST_TARGET: usize = 8 * 1024;

/// The most header lines; hyper's own limit is the same.
pub(crate) const MOST_HEADERS: usize = 100;

/// More than a request line has around its target: a method, two spaces, a version.
const AROUND_TARGET: usize = 64;

/// What is known of a head so far. The same bytes are looked at once, however they arrive.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Where the line under way begins.
    line: usize,
    /// Up to where there is no line end that was not seen.
    searched: usize,
    stage: Stage,
    version: Version,
    headers: usize,
    length: Option<u64>,
    is_chunked: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Before the request line; one empty line is passed over (RFC 9112 section 2.2).
    #[default]
    Start,
    /// The empty line was there.
    RequestLine,
    Headers,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Version {
    #[default]
    Http11,
    Http10,
}

/// A head that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its length in bytes, with the empty line at its end.
    pub(crate) length: usize,
    /// The body that follows it.
    pub(crate) body: BodyLength,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// So many bytes; 0 where there is none.
    Known(u64),
    /// It is sent in chunks.
    Chunked,
}

impl Scan {
    /// The head at the start of `bytes`, once it is whole; `bytes` are those of the last call and what came since.
    ///
    /// # Errors
    ///
    /// The head is longer than `most` bytes, has more than one meaning, or is not HTTP/1.
    pub(crate) fn advance(&mut self, bytes: &[u8], most: usize) -> Result<Option<Head>, Problem> {
        while let Some(found) = memchr(b'\n', bytes.get(self.searched..).unwrap_or_default()) {
            let end = self.searched + found;
            let line = bytes.get(self.line..end).unwrap_or_default();
            self.searched = end + 1;
            self.line = end + 1;
            if self.line > most {
                return Err(self.too_large(most));
            }
            let line = line.strip_suffix(b"\r").ok_or_else(bare_lf)?;
            match (self.stage, line.is_empty()) {
                (Stage::Start, true) => self.stage = Stage::RequestLine,
                (Stage::Start | Stage::RequestLine, _) => self.request_line(line)?,
                (Stage::Headers, false) => self.header(line)?,
                (Stage::Headers, true) => {
                    return self.body().map(|body| Some(Head { length: self.line, body }));
                }
            }
        }
        self.searched = bytes.len();
        let is_long = self.stage != Stage::Headers && bytes.len() > MOST_TARGET + AROUND_TARGET;
        if bytes.len() >= most || is_long { Err(self.too_large(most)) } else { Ok(None) }
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Problem> {
        self.stage = Stage::Headers;
        let (method_and_target, version) = split_last_space(line).ok_or_else(not_http)?;
        self.version = match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                return Err(Problem::new(
                    Code::VersionNotSupported,
                    "HTTP/1.1 and HTTP/1.0 are spoken here, and no other version",
                ));
            }
            _ => return Err(not_http()),
        };
        let method_length = memchr(b' ', method_and_target).ok_or_else(not_http)?;
        let target = method_and_target.get(method_length + 1..).unwrap_or_default();
        if target.len() > MOST_TARGET {
            return Err(uri_too_long());
        }
        // hyper would drop a fragment without a word.
        if memchr(b'#', target).is_some() {
            return Err(Problem::malformed("a request's target has no fragment"));
        }
        Ok(())
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Problem> {
        self.headers += 1;
        if self.headers > MOST_HEADERS {
            return Err(Problem::new(
                Code::HeadersTooLarge,
                format!("a request has at most {MOST_HEADERS} header lines here"),
            ));
        }
        match line.first() {
            Some(b'c' | b'C' | b't' | b'T') => {}
            Some(b' ' | b'\t') => {
                return Err(Problem::malformed("a header is folded over several lines (obs-fold)"));
            }
            _ => return Ok(()),
        }
        // What is no header at all is left to hyper's parser, which refuses it.
        let Some(name_length) = memchr(b':', line) else { return Ok(()) };
        let (name, value) = line.split_at_checked(name_length).unwrap_or_default();
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            if self.length.is_some() {
                return Err(Problem::malformed("there are two Content-Length headers"));
            }
            self.length = Some(content_length(value)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.is_chunked {
                return Err(Problem::malformed("there are two Transfer-Encoding headers"));
            }
            transfer_encoding(value)?;
            self.is_chunked = true;
        }
        Ok(())
    }

    /// RFC 9112 sections 6.1 and 6.3, without what they let pass.
    fn body(&self) -> Result<BodyLength, Problem> {
        match (self.is_chunked, self.length, self.version) {
            (false, length, _) => Ok(BodyLength::Known(length.unwrap_or(0))),
            (true, Some(_), _) => Err(Problem::malformed(
                "there are both a Content-Length and a Transfer-Encoding header",
            )),
            (true, None, Version::Http10) => {
                Err(Problem::malformed("HTTP/1.0 has no Transfer-Encoding header"))
            }
            (true, None, Version::Http11) => Ok(BodyLength::Chunked),
        }
    }

    fn too_large(&self, most: usize) -> Problem {
        if self.stage == Stage::Headers {
            let detail = format!("the request's head is larger than {most} bytes");
            Problem::new(Code::HeadersTooLarge, detail)
        } else {
            uri_too_long()
        }
    }
}

fn split_last_space(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().rposition(|byte| *byte == b' ')?;
    let (before, after) = line.split_at_checked(at)?;
    Some((before, after.get(1..)?))
}

/// Digits alone: no sign, no list (RFC 9110 section 8.6 lets a list of equal numbers be refused).
fn content_length(value: &[u8]) -> Result<u64, Problem> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Problem::malformed("the Content-Length header is not a number"));
    }
    let number = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| Problem::new(Code::BodyTooLarge, "no body of this length is taken"))
}

/// `chunked`, and nothing before or after it. Other codings before it: 501; it is not the last: 400.
fn transfer_encoding(value: &[u8]) -> Result<(), Problem> {
    let is_chunked = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    let mut codings = value.rsplit(|byte| *byte == b',');
    let ends_chunked = codings.next().is_some_and(is_chunked);
    let before = codings.collect::<Vec<_>>();
    if !ends_chunked || before.iter().any(|coding| is_chunked(coding)) {
        return Err(Problem::malformed(
            "the Transfer-Encoding header does not end in one `chunked`",
        ));
    }
    if !before.is_empty() {
        return Err(Problem::new(
            Code::NotImplemented,
            "no transfer coding but `chunked` is understood",
        ));
    }
    Ok(())
}

fn bare_lf() -> Problem {
    Problem::malformed("a line of the head ends in a bare LF")
}

fn not_http() -> Problem {
    Problem::malformed("the request line is not `METHOD target HTTP/1.1`")
}

fn uri_too_long() -> Problem {
    Problem::new(Code::UriTooLong, format!("the request's URI is longer than {MOST_TARGET} bytes"))
}

#[cfg(test)]
mod tests;
