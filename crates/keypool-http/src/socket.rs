//! A connection with a gate and deadlines: hyper has one deadline for the head of a request, which is also that for an
//! idle connection, and none for writing. Here the three are apart.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::connection::Connection;
use crate::gate::Gate;
use crate::own_answer;
use crate::problem::{Code, Problem};
use crate::progress::{Progress, Step};
use crate::request_id::fresh;
use crate::request_log;
use crate::settings::HttpSettings;
use crate::source::Source;

/// What hyper is given in place of a request that is refused: it is none, so that hyper answers 400 and ends.
const NO_REQUEST: &[u8] = b"\0";

/// A peer that may still be sending is listened to for so long after our last word: were the socket closed at once, what
/// it sends would come back as a reset and could take that word with it.
const LINGER: Duration = Duration::from_secs(1);

/// So much of what it sends is taken in meanwhile, and thrown away.
const LINGER_BYTES: usize = 40 * 1024 * 1024;

/// A byte stream of whole requests, whose reads and writes end in time.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    stream: S,
    settings: Arc<HttpSettings>,
    peer: Source,
    progress: Progress,
    /// What `progress` was when the socket last looked.
    seen: Step,
    /// Whether something of the next request has arrived. A new connection counts as one whose request is under way.
    has_heard: bool,
    /// Whether `progress` was told that the socket waits for a request of which nothing has arrived.
    is_waiting: bool,
    gate: Gate,
    /// Why no further request is read.
    refusal: Option<Problem>,
    reading: Deadline,
    writing: Deadline,
    /// What is written in place of an answer of hyper's own.
    instead: Vec<u8>,
    /// What was thrown away after our last word, once it is said.
    lingered: Option<usize>,
}

/// A moment that may come while a stream keeps one waiting.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    since: Option<Instant>,
}

