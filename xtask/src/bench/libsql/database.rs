//! The libSQL server of the tests as a process of its own, started by the hidden task `libsql-server`. It is told what to
//! do line by line on its standard input, answers each line with one, and ends when that input does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use keypool_test_server::{Fault, ServerSettings, TestServer, When};

use crate::bench::process::Executables;
use crate::run::show;

/// What the server is started with.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArguments {
    /// The SQLite file; it is created where it is missing
    #[arg(long, value_name = "FILE")]
    path: PathBuf,
    /// How much longer every request takes
    #[arg(long, value_name = "N", default_value_t = 0)]
    latency_ms: u64,
}

/// Serves until its input ends. Its first line is its URL.
pub(crate) fn serve(arguments: &DatabaseArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = runtime.block_on(TestServer::start(ServerSettings::at(&arguments.path)))?;
    server.faults().set_latency(Duration::from_millis(arguments.latency_ms));
    show(&server.url());
    for order in std::io::stdin().lock().lines() {
        show(&obey(&server, &order?));
    }
    Ok(())
}

fn obey(server: &TestServer, order: &str) -> String {
    let done = "done".to_owned();
    match order.split_once(' ').unwrap_or((order, "")) {
        ("latency-ms", latency_ms) => match latency_ms.parse() {
            Ok(latency_ms) => server.faults().set_latency(Duration::from_millis(latency_ms)),
            Err(_) => return "latency-ms takes a number".to_owned(),
        },
        ("hang", _) => drop(server.faults().inject(Fault::Hang, When::always())),
        ("heal", _) => server.faults().clear(),
        ("requests", _) => return server.counts().requests().to_string(),
        _ => return "the orders are latency-ms N, hang, heal and requests".to_owned(),
    }
    done
}

/// A server that runs. It ends with this value.
#[derive(Debug)]
pub(crate) struct Database {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
}

impl Database {
    /// Starts one on this file, with a quick link.
    pub(crate) fn start(executables: &Executables, path: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(&executables.xtask)
            .args(["libsql-server", "--path"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the database server could not be started")?;
        let orders = child.stdin.take().context("its standard input is piped")?;
        let answers = child.stdout.take().context("its standard output is piped")?;
        let (url, address) = (String::new(), SocketAddr::from(([0; 4], 0)));
        // From here on it ends with this value, whatever fails.
        let mut database = Self { child, orders, answers: BufReader::new(answers), url, address };
        database.url = database.answer()?;
        let address = database.url.strip_prefix("http://").context("the server tells a URL")?;
        database.address = address.parse()?;
        Ok(database)
    }

    /// Lets every request take so much longer.
    pub(crate) fn set_latency(&mut self, latency_ms: u64) -> anyhow::Result<()> {
        self.tell(&format!("latency-ms {latency_ms}"))
    }

    /// Lets it neither act nor answer any more.
    pub(crate) fn hang(&mut self) -> anyhow::Result<()> {
        self.tell("hang")
    }

    /// Lets it answer again.
    pub(crate) fn heal(&mut self) -> anyhow::Result<()> {
        self.tell("heal")
    }

    /// How many requests it has had.
    pub(crate) fn requests(&mut self) -> anyhow::Result<u64> {
        writeln!(self.orders, "requests")?;
        self.answer()?.parse().context("the server counts requests")
    }

    fn tell(&mut self, order: &str) -> anyhow::Result<()> {
        writeln!(self.orders, "{order}")?;
        let answer = self.answer()?;
        if answer != "done" {
            bail!("the database server answers {order:?} with {answer:?}");
        }
        Ok(())
    }

    fn answer(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the database server has ended");
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_carried_out_and_another_is_explained() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = ServerSettings::at(folder.path().join("pool.db"));
        let server = runtime.block_on(TestServer::start(settings)).unwrap();
        for order in ["latency-ms 20", "hang", "heal"] {
            assert_eq!(obey(&server, order), "done");
        }
        assert_eq!(obey(&server, "requests"), "0");
        assert!(obey(&server, "latency-ms soon").contains("a number"));
        assert!(obey(&server, "stop").contains("the orders are"));
    }
}
