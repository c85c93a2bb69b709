//! The binary as a process.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::http::{Answer, Connection};

/// Longer than a start or an end takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The binary, about to run in `folder` with nothing but this environment.
pub(crate) fn command(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keypooler"));
    command.current_dir(folder).args(arguments).env_clear();
    command.envs(environment.iter().copied()).stdin(Stdio::null());
    command
}

/// The binary, about to serve on a free port of 127.0.0.1. What `environment` sets goes before that.
pub(crate) fn usual_command(folder: &Path, environment: &[(&str, &str)]) -> Command {
    command(folder, &[], &completed(environment))
}

/// Runs the binary to its end: for what does not serve.
pub(crate) fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = command(folder, arguments, environment);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the binary starts");
    let id = child.id();
    let (ended, end) = channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    match end.recv_timeout(PATIENCE) {
        Ok(output) => output.expect("a child can be waited for"),
        Err(_) => {
            signal(id, Signal::KILL);
            panic!("it was to end by itself, and does not");
        }
    }
}

/// A command that runs, and is killed when dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts the binary; what it says goes nowhere.
    pub(crate) fn start(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = command(folder, arguments, environment);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.expect("the binary starts"))
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a child can be asked").is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that runs. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it listens, as seen from this machine.
    pub(crate) address: SocketAddr,
    /// All that it wrote, standard output and error, as far as it was read.
    output: Arc<Mutex<String>>,
    lines: Receiver<String>,
}

impl Server {
    /// Starts it on a free port of 127.0.0.1, with its working directory in `folder`, and waits until
    /// it listens. What `environment` sets goes before that.
    pub(crate) fn start(folder: &Path, environment: &[(&str, &str)]) -> Self {
        Self::started(usual_command(folder, environment), Hearing::All)
    }

    /// The same, and closes its standard output once it listens.
    pub(crate) fn start_unheard(folder: &Path, environment: &[(&str, &str)]) -> Self {
        Self::started(usual_command(folder, environment), Hearing::UntilItListens)
    }

    /// Starts it with these arguments and nothing but this environment, and waits until it listens.
    pub(crate) fn start_with(
        folder: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        Self::started(command(folder, arguments, environment), Hearing::All)
    }

    /// Starts what a command runs, and waits until it serves, wherever that is.
    pub(crate) fn start_by(command: Command) -> Self {
        let mut server = Self::spawn(command, Hearing::All);
        server.wait_for_line(|line| line.contains("\"serving\""));
        server
    }

    /// Starts what a command runs, and waits until it listens, if it does not end before.
    pub(crate) fn try_start_by(command: Command) -> Result<Self, Ended> {
        Self::spawn(command, Hearing::All).listening()
    }

    /// Itself once it listens, if it does not end before.
    fn listening(mut self) -> Result<Self, Ended> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    if let Some(address) = address_in(&line) {
                        self.address = seen_from_here(address);
                        return Ok(self);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.end()),
                Err(RecvTimeoutError::Timeout) => panic!("it does not start:\n{}", self.log()),
            }
        }
    }

    fn started(command: Command, hearing: Hearing) -> Self {
        let server = Self::spawn(command, hearing);
        server.listening().unwrap_or_else(|ended| panic!("it does not start: {ended}"))
    }

    /// Spawns it, wherever it may listen.
    fn spawn(mut command: Command, hearing: Hearing) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the binary starts");
        let output = Arc::new(Mutex::new(String::new()));
        let (said, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            listen(stdout, hearing, &output, said.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            listen(stderr, Hearing::All, &output, said);
        }
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Self { child, address: nowhere, output, lines }
    }

    /// One request over a connection of its own.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&str>,
    ) -> Answer {
        self.try_request(method, path, token, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log()))
    }

    /// The same, where the server may go away.
    pub(crate) fn try_request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&str>,
    ) -> std::io::Result<Answer> {
        Connection::try_open(self.address)?.request(method, path, token, body)
    }

    /// A connection to make several requests on.
    pub(crate) fn connect(&self) -> Connection {
        Connection::try_open(self.address).expect("the server accepts connections")
    }

    /// All that it wrote so far.
    pub(crate) fn log(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line that was not waited for before.
    pub(crate) fn wait_for_line(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if is_it(&line) => return line,
                Ok(_) => {}
                Err(error) => panic!("{error}: the line did not come:\n{}", self.log()),
            }
        }
    }

    /// Asks it to drain and end.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// The same, where it may be gone already.
    pub(crate) fn terminate_if_it_runs(&mut self) {
        if self.child.try_wait().expect("a child can be asked").is_none() {
            // It may go in this moment.
            let _ = try_signal(self.id(), Signal::TERM);
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, number: Signal) {
        signal(self.id(), number);
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the server still runs");
        self.wait();
    }

    /// Ends it by a signal, sent until it does: Rust lets a first SIGSEGV pass that no fault raised.
    pub(crate) fn end_by(&mut self, signal: Signal) -> ExitStatus {
        loop {
            self.signal(signal);
            if let Some(end) = self.child.try_wait().expect("a child can be asked") {
                return end;
            }
            thread::yield_now();
        }
    }

    /// Waits for its end and gives its exit code, if no signal ended it.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.wait_for_status().code()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let status = self.wait_for_status();
        Ended { status, log: self.log() }
    }

    fn wait_for_status(&mut self) -> ExitStatus {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.log()),
            }
        }
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that is no more.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// All that it wrote, standard output and error.
    pub(crate) log: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.status, self.log)
    }
}

fn signal(id: u32, signal: Signal) {
    try_signal(id, signal).expect("the process still runs");
}

fn try_signal(id: u32, signal: Signal) -> rustix::io::Result<()> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw);
    kill_process(id.expect("a process has an id"), signal)
}

/// How long what the server writes is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hearing {
    All,
    UntilItListens,
}

/// The environment, with what is needed to start where it does not say otherwise.
fn completed<'a>(environment: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual =
        [("ADMIN_TOKEN", super::ADMIN_TOKEN), ("SERVER_HOST", "127.0.0.1"), ("SERVER_PORT", "0")];
    let is_given = |name: &str| environment.iter().any(|(given, _)| *given == name);
    let usual = usual.into_iter().filter(|(name, _)| !is_given(name));
    usual.chain(environment.iter().copied()).collect()
}

/// Reads lines in a thread of its own, which ends when the process does.
fn listen(
    stream: impl Read + Send + 'static,
    hearing: Hearing,
    output: &Arc<Mutex<String>>,
    said: Sender<String>,
) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            {
                let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
                output.push_str(&line);
                output.push('\n');
            }
            let is_enough = hearing == Hearing::UntilItListens && address_in(&line).is_some();
            // Nobody may be waiting for a line any more.
            let _ = said.send(line);
            if is_enough {
                return;
            }
        }
    });
}

/// The address in the line that tells of it, in either format of the log.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    let end = rest.find(|char: char| !(char.is_ascii_hexdigit() || "[].:".contains(char)));
    rest.split_at_checked(end.unwrap_or(rest.len()))?.0.parse().ok()
}

fn seen_from_here(address: SocketAddr) -> SocketAddr {
    let ip =
        if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    SocketAddr::new(ip, address.port())
}
