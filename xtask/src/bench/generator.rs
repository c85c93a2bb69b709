//! The load generator for where there is no wrk: one thread, plain sockets, a list of latencies.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::bench::load::{DRAW, Load, Outcome};

/// The longest wait for an answer once the load is over.
const GRACE: Duration = Duration::from_secs(20);

/// What connections counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) micros: Vec<u32>,
    /// How many answers had which status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Requests that were still not answered when all patience was over.
    pub(crate) unanswered: u64,
}

pub(crate) fn run(load: Load<'_>) -> anyhow::Result<Outcome> {
    let (tally, took) = count(load)?;
    outcome(tally, took)
}

/// Loads a server and counts what came back, in so long a time.
pub(crate) fn count(load: Load<'_>) -> anyhow::Result<(Tally, Duration)> {
    let request = format!(
        "GET {DRAW} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        load.address, load.token
    );
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let started = now();
        let end = started + Duration::from_secs(load.seconds);
        let mut connections = JoinSet::new();
        for _ in 0..load.connections {
            connections.spawn(converse(load.address, request.clone(), end));
        }
        let mut all = Tally::default();
        while let Some(tally) = connections.join_next().await {
            let tally = tally??;
            all.micros.extend(tally.micros);
            for (status, count) in tally.statuses {
                *all.statuses.entry(status).or_default() += count;
            }
            all.unanswered += tally.unanswered;
        }
        Ok((all, now() - started))
    })
}

/// Sends and waits, again and again, until the time is over.
async fn converse(
    address: std::net::SocketAddr,
    request: String,
    end: Instant,
) -> anyhow::Result<Tally> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut tally, mut buffer) = (Tally::default(), Vec::with_capacity(4096));
    loop {
        let sent = now();
        if sent >= end {
            return Ok(tally);
        }
        stream.write_all(request.as_bytes()).await?;
        buffer.clear();
        while !is_whole(&buffer)? {
            match timeout_at((end + GRACE).into(), stream.read_buf(&mut buffer)).await {
                Ok(Ok(0)) => bail!("a connection was closed in the midst of an answer"),
                Ok(read) => read?,
                Err(_) => {
                    tally.unanswered += 1;
                    return Ok(tally);
                }
            };
        }
        *tally.statuses.entry(status(&buffer)?).or_default() += 1;
        let micros = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
        tally.micros.push(micros);
    }
}

/// The status of an answer that is whole.
fn status(answer: &[u8]) -> anyhow::Result<u16> {
    let digits = answer.get(9..12).context("an answer has a status")?;
    std::str::from_utf8(digits)?.parse().context("a status is a number")
}

/// Whether the head and as many bytes as it announces are there.
fn is_whole(answer: &[u8]) -> anyhow::Result<bool> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = std::str::from_utf8(&answer[..end]).context("a head is ASCII")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(answer.len() >= end + 4 + length.context("an answer tells its length")?)
}

fn outcome(mut all: Tally, took: Duration) -> anyhow::Result<Outcome> {
    if all.unanswered > 0 {
        bail!("{} requests were not answered", all.unanswered);
    }
    let is_success = |status: &u16| (200..300).contains(status);
    let refused = all.statuses.iter().filter(|(status, _)| !is_success(status));
    let refused = refused.map(|(_, count)| count).sum();
    all.micros.sort_unstable();
    let count = all.micros.len();
    let at = |permille: usize| all.micros.get(count.saturating_sub(1) * permille / 1000).copied();
    let percentiles = [500, 990, 999].map(at).map(|micros| micros.map(f64::from));
    let [Some(p50), Some(p99), Some(p999)] = percentiles else { bail!("nothing was answered") };
    Ok(Outcome {
        rate: count as f64 / took.as_secs_f64(),
        percentiles: [p50, p99, p999],
        answers: count as u64,
        refused,
    })
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert!(is_whole(answer).unwrap());
        assert!(!is_whole(&answer[..answer.len() - 1]).unwrap());
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\n").unwrap());
        assert!(is_whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_status_is_the_second_word() {
        assert_eq!(status(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap(), 503);
        assert!(status(b"HTTP/1.1").is_err());
    }

    #[test]
    fn percentiles_are_of_the_sorted_latencies() {
        let statuses = BTreeMap::from([(200, 994), (429, 3), (503, 4)]);
        let all = Tally { micros: (1..=1001).rev().collect(), statuses, unanswered: 0 };
        let counted = outcome(all, Duration::from_secs(2)).unwrap();
        assert_eq!(counted.percentiles, [501.0, 991.0, 1000.0]);
        assert_eq!((counted.rate, counted.refused), (500.5, 7));
    }
}
