//! What a supervisor such as systemd sees: a socket that it hands over, and what it is told.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::sockets::ask;
use crate::support::{ADMIN_TOKEN, Server, command};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The socket that a supervisor is told by.
struct Ear(UnixDatagram);

impl Ear {
    fn next(&self) -> String {
        let mut memory = [0; 1024];
        let length = self.0.recv(&mut memory).expect("something is told");
        String::from_utf8(memory[..length].to_vec()).unwrap()
    }

    /// The next that is no sign of life.
    fn next_news(&self) -> String {
        std::iter::repeat_with(|| self.next()).find(|told| told != "WATCHDOG=1\n").unwrap()
    }
}

#[test]
fn it_is_told_of_start_reload_life_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let ear = Ear(UnixDatagram::bind(&path).unwrap());
    ear.0.set_read_timeout(Some(PATIENCE)).unwrap();
    let environment = [
        ("ADMIN_TOKEN", ADMIN_TOKEN),
        ("SERVER_HOST", "127.0.0.1"),
        ("SERVER_PORT", "0"),
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "20000"),
    ];
    let mut server = Server::start_with(folder.path(), &[], &environment);
    assert_eq!(ear.next_news(), "READY=1\n");
    let answer = ask(TcpStream::connect(server.address).unwrap(), "/ready");
    assert!(answer.starts_with("HTTP/1.1 200 "), "it said that it is ready: {answer}");
    assert_eq!(ear.next(), "WATCHDOG=1\n");

    server.signal(Signal::HUP);
    let reloading = ear.next_news();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(ear.next_news(), "READY=1\n");
    server.wait_for_line(|line| line.contains("no certificate to read again"));

    server.terminate();
    assert_eq!(ear.next_news(), "STOPPING=1\n");
    assert_eq!(server.wait(), Some(0), "{}", server.log());
}

#[test]
fn a_socket_that_is_handed_over_is_served_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    // An address in the file, as the packaged one has it, is for a start without a supervisor's socket.
    let file = "server_host = \"127.0.0.1\"\nserver_port = 0\n";
    std::fs::write(folder.path().join("keypooler.toml"), file).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // A connection from before the start is answered, too.
    let early = TcpStream::connect(address).unwrap();
    let binary = env!("CARGO_BIN_EXE_keypooler");
    let script = format!("LISTEN_FDS=1 LISTEN_PID=$$ exec {binary} 3<&0 </dev/null");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &script]).current_dir(folder.path()).env_clear();
    shell.env("ADMIN_TOKEN", ADMIN_TOKEN);
    shell.stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())));
    let mut server = Server::start_by(shell);

    let log = server.log();
    assert_eq!(log.matches("listening on").count(), 1, "no address beside it: {log}");
    assert!(log.contains(&format!("listening on {address}")), "{log}");
    for stream in [early, TcpStream::connect(address).unwrap()] {
        let answer = ask(stream, "/health");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    server.terminate();
    assert_eq!(server.wait(), Some(0), "{}", server.log());

    // The supervisor still holds it: whoever connects waits for the next start.
    TcpStream::connect(address).unwrap();
}

#[test]
fn what_is_handed_over_must_be_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_keypooler");
    let script = format!("LISTEN_FDS=1 LISTEN_PID=$$ exec {binary} 3</dev/null");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &script]).current_dir(folder.path()).env_clear();
    let output = shell.env("ADMIN_TOKEN", ADMIN_TOKEN).output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains("LISTEN_FDS"), "{line}");
}

#[test]
fn without_a_supervisor_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let environment = [
        ("ADMIN_TOKEN", ADMIN_TOKEN),
        ("SERVER_SOCKET", "k.sock"),
        ("NOTIFY_SOCKET", nowhere.to_str().unwrap()),
    ];
    let mut server = Server::start_by(command(folder.path(), &[], &environment));
    server.terminate();
    assert_eq!(server.wait(), Some(0), "{}", server.log());
    let left = std::fs::metadata(&nowhere).unwrap_err();
    assert_eq!(left.kind(), ErrorKind::NotFound);
}
