//! `keypooler health`: asks the server on this machine how it is. Where there is nothing else to ask with, as in a
//! container that holds the binary alone.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use keypool_http::{Question, probe, tls_to_myself};
use serde::Serialize;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::config::Reached;
use crate::exit::Outcome;
use crate::report::{self, Form};

/// Longer than a server takes that is well.
const PATIENCE: Duration = Duration::from_secs(4);

/// What came of the question.
#[derive(Debug, Serialize)]
struct Report {
    /// Who was asked, and what.
    url: String,
    /// The status of the answer, if there was one.
    status: Option<u16>,
    /// Why there was none.
    error: Option<String>,
}

/// Asks, and tells what came of it.
pub(crate) async fn health(
    server: Reached,
    question: Question,
    form: Form,
) -> anyhow::Result<Outcome> {
    let url = url(&server, question);
    let report = match timeout(PATIENCE, ask(server, question)).await {
        Ok(Ok(status)) => Report { url, status: Some(status), error: None },
        Ok(Err(error)) => Report { url, status: None, error: Some(error.to_string()) },
        Err(_) => {
            let error = format!("nothing within {} seconds", PATIENCE.as_secs());
            Report { url, status: None, error: Some(error) }
        }
    };
    report::print(&report, form)?;
    Ok(if report.status == Some(200) { Outcome::Done } else { Outcome::Amiss })
}

async fn ask(server: Reached, question: Question) -> io::Result<u16> {
    let status = match server {
        Reached::Socket(path) => probe(UnixStream::connect(path).await?, question).await?,
        Reached::Address { host, port, is_tls } => {
            let connection = TcpStream::connect((seen_from_here(host), port)).await?;
            if is_tls {
                probe(tls_to_myself(connection).await?, question).await?
            } else {
                probe(connection, question).await?
            }
        }
    };
    Ok(status.as_u16())
}

fn url(server: &Reached, question: Question) -> String {
    let path = question.path();
    match server {
        Reached::Socket(socket) => format!("http://unix:{}:{path}", socket.display()),
        Reached::Address { host, port, is_tls } => {
            let address = SocketAddr::new(seen_from_here(*host), *port);
            let scheme = if *is_tls { "https" } else { "http" };
            format!("{scheme}://{address}{path}")
        }
    }
}

/// Where a server is reached from its own machine that listens on `host`.
fn seen_from_here(host: IpAddr) -> IpAddr {
    // A server on all addresses has those of version 4 in any case.
    if host.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { host }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, status, error } = self;
        match (status, error) {
            (Some(status), _) => writeln!(f, "{url}: {status}"),
            (None, error) => {
                writeln!(f, "{url}: no answer: {}", error.as_deref().unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_asked_on_the_loopback() {
        for (host, expected) in [("::", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "::1")] {
            let seen = seen_from_here(host.parse().unwrap());
            assert_eq!(seen.to_string(), expected);
        }
    }
}
