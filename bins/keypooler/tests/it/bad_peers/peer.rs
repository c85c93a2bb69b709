//! A peer that sends whatever it likes, from an address of its own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::support::ADMIN_TOKEN;

/// Longer than the server waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who sends a byte as often as this is slow.
const SLOWLY: Duration = Duration::from_millis(100);

/// A request that everybody may make.
pub(super) const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

/// A peer at one address of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// The server's.
    pub(super) address: SocketAddr,
    /// Its own.
    pub(super) from: Ipv4Addr,
}

impl Peer {
    pub(super) fn connect(&self) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((self.from, 0)).into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A connection that was served once, and waits; else what it got.
    pub(super) fn idle(&self) -> Result<TcpStream, String> {
        let mut stream = self.connect();
        match ask(&mut stream, HEALTH) {
            Some(answer) if answer.starts_with("HTTP/1.1 200 ") => Ok(stream),
            answer => Err(answer.unwrap_or_default()),
        }
    }

    /// A connection on which the server waits for the rest of a request: a body of two bytes. `None` if there is no place.
    pub(super) fn busy(&self) -> Option<TcpStream> {
        let mut stream = self.connect();
        send(&mut stream, &posting("Expect: 100-continue\r\nContent-Length: 2"));
        let is_asked_for = answer(&mut stream)?.starts_with("HTTP/1.1 100 ");
        is_asked_for.then_some(stream)
    }

    /// What it gets for this: status and code, and whether the connection is closed.
    pub(super) fn gets(&self, sent: &str) -> String {
        let mut stream = self.connect();
        // The server may hang up before it has heard all.
        send(&mut stream, sent);
        after_answer(&mut stream)
    }

    /// What it gets for sending this and then a byte now and then.
    pub(super) fn gets_slowly(&self, sent: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(sent.as_bytes()).unwrap();
        stream.set_read_timeout(Some(SLOWLY)).unwrap();
        while matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock) {
            let _ = stream.write_all(b" ");
        }
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        after_answer(&mut stream)
    }

    /// Waits until the server closes a connection on which nothing is sent.
    pub(super) fn stays_silent(&self) -> String {
        let mut all = Vec::new();
        self.connect().read_to_end(&mut all).unwrap();
        assert!(all.is_empty());
        "closed".to_owned()
    }
}

/// The head of the admin's request with a body, of which these headers tell.
pub(super) fn posting(headers: &str) -> String {
    format!(
        "POST /admin/consumers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\
         {headers}\r\n\r\n"
    )
}

/// Sends this, if the connection lasts.
pub(super) fn send(stream: &mut TcpStream, text: &str) {
    // If it fails, so does the reading.
    let _ = stream.write_all(text.as_bytes());
}

/// One answer to one request, if the connection lasts.
pub(super) fn ask(stream: &mut TcpStream, request: &str) -> Option<String> {
    send(stream, request);
    answer(stream)
}

/// The next answer: its head and its body.
pub(super) fn answer(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(byte(stream)?);
    }
    let head = String::from_utf8(text).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    taken(stream.read_exact(&mut body))?;
    Some(head + &String::from_utf8(body).unwrap())
}

/// The next answer's status and code, and whether the connection is closed with it.
pub(super) fn after_answer(stream: &mut TcpStream) -> String {
    let answer = answer(stream).expect("there is an answer");
    let status = answer.get(9..12).unwrap();
    let code = answer.split_once("\"code\":\"").and_then(|(_, rest)| rest.split_once('"'));
    let code = code.map(|(code, _)| format!(" `{code}`")).unwrap_or_default();
    let is_closed = ask(stream, HEALTH).is_none();
    assert_eq!(is_closed, answer.contains("connection: close\r\n"), "it is said so: {answer}");
    format!("{status}{code}{}", if is_closed { ", closed" } else { "" })
}

fn byte(stream: &mut TcpStream) -> Option<u8> {
    let mut byte = [0];
    taken(stream.read_exact(&mut byte)).map(|()| byte[0])
}

/// Whether it was taken in, or the connection is at its end.
fn taken(read: io::Result<()>) -> Option<()> {
    match read {
        Ok(()) => Some(()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => None,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
        Err(error) => panic!("the server neither answers nor closes: {error}"),
    }
}