impl Deadline {
    /// An error once the stream has kept one waiting for `limit` since the first call after `clear`.
    pub(crate) fn poll(
        &mut self,
        limit: Option<Duration>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Error> {
        let is_new = self.since.is_none();
        let since = *self.since.get_or_insert_with(Instant::now);
        let Some(limit) = limit else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if is_new {
            sleep.as_mut().reset(since.checked_add(limit).unwrap_or(since));
        }
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Since when the stream has kept one waiting.
    fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Begins anew with the next call of `poll`.
    pub(crate) fn clear(&mut self) {
        self.since = None;
    }
}

impl<S> Socket<S> {
    /// Watches over a new connection.
    pub(crate) fn new(stream: S, settings: Arc<HttpSettings>, connection: &Connection) -> Self {
        Self {
            stream,
            peer: connection.peer,
            progress: connection.progress.clone(),
            seen: Step::default(),
            has_heard: true,
            is_waiting: false,
            gate: Gate::new(settings.max_header_bytes),
            refusal: None,
            reading: Deadline::default(),
            writing: Deadline::default(),
            instead: Vec::new(),
            lingered: None,
            settings,
        }
    }

    /// Looks whether another request is under way, or none any more.
    fn look(&mut self) {
        let step = self.progress.step();
        if step != self.seen {
            self.seen = step;
            self.has_heard = self.gate.is_holding();
            self.reading.clear();
        }
    }

    /// How long the stream may be silent now.
    fn read_limit(&self) -> Option<Duration> {
        match (self.seen.is_answering(), self.has_heard) {
            (true, _) => None,
            (false, true) => self.settings.header_timeout,
            (false, false) => self.settings.idle_timeout,
        }
    }

    /// Something came, be it the end.
    ///
    /// # Errors
    ///
    /// The connection has given way to another meanwhile.
    fn hear(&mut self) -> io::Result<()> {
        if self.is_waiting {
            self.is_waiting = false;
            if !self.progress.go_on() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        if !self.has_heard {
            self.has_heard = true;
            self.reading.clear();
        }
        Ok(())
    }

    /// Whether hyper is to see the end of what the peer sends, whatever it sends.
    fn is_over(&self) -> bool {
        let is_between = !self.progress.step().is_answering();
        self.refusal.is_some() || (self.gate.is_last() && is_between)
    }

    /// Reads no further request, and has hyper answer.
    fn refuse(&mut self, problem: Problem, buf: &mut ReadBuf<'_>) {
        self.refusal = Some(problem);
        self.progress.end_early();
        buf.put_slice(NO_REQUEST);
    }
}

impl<S: AsyncRead + Unpin> Socket<S> {
    /// Reads until something may pass the gate, or the stream ends.
    fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Result<(), Problem>>> {
        let start = buf.filled().len();
        self.look();
        match self.gate.pour(buf) {
            Ok(false) => {}
            poured => return Poll::Ready(Ok(poured.map(drop))),
        }
        while let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            self.hear()?;
            read?;
            if buf.filled().len() == start {
                return Poll::Ready(Ok(Ok(())));
            }
            let sifted = self.gate.sift(buf, start);
            if sifted.is_err() || buf.filled().len() > start {
                return Poll::Ready(Ok(sifted));
            }
        }
        let waited = self.reading.poll(self.read_limit(), cx);
        let is_between = !self.seen.is_answering();
        if is_between && !self.gate.is_holding() && !self.is_waiting {
            self.is_waiting = true;
            self.reading.since().into_iter().for_each(|since| self.progress.wait(since));
        }
        let error = ready!(waited);
        if is_between && self.gate.is_holding() {
            let problem = Problem::new(Code::HeadTimeout, "the head took too long to arrive");
            return Poll::Ready(Ok(Err(problem)));
        }
        Poll::Ready(Err(error))
    }

    /// Listens for a while to a peer that was told that nothing more is heard.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut memory = [0; 16 * 1024];
        let thrown_away = self.lingered.get_or_insert_default();
        while *thrown_away < LINGER_BYTES {
            let mut buf = ReadBuf::new(&mut memory);
            let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut buf) else {
                return self.reading.poll(Some(LINGER), cx).map(drop);
            };
            if read.is_err() || buf.filled().is_empty() {
                break;
            }
            *thrown_away = thrown_away.saturating_add(buf.filled().len());
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.is_over() {
            return Poll::Ready(Ok(()));
        }
        let start = buf.filled().len();
        if let Err(problem) = ready!(this.poll_request(cx, buf))? {
            buf.set_filled(start);
            this.refuse(problem, buf);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Socket<S> {
    /// Writes what stands in place of an answer of hyper's own.
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, &self.instead)
            else {
                return self.writing.poll(self.settings.write_timeout, cx).map(Err);
            };
            let written = written?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.instead.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_instead(cx))?;
        if let [only] = bufs
            && let Some(problem) = own_answer::meant_by(only, this.refusal.as_ref())
        {
            let id = fresh();
            if this.settings.log_requests {
                request_log::write_unreadable(problem.code, &id, this.peer);
            }
            this.progress.end_early();
            this.instead = own_answer::head_and_body(&problem, &id);
            return Poll::Ready(Ok(only.len()));
        }
        match Pin::new(&mut this.stream).poll_write_vectored(cx, bufs) {
            Poll::Ready(written) => Poll::Ready(written),
            Poll::Pending => this.writing.poll(this.settings.write_timeout, cx).map(Err),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called once everything is written, so this is where the deadline ends.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => {
                self.writing.clear();
                Poll::Ready(flushed)
            }
            Poll::Pending => {
                let limit = self.settings.write_timeout;
                self.writing.poll(limit, cx).map(Err)
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingered.is_none() {
            ready!(this.poll_instead(cx))?;
            // Over TLS there is something to be written still.
            match Pin::new(&mut this.stream).poll_shutdown(cx) {
                Poll::Ready(ended) => ended?,
                Poll::Pending => {
                    let limit = this.settings.write_timeout;
                    return this.writing.poll(limit, cx).map(Err);
                }
            }
            this.writing.clear();
            this.reading.clear();
        }
        if this.progress.ends_early() {
            ready!(this.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
