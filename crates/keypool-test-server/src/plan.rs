//! All that is to go wrong with one request, and how it is carried out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::time::sleep;

use crate::answer::Endpoint;
use crate::core::Core;
use crate::faults::Fault;
use crate::refusal::too_many_streams;
use crate::reply::Answer;

/// The body of the 502: bytes that never occur in UTF-8.
const NOT_UTF8: &[u8] = b"<html>bad gateway \xff\xfe\xc0</html>";

/// The faults that strike one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    faults: Vec<Fault>,
}

impl Plan {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Whether the request is served as usual.
    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Serves the request with all its faults. None: the connection is to be closed without an answer.
    pub(crate) async fn carry_out(
        self,
        core: Arc<Core>,
        endpoint: Endpoint,
        body: Bytes,
    ) -> Option<Answer> {
        if self.has(Fault::Refuse) {
            return None;
        }
        if self.has(Fault::Hang) {
            core.faults.cleared().await;
            return None;
        }
        if let Some(delay) = self.act_late() {
            let late = Arc::clone(&core);
            core.in_background(async move {
                sleep(delay).await;
                late.act(endpoint, body).await;
            });
            return None;
        }
        sleep(self.delay_before()).await;
        if self.has(Fault::ExpireStreams) {
            core.streams.expire_all();
        }
        if self.has(Fault::StealLocks) {
            core.streams.steal_all();
        }
        if self.has(Fault::TooManyRequests) {
            return Some(too_many_streams());
        }
        if self.has(Fault::BadGateway) {
            return Some(Answer::text(StatusCode::BAD_GATEWAY, NOT_UTF8));
        }
        let mut answer = core.act(endpoint, body.clone()).await?;
        if self.has(Fault::Repeat) {
            answer = core.act(endpoint, body).await?;
        }
        sleep(self.delay_after()).await;
        if self.has(Fault::DropAnswer) {
            return None;
        }
        if self.has(Fault::TruncatedJson) {
            answer.cut_json();
        }
        if self.has(Fault::TruncatedCursor) {
            answer.cut_lines();
        }
        Some(answer)
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    fn delay_before(&self) -> Duration {
        self.sum(|fault| if let Fault::DelayBefore(delay) = fault { Some(delay) } else { None })
    }

    fn delay_after(&self) -> Duration {
        self.sum(|fault| if let Fault::DelayAfter(delay) = fault { Some(delay) } else { None })
    }

    fn act_late(&self) -> Option<Duration> {
        let delay = |fault| if let Fault::ActLate(delay) = fault { Some(delay) } else { None };
        self.faults.iter().copied().find_map(delay)
    }

    fn sum(&self, delay: impl Fn(Fault) -> Option<Duration>) -> Duration {
        self.faults.iter().filter_map(|fault| delay(*fault)).sum()
    }
}
