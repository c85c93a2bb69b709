//! The load generator for where there is no wrk: one thread, plain sockets, a list of latencies.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::bench::load::{DRAW, Load, Outcome};

/// What one connection counted.
#[derive(Debug, Default)]
struct Tally {
    micros: Vec<u32>,
    refused: u64,
}

pub(crate) fn run(load: Load<'_>) -> anyhow::Result<Outcome> {
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
            all.refused += tally.refused;
        }
        outcome(all, now() - started)
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
            if stream.read_buf(&mut buffer).await? == 0 {
                bail!("a connection was closed in the midst of an answer");
            }
        }
        tally.refused += u64::from(!buffer.starts_with(b"HTTP/1.1 2"));
        let micros = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
        tally.micros.push(micros);
    }
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
    all.micros.sort_unstable();
    let count = all.micros.len();
    let at = |permille: usize| all.micros.get(count.saturating_sub(1) * permille / 1000).copied();
    let percentiles = [500, 990, 999].map(at).map(|micros| micros.map(f64::from));
    let [Some(p50), Some(p99), Some(p999)] = percentiles else { bail!("nothing was answered") };
    Ok(Outcome {
        rate: count as f64 / took.as_secs_f64(),
        percentiles: [p50, p99, p999],
        answers: count as u64,
        refused: all.refused,
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
    fn percentiles_are_of_the_sorted_latencies() {
        let all = Tally { micros: (1..=1001).rev().collect(), refused: 7 };
        let counted = outcome(all, Duration::from_secs(2)).unwrap();
        assert_eq!(counted.percentiles, [501.0, 991.0, 1000.0]);
        assert_eq!((counted.rate, counted.refused), (500.5, 7));
    }
}
