//! The body of a request: taken in within limits of size and time, or read and thrown away.

use std::pin::Pin;
use std::time::Duration;

use bytes::Buf;
use http::HeaderMap;
use http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};

use crate::problem::{Code, Problem};
use crate::secret_buffer::SecretBuffer;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What an endpoint does with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// It is thrown away.
    Nothing,
    /// It is one JSON object.
    Object,
    /// It is one JSON object, or an array of many, which may be larger.
    ObjectOrArray,
}

/// Of a body that nobody asked for, this much is read so that the connection can go on.
const THROWN_AWAY: usize = 64 * KIB;

/// Of a refused body, this much is read so that a caller who writes before it reads comes to see why.
const REFUSED: usize = 40 * MIB;

/// A body that is thrown away is waited for no longer than this, whatever the read timeout.
const PATIENCE: Duration = Duration::from_secs(1);

/// A body on its way in.
#[derive(Debug)]
pub(crate) struct Arriving<'b, B> {
    body: Pin<&'b mut B>,
    /// The caller holds it back until it is asked for (RFC 9110 section 10.1.1).
    is_held_back: bool,
    read_timeout: Option<Duration>,
    /// Whether a part of it stays unread, so that the connection has to end.
    is_cut: bool,
}

impl Takes {
    /// The largest body that it can mean.
    const fn most(self) -> usize {
        match self {
            Self::Nothing | Self::Object => 2 * MIB,
            Self::ObjectOrArray => 32 * MIB,
        }
    }

    /// The largest body that starts like this one.
    fn most_of(self, start: &[u8]) -> usize {
        match start.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => self.most(),
            _ => self.most().min(2 * MIB),
        }
    }
}

impl<'b, B: Body> Arriving<'b, B> {
    /// A body of which nothing was read yet.
    pub(crate) fn new(
        headers: &HeaderMap,
        body: Pin<&'b mut B>,
        read_timeout: Option<Duration>,
    ) -> Self {
        Self { body, is_held_back: headers.contains_key(EXPECT), read_timeout, is_cut: false }
    }

    /// Whether a part of it stays unread.
    pub(crate) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What an endpoint that takes this is given.
    ///
    /// # Errors
    ///
    /// 413 if it is too large, 408 if it takes too long, 400 if it breaks off.
    pub(crate) async fn receive(&mut self, takes: Takes) -> Result<SecretBuffer, Problem> {
        if takes == Takes::Nothing {
            self.throw_away(THROWN_AWAY).await;
            return Ok(SecretBuffer::default());
        }
        match within(self.read_timeout, self.collect(takes)).await {
            Some(Ok(collected)) => Ok(collected),
            Some(Err(problem)) => {
                self.refuse().await;
                Err(problem)
            }
            None => {
                self.is_cut = true;
                Err(Problem::new(Code::BodyTimeout, "the body took too long to arrive"))
            }
        }
    }

    /// Throws away what was sent with a request that is refused.
    pub(crate) async fn refuse(&mut self) {
        self.throw_away(REFUSED).await;
    }

    async fn collect(&mut self, takes: Takes) -> Result<SecretBuffer, Problem> {
        let declared = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        if declared > takes.most() {
            return Err(too_large(takes.most()));
        }
        self.is_held_back = false;
        let mut collected = SecretBuffer::with_capacity(declared.min(THROWN_AWAY));
        while let Some(frame) = self.body.frame().await {
            let Some(mut data) = frame.ok().map(data) else {
                self.is_cut = true;
                return Err(Problem::malformed("the body broke off before its end"));
            };
            while let Some(data) = data.as_mut().filter(|data| data.has_remaining()) {
                let length = data.chunk().len();
                collected.extend(data.chunk());
                data.advance(length);
                let most = takes.most_of(collected.as_slice());
                if collected.as_slice().len() > most {
                    return Err(too_large(most));
                }
            }
        }
        Ok(collected)
    }

    /// Reads at most this much, waits for it no longer than [`PATIENCE`], and keeps none of it.
    async fn throw_away(&mut self, most: usize) {
        if self.is_cut || self.body.is_end_stream() {
            return;
        }
        let declared = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        if self.is_held_back || declared > most {
            self.is_cut = true;
            return;
        }
        let body = &mut self.body;
        let reading = async {
            let mut read: usize = 0;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                read = read.saturating_add(data(frame).map_or(0, |data| data.remaining()));
                if read > most {
                    return false;
                }
            }
            true
        };
        let limit = self.read_timeout.map_or(PATIENCE, |limit| limit.min(PATIENCE));
        let is_whole = tokio::time::timeout(limit, reading).await.unwrap_or(false);
        self.is_cut = !is_whole;
    }
}

/// A frame's data; trailers hold none.
fn data<D: Buf>(frame: Frame<D>) -> Option<D> {
    frame.into_data().ok()
}

fn too_large(most: usize) -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!("the body is larger than {} MiB, the most this path takes of its kind", most / MIB),
    )
}

/// What the future comes to; `None` if it takes longer than the limit.
async fn within<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}
