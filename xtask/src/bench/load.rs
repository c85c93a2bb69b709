//! Load: keep-alive connections that each send the next request once the last is answered, for some seconds. By `wrk`
//! where it is installed, which costs least; else by a generator of our own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::bench::generator;

/// What every request asks.
pub(crate) const DRAW: &str = "/key?feature=search";

/// How a server is loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) token: &'a str,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Median, 99th and 99.9th percentile of the latency, in microseconds.
    pub(crate) percentiles: [f64; 3],
    /// Answers, all and those of a status that is no success.
    pub(crate) answers: u64,
    pub(crate) refused: u64,
}

/// Who sends the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generator {
    Wrk,
    Own,
}

/// Prints what wrk has counted as one line of JSON.
const SCRIPT: &str = r#"done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('OUTCOME {"requests":%d,"micros":%d,"broken":%d,"refused":%d,"p50":%d,"p99":%d,"p999":%d}\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.timeout, e.status,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"#;

/// The line that the script prints.
#[derive(Debug, Deserialize)]
struct Counted {
    requests: u64,
    micros: u64,
    broken: u64,
    refused: u64,
    p50: f64,
    p99: f64,
    p999: f64,
}

impl Generator {
    /// wrk, if it is there.
    pub(crate) fn find() -> Self {
        // wrk tells its version and fails.
        if Command::new("wrk").arg("-v").output().is_ok() { Self::Wrk } else { Self::Own }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Wrk => "wrk -t1",
            Self::Own => "xtask's own generator",
        }
    }

    /// Loads a server; `folder` takes what the generator has to write.
    pub(crate) fn run(self, load: Load<'_>, folder: &Path) -> anyhow::Result<Outcome> {
        match self {
            Self::Wrk => wrk(load, folder),
            Self::Own => generator::run(load),
        }
    }
}

fn wrk(load: Load<'_>, folder: &Path) -> anyhow::Result<Outcome> {
    let script = folder.join("outcome.lua");
    std::fs::write(&script, SCRIPT)?;
    let output = Command::new("wrk")
        .arg("-t1")
        .arg(format!("-c{}", load.connections))
        .arg(format!("-d{}s", load.seconds))
        .arg("-s")
        .arg(&script)
        .args(["-H", &format!("Authorization: Bearer {}", load.token)])
        .arg(format!("http://{}{DRAW}", load.address))
        .output()
        .context("wrk could not be started")?;
    outcome(&String::from_utf8_lossy(&output.stdout))
}

fn outcome(said: &str) -> anyhow::Result<Outcome> {
    let line = said.lines().find_map(|line| line.strip_prefix("OUTCOME "));
    let line = line.with_context(|| format!("wrk counted nothing: {said}"))?;
    let counted: Counted = serde_json::from_str(line).context("wrk's count is JSON")?;
    if counted.broken > 0 || counted.micros == 0 {
        bail!("{} requests broke off", counted.broken);
    }
    Ok(Outcome {
        rate: counted.requests as f64 / (counted.micros as f64 / 1e6),
        percentiles: [counted.p50, counted.p99, counted.p999],
        answers: counted.requests,
        refused: counted.refused,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrks_count_is_read() {
        let said = "Running 1s test\nOUTCOME {\"requests\":1000,\"micros\":500000,\"broken\":0,\
                    \"refused\":3,\"p50\":10,\"p99\":20,\"p999\":30}\n";
        let counted = outcome(said).unwrap();
        let percentiles = [10.0, 20.0, 30.0];
        assert_eq!(counted, Outcome { rate: 2000.0, percentiles, answers: 1000, refused: 3 });
        assert!(outcome("unable to connect").is_err());
        assert!(outcome(&said.replace("\"broken\":0", "\"broken\":1")).is_err());
    }
}
