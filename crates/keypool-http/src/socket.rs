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
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const SETTINGS: HttpSettings = HttpSettings {
        read_timeout: Some(Duration::from_secs(3)),
        write_timeout: Some(Duration::from_secs(5)),
        idle_timeout: Some(Duration::from_secs(7)),
        shutdown_timeout: None,
        log_requests: false,
    };

    fn socket(settings: HttpSettings) -> (Socket<DuplexStream>, DuplexStream, Progress) {
        let (near, far) = duplex(64);
        let progress = Progress::default();
        (Socket::new(near, settings, progress.clone()), far, progress)
    }

    /// Seconds until the socket gives up reading.
    async fn secs_to_give_up(socket: &mut Socket<DuplexStream>) -> u64 {
        let start = Instant::now();
        let error = socket.read_u8().await.expect_err("nothing comes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_request_has_the_time_of_a_head() {
        let (mut socket, _far, _progress) = socket(SETTINGS);
        assert_eq!(secs_to_give_up(&mut socket).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn dripping_bytes_do_not_prolong_a_head() {
        let (mut socket, mut far, _progress) = socket(SETTINGS);
        for _ in 0..2 {
            tokio::time::advance(Duration::from_secs(1)).await;
            far.write_u8(b'x').await.unwrap();
            socket.read_u8().await.unwrap();
            assert!(tokio::time::timeout(Duration::ZERO, socket.read_u8()).await.is_err());
        }
        assert_eq!(secs_to_give_up(&mut socket).await, 2, "since the first wait, a second in");
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_there_is_the_time_of_idleness() {
        let (mut socket, mut far, progress) = socket(SETTINGS);
        drop(progress.begin());
        assert_eq!(secs_to_give_up(&mut socket).await, 7);
        drop(progress.begin());
        far.write_u8(b'x').await.unwrap();
        socket.read_u8().await.unwrap();
        assert_eq!(secs_to_give_up(&mut socket).await, 3, "once the next has begun");
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_request_is_answered_there_is_no_limit() {
        let (mut socket, _far, progress) = socket(SETTINGS);
        let answering = progress.begin();
        let day = Duration::from_secs(86_400);
        assert!(tokio::time::timeout(day, socket.read_u8()).await.is_err());
        drop(answering);
        assert_eq!(secs_to_give_up(&mut socket).await, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_must_be_taken_whole_in_time() {
        let (mut socket, mut far, _progress) = socket(SETTINGS);
        let start = Instant::now();
        let read_slowly = async {
            let mut interval = tokio::time::interval(Duration::from_secs(1));
            loop {
                interval.tick().await;
                far.read_u8().await.unwrap();
            }
        };
        let written = tokio::select! {
            written = socket.write_all(&[0; 1000]) => written,
            () = read_slowly => unreachable!("it reads for ever"),
        };
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn each_answer_has_its_own_time() {
        let (mut socket, mut far, _progress) = socket(SETTINGS);
        let mut taken = [0; 100];
        for _ in 0..3 {
            let take = async {
                tokio::time::sleep(Duration::from_secs(4)).await;
                far.read_exact(&mut taken).await.unwrap();
            };
            let write = async {
                socket.write_all(&[0; 100]).await.unwrap();
                socket.flush().await.unwrap();
            };
            tokio::join!(write, take);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_it_waits_for_ever() {
        let limitless = HttpSettings {
            read_timeout: None,
            write_timeout: None,
            idle_timeout: None,
            ..SETTINGS
        };
        let (mut socket, _far, _progress) = socket(limitless);
        let day = Duration::from_secs(86_400);
        assert!(tokio::time::timeout(day, socket.read_u8()).await.is_err());
        assert!(tokio::time::timeout(day, socket.write_all(&[0; 1000])).await.is_err());
    }
}
