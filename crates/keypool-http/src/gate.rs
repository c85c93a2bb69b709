//! The gate before hyper: whole heads pass, one request at a time, and a head with two meanings never does.
//!
//! What comes after the request that is being answered is held back until hyper asks for more, so hyper and this page
//! agree on where each request ends. After a body in chunks nothing is taken for a request any more: the connection ends
//! with that answer, and how hyper reads chunks can't shift where the next request begins.

use tokio::io::ReadBuf;

use crate::framing::{BodyLength, Head, Scan};
use crate::problem::Problem;
use crate::secret_buffer::SecretBuffer;

/// What one connection sends, on its way to hyper.
#[derive(Debug)]
pub(crate) struct Gate {
    stage: Stage,
    /// What came in and has not passed: a head that is not whole, or what follows the request under way.
    held: SecretBuffer,
    /// So much of it has passed.
    passed: usize,
    /// The most bytes of a head.
    most: usize,
}

#[derive(Debug)]
enum Stage {
    /// A head is looked for.
    Head(Scan),
    /// So many bytes of a request are still to pass.
    Request(u64),
    /// A body in chunks: all passes, and nothing of it is a request.
    Chunks,
}

impl Gate {
    /// A gate that nothing came to yet.
    pub(crate) fn new(most: usize) -> Self {
        let stage = Stage::Head(Scan::default());
        Self { stage, held: SecretBuffer::default(), passed: 0, most }
    }

    /// Whether a part of a request is here that can't pass yet.
    pub(crate) fn is_holding(&self) -> bool {
        self.passed < self.held.as_slice().len()
    }

    /// Whether no further request can pass.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self.stage, Stage::Chunks)
    }

    /// Lets pass what was held back, as far as it may and there is room. Says whether anything did.
    ///
    /// # Errors
    ///
    /// What is held is the start of a request that is refused.
    pub(crate) fn pour(&mut self, into: &mut ReadBuf<'_>) -> Result<bool, Problem> {
        if !self.is_holding() {
            return Ok(false);
        }
        let held = self.held.as_slice().get(self.passed..).unwrap_or_default();
        let may_pass = self.stage.pass(held, into.remaining(), self.most)?;
        into.put_slice(held.get(..may_pass).unwrap_or_default());
        self.passed += may_pass;
        if !self.is_holding() {
            self.held = SecretBuffer::default();
            self.passed = 0;
        }
        Ok(may_pass > 0)
    }

    /// Takes in what was just read, which begins at `start` of `buffer`, and leaves there what passes.
    ///
    /// # Errors
    ///
    /// It is part of a request that is refused; nothing passes.
    pub(crate) fn sift(&mut self, buffer: &mut ReadBuf<'_>, start: usize) -> Result<(), Problem> {
        let came = buffer.filled().get(start..).unwrap_or_default();
        if self.is_holding() {
            self.held.discard(self.passed);
            self.passed = 0;
            self.held.extend(came);
            buffer.set_filled(start);
            return self.pour(buffer).map(drop);
        }
        let may_pass = self.stage.pass(came, came.len(), self.most)?;
        self.held.extend(came.get(may_pass..).unwrap_or_default());
        buffer.set_filled(start + may_pass);
        Ok(())
    }
}

impl Stage {
    /// How many of these bytes may pass, of which there is room for `room`.
    fn pass(&mut self, bytes: &[u8], room: usize, most: usize) -> Result<usize, Problem> {
        if let Self::Head(scan) = self {
            match scan.advance(bytes, most)? {
                None => return Ok(0),
                Some(Head { body: BodyLength::Chunked, .. }) => *self = Self::Chunks,
                Some(Head { length, body: BodyLength::Known(body) }) => {
                    let length = u64::try_from(length).unwrap_or(u64::MAX);
                    *self = Self::Request(length.saturating_add(body));
                }
            }
        }
        let there = bytes.len().min(room);
        let Self::Request(left) = self else { return Ok(there) };
        let may_pass = usize::try_from(*left).unwrap_or(usize::MAX).min(there);
        *left -= u64::try_from(may_pass).unwrap_or(u64::MAX).min(*left);
        if *left == 0 {
            *self = Self::Head(Scan::default());
        }
        Ok(may_pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    const CHUNKED: &str =
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

    /// What passes at each read of at most `room` bytes, the input arriving in `pieces`.
    fn passing(pieces: &[&str], room: usize) -> (Vec<String>, bool) {
        let mut gate = Gate::new(1024);
        let mut passed = Vec::new();
        let mut pieces = pieces.iter();
        loop {
            let mut memory = vec![0; room];
            let mut buffer = ReadBuf::new(&mut memory);
            match gate.pour(&mut buffer) {
                Ok(true) => {}
                Ok(false) => {
                    let Some(piece) = pieces.next() else { return (passed, true) };
                    buffer.put_slice(piece.as_bytes());
                    if gate.sift(&mut buffer, 0).is_err() {
                        return (passed, false);
                    }
                }
                Err(_) => return (passed, false),
            }
            if !buffer.filled().is_empty() {
                passed.push(String::from_utf8(buffer.filled().to_vec()).unwrap());
            }
        }
    }

    #[test]
    fn requests_pass_one_at_a_time() {
        let all = format!("{GET}{POST}{GET}");
        let one_by_one = vec![GET.to_owned(), POST.to_owned(), GET.to_owned()];
        assert_eq!(passing(&[&all], 1000), (one_by_one, true));
        for cut in 0..all.len() {
            let (first, second) = all.split_at(cut);
            let (passed, is_well) = passing(&[first, second], 1000);
            assert!(is_well);
            assert_eq!(passed.concat(), all, "{cut}");
            let of_two = passed.iter().any(|part| part.matches("HTTP/1.1").count() > 1);
            assert!(!of_two, "{cut}: {passed:?}");
        }
        let bytes: Vec<&str> = all.split_inclusive(|_: char| true).collect();
        assert_eq!(passing(&bytes, 1000).0.concat(), all);
        assert_eq!(passing(&bytes, 10).0.concat(), all, "there is room for 10 bytes at a time");
    }

    #[test]
    fn no_part_of_a_head_passes_before_its_end() {
        let (start, end) = GET.split_at(GET.len() - 1);
        assert_eq!(passing(&[start], 1000), (vec![], true));
        assert_eq!(passing(&[start, end], 1000), (vec![GET.to_owned()], true));
    }

    #[test]
    fn after_chunks_nothing_is_a_request() {
        let smuggled = format!("{CHUNKED}GET / HTTP/1.1\nHost: x\n\n");
        assert_eq!(passing(&[&smuggled], 1000), (vec![smuggled.clone()], true));
    }

    #[test]
    fn a_refused_head_does_not_pass_and_what_came_before_it_does() {
        let all = format!("{POST}GET / HTTP/1.1\nHost: x\r\n\r\n{GET}");
        assert_eq!(passing(&[&all], 1000), (vec![POST.to_owned()], false));
        let (first, second) = all.split_at(POST.len() + 4);
        assert_eq!(passing(&[first, second], 1000), (vec![POST.to_owned()], false));
    }
}
