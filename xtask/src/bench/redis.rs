//! For scale: Redis with `appendfsync always` counting a number up, no HTTP and no audit, where it is installed.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::bench::Bench;
use crate::bench::report::Row;
use crate::run::say;

/// A Redis that runs; it is ended with this value.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// INCR a second at the connections of the draws; nothing where Redis is not installed.
pub(crate) fn measure(bench: &Bench, draws: &[Row]) -> anyhow::Result<Vec<Row>> {
    if !bench.wants("redis") {
        return Ok(Vec::new());
    }
    let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !is_there("redis-server") || !is_there("redis-benchmark") {
        say("redis: not installed, so not compared with");
        return Ok(Vec::new());
    }
    let folder = tempfile::tempdir_in(&bench.folder)?;
    // Redis takes no port 0: a free one is found for it.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port().to_string();
    let server = Command::new("redis-server")
        .current_dir(folder.path())
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .stdout(Stdio::null())
        .spawn()?;
    let _server = Redis(server);
    thread::sleep(Duration::from_secs(1));
    let mut rows = Vec::new();
    for (connections, requests) in [(1, 5_000), (32, 100_000), (128, 200_000)] {
        let output = Command::new("redis-benchmark")
            .args(["-p", &port, "-t", "incr", "--csv"])
            .args(["-c", &connections.to_string(), "-n", &requests.to_string()])
            .output()?;
        let rate = rate(&String::from_utf8_lossy(&output.stdout))?;
        let name = format!("redis INCR, appendfsync always, {connections}");
        say(&format!("{name}: {rate:.0}/s"));
        let row = Row::value(&name, rate, "INCR/s");
        let full = |row: &&Row| row.name.starts_with(&format!("FULL, {connections} connection"));
        rows.push(match draws.iter().find(full) {
            Some(ours) => row.with_ratio(ours.value / rate, "draws to this"),
            None => row,
        });
    }
    Ok(rows)
}

/// The second column of the line of INCR.
fn rate(csv: &str) -> anyhow::Result<f64> {
    let line = csv.lines().find(|line| line.starts_with("\"INCR\""));
    let Some(line) = line else { bail!("redis-benchmark said nothing of INCR: {csv}") };
    let rate = line.split(',').nth(1).context("a rate")?;
    rate.trim_matches('"').parse().context("a rate is a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_second_column() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\"\n\"INCR\",\"4700.50\",\"0.1\"\n";
        assert_eq!(rate(csv).unwrap(), 4700.5);
        assert!(rate("\"test\",\"rps\"\n").is_err());
    }
}
