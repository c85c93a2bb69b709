//! A server over real sockets, and a client that sends whatever it is told to.

use std::net::SocketAddr;

use keypool_http::{App, Drained, HttpSettings, Listener, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::pool::{ADMIN, Pool};

/// A server on a free port of this machine.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) app: App,
    stop: oneshot::Sender<()>,
    serving: JoinSet<Drained>,
}

impl Server {
    pub(crate) async fn start(pool: &Pool, settings: HttpSettings) -> Self {
        Self::start_on(pool, settings, Listener::from).await
    }

    /// Starts it on what is made of a TCP listener.
    pub(crate) async fn start_on(
        pool: &Pool,
        settings: HttpSettings,
        on: impl FnOnce(TcpListener) -> Listener,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let mut serving = JoinSet::new();
        let app = App::new(pool.engine.clone(), &settings);
        serving.spawn(serve(app.clone(), vec![on(listener)], async {
            stopped.await.unwrap();
        }));
        Self { address, app, stop, serving }
    }

    pub(crate) async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).await.unwrap();
        Connection { stream, unread: Vec::new() }
    }

    /// A connection from another address of this machine.
    pub(crate) async fn connect_from(&self, from: &str) -> Connection {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        Connection { stream, unread: Vec::new() }
    }

    pub(crate) async fn stop(self) -> Drained {
        let Self { stop, mut serving, .. } = self;
        stop.send(()).unwrap();
        serving.join_next().await.unwrap().unwrap()
    }
}

/// A client's connection.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn more(&mut self) -> usize {
        self.stream.read_buf(&mut self.unread).await.unwrap()
    }

    /// The next head, up to its empty line.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            let end = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.unread.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            assert_ne!(self.more().await, 0, "the connection ended within a head");
        }
    }

    /// The next answer: its head and its body.
    pub(crate) async fn answer(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        while self.unread.len() < length {
            assert_ne!(self.more().await, 0, "the connection ended within a body");
        }
        (head, String::from_utf8(self.unread.drain(..length).collect()).unwrap())
    }

    /// Everything up to the connection's end.
    pub(crate) async fn rest(self) -> String {
        String::from_utf8(self.bytes_to_the_end().await).unwrap()
    }

    /// The same, where it is no text.
    pub(crate) async fn bytes_to_the_end(mut self) -> Vec<u8> {
        while self.stream.read_buf(&mut self.unread).await.is_ok_and(|read| read > 0) {}
        self.unread
    }
}

/// A request of the admin's.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\n\r\n")
}

/// The head of the admin's request with a body, which waits to be asked for it.
pub(crate) fn post_head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\n\
         Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    )
}
