//! A connection with deadlines: hyper has one for the head of a request, which is also that for an idle connection, and
//! none for writing. Here the three are apart.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::own_answer;
use crate::settings::HttpSettings;

/// Tells a connection which request it is at: odd while one is being answered, even in between.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(crate) struct Answering(Progress);

/// A byte stream whose reads and writes end in time.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    stream: S,
    settings: HttpSettings,
    progress: Progress,
    /// What `progress` was when the socket last looked.
    seen: u64,
    /// Whether something of the next request has arrived. A new connection counts as one whose request is under way.
    has_heard: bool,
    reading: Deadline,
    writing: Deadline,
    /// What is written in place of an answer of hyper's own.
    instead: Vec<u8>,
}

/// A moment that may come while a stream keeps one waiting.
#[derive(Debug, Default)]
struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    is_set: bool,
}

impl Progress {
    /// A request's head is read, and its answer begins.
    pub(crate) fn begin(&self) -> Answering {
        self.0.fetch_add(1, Ordering::Relaxed);
        Answering(self.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Deadline {
    /// An error once the stream has kept one waiting for `limit` since the first call after `clear`.
    fn poll(&mut self, limit: Option<Duration>, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(limit) = limit else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.is_set {
            let moment = Instant::now();
            sleep.as_mut().reset(moment.checked_add(limit).unwrap_or(moment));
            self.is_set = true;
        }
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    fn clear(&mut self) {
        self.is_set = false;
    }
}

impl<S> Socket<S> {
    /// Watches over a new connection.
    pub(crate) fn new(stream: S, settings: HttpSettings, progress: Progress) -> Self {
        Self {
            stream,
            settings,
            progress,
            seen: 0,
            has_heard: true,
            reading: Deadline::default(),
            writing: Deadline::default(),
            instead: Vec::new(),
        }
    }

    /// How long the stream may be silent now.
    fn read_limit(&mut self) -> Option<Duration> {
        let now = self.progress.0.load(Ordering::Relaxed);
        if now != self.seen {
            self.seen = now;
            self.has_heard = false;
            self.reading.clear();
        }
        match (now % 2, self.has_heard) {
            (1, _) => None,
            (_, true) => self.settings.read_timeout,
            (_, false) => self.settings.idle_timeout,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let limit = this.read_limit();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buf) {
            if !this.has_heard {
                this.has_heard = true;
                this.reading.clear();
            }
            return Poll::Ready(read);
        }
        this.reading.poll(limit, cx).map(Err)
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
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
            && let Some(instead) = own_answer::instead_of(only, this.settings.log_requests)
        {
            this.instead = instead;
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
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
