//! The caller's side of the two public questions: asks a server how it is. For health checks where there is no other
//! program that could.

mod tls;

use std::future::pending;
use std::io;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::tls::tls_to_myself;

/// What can be asked without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether the server answers at all.
    Health,
    /// Whether it could record a draw.
    Ready,
}

impl Question {
    /// Where it is asked.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Health => "/health",
            Self::Ready => "/ready",
        }
    }
}

/// Asks over a connection to the server and gives the status of its answer; 200 is yes. Waits for as long as the server
/// takes.
///
/// # Errors
///
/// Fails where the connection ends without an answer that is HTTP.
pub async fn probe<C>(connection: C, question: Question) -> io::Result<StatusCode>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(connection)).await.map_err(io::Error::other)?;
    let request =
        Request::get(question.path()).header(HOST, "localhost").header(CONNECTION, "close");
    let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
    let served = async {
        // How it ended, the answer tells.
        let _ = connection.await;
        pending().await
    };
    let answer = tokio::select! {
        answer = sender.send_request(request) => answer,
        never = served => never,
    };
    Ok(answer.map_err(io::Error::other)?.status())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What is made of an answer, and what was asked.
    async fn asked(question: Question, answer: &[u8]) -> (io::Result<StatusCode>, String) {
        let (ours, mut theirs) = duplex(4096);
        let server = async {
            let mut request = vec![0; 4096];
            let length = theirs.read(&mut request).await.unwrap();
            theirs.write_all(answer).await.unwrap();
            drop(theirs);
            String::from_utf8(request[..length].to_vec()).unwrap()
        };
        tokio::join!(probe(ours, question), server)
    }

    #[tokio::test]
    async fn gives_the_status_of_the_answer() {
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        let (status, request) = asked(Question::Health, ok).await;
        assert_eq!(status.unwrap(), 200);
        assert!(request.starts_with("GET /health HTTP/1.1\r\n"), "{request}");
        assert_eq!(request.to_lowercase().matches("host: ").count(), 1, "{request}");

        let not = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        let (status, request) = asked(Question::Ready, not).await;
        assert_eq!(status.unwrap(), 503);
        assert!(request.starts_with("GET /ready HTTP/1.1\r\n"), "{request}");
    }

    #[tokio::test]
    async fn what_is_no_answer_is_a_failure() {
        for answer in [&b""[..], b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200"] {
            assert!(asked(Question::Health, answer).await.0.is_err());
        }
    }
}
