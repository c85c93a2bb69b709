//! A server as a process of its own on a free port of the loopback. It ends with the value that holds it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::bench::client::Client;
use crate::run::{Cargo, root};

/// The admin token of every server that is measured.
pub(crate) const ADMIN_TOKEN: &str = "admin-token-of-a-benchmark";

/// The release builds that are measured.
#[derive(Debug)]
pub(crate) struct Executables {
    keypooler: PathBuf,
    pub(crate) xtask: PathBuf,
}

/// How a keypooler is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    /// `full` or `normal`.
    pub(crate) synchronous: &'static str,
    pub(crate) log_requests: bool,
    /// Whether values are sealed at rest.
    pub(crate) is_sealed: bool,
    /// The URL of a database server; a file in the server's folder where there is none.
    pub(crate) database_url: Option<&'a str>,
    /// Whether this machine's clients may name the address that they ask for.
    pub(crate) is_behind_proxy: bool,
}

impl Setting<'_> {
    /// Nothing logged, nothing sealed.
    pub(crate) const fn plain(synchronous: &'static str) -> Self {
        Self {
            synchronous,
            log_requests: false,
            is_sealed: false,
            database_url: None,
            is_behind_proxy: false,
        }
    }
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Reads what the server writes to its end, so that it is never held up.
    reader: Option<JoinHandle<()>>,
}

impl Executables {
    /// Builds those of these packages.
    pub(crate) fn build(packages: &[&str]) -> anyhow::Result<Self> {
        let build = Cargo::new(&["build", "--release", "--locked"]);
        packages.iter().fold(build, |build, package| build.arg("--package").arg(package)).run()?;
        let metadata =
            Cargo::new(&["metadata", "--format-version", "1", "--no-deps", "--locked"]).output()?;
        let metadata: serde_json::Value = serde_json::from_slice(&metadata)?;
        let target =
            metadata["target_directory"].as_str().context("cargo has a target directory")?;
        let release = Path::new(target).join("release");
        Ok(Self { keypooler: release.join("keypooler"), xtask: release.join("xtask") })
    }

    /// Starts a keypooler on a database in this folder. Its log goes to a file there, as a service manager's does.
    pub(crate) fn keypooler(&self, folder: &Path, setting: Setting<'_>) -> anyhow::Result<Server> {
        let log = folder.join("log");
        let mut command = Command::new(&self.keypooler);
        command.current_dir(folder).env_clear().envs([
            ("ADMIN_TOKEN", ADMIN_TOKEN),
            ("SERVER_HOST", "127.0.0.1"),
            ("SERVER_PORT", "0"),
            ("DB_SYNCHRONOUS", setting.synchronous),
            ("LOG_FORMAT", "json"),
            ("LOG_REQUESTS", if setting.log_requests { "true" } else { "false" }),
        ]);
        match setting.database_url {
            Some(url) => command.env("DATABASE_URL", url),
            None => command.env("DB_PATH", "pool.db"),
        };
        if setting.is_behind_proxy {
            command.env("TRUSTED_PROXIES", "127.0.0.1");
        }
        if setting.is_sealed {
            command.env("ENCRYPTION_KEY", "5a".repeat(32));
        }
        command.stdout(File::create(&log)?).stderr(Stdio::null());
        let child = command.spawn().context("keypooler could not be started")?;
        let mut server = Server { child, address: SocketAddr::from(([0; 4], 0)), reader: None };
        server.address = server.address_in(&log)?;
        Ok(server)
    }

    /// Starts the bare server.
    pub(crate) fn bare(&self) -> anyhow::Result<Server> {
        let mut child = Command::new(&self.xtask)
            .current_dir(root())
            .arg("bare-hyper")
            .stderr(Stdio::piped())
            .spawn()
            .context("the bare server could not be started")?;
        let stderr = child.stderr.take().context("its standard error is piped")?;
        let mut lines = BufReader::new(stderr);
        let mut first = String::new();
        lines.read_line(&mut first)?;
        let reader = thread::spawn(move || drop(lines.read_to_end(&mut Vec::new())));
        let address = address(&first).context("the bare server does not say where it listens")?;
        Ok(Server { child, address, reader: Some(reader) })
    }
}

impl Server {
    /// A client of its own.
    pub(crate) fn client(&self, token: &str) -> anyhow::Result<Client> {
        Client::connect(self.address, token)
    }

    /// Resident memory in bytes: now, and at its highest.
    pub(crate) fn memory(&self) -> anyhow::Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(kib * 1024)
        };
        of("VmRSS:").zip(of("VmHWM:")).context("the system does not tell memory")
    }

    /// Ends it as an operator does, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().context("it could not be signalled")?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("keypooler ended with {status}");
        }
        Ok(())
    }

    /// Waits until the log says where it listens.
    fn address_in(&mut self, log: &Path) -> anyhow::Result<SocketAddr> {
        for _ in 0..20_000 {
            let said = std::fs::read_to_string(log)?;
            if let Some(address) = said.lines().find_map(address) {
                return Ok(address);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("keypooler ended with {status}: {said}");
            }
            thread::sleep(Duration::from_millis(1));
        }
        bail!("keypooler does not say where it listens")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        let _ = std::io::stderr().flush();
    }
}

/// The address in a line that says `listening on` one.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    let end = rest.find(|it: char| !(it.is_ascii_digit() || it == '.' || it == ':'));
    rest.get(..end.unwrap_or(rest.len()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_a_line_of_the_log() {
        let found = Some(SocketAddr::from(([127, 0, 0, 1], 4711)));
        assert_eq!(address("listening on 127.0.0.1:4711\n"), found);
        assert_eq!(address(r#"{"message":"listening on 127.0.0.1:4711","x":1}"#), found);
        assert_eq!(address("listening on nothing"), None);
    }
}
