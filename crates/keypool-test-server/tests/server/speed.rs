//! How fast one-shot inserts are. Run it by hand: `cargo test --release -- --ignored --nocapture one_shot`.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::start_with_table;

const LASTING: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "a measurement"]
async fn one_shot_inserts_a_second() {
    for connections in [1, 8, 32, 64] {
        let (started, _connection) = start_with_table().await;
        let address = started.server.url().replace("http://", "");
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            clients.spawn(insert_for_a_while(address.clone()));
        }
        let mut waits = Vec::new();
        while let Some(waited) = clients.join_next().await {
            waits.extend(waited.unwrap());
        }
        waits.sort_unstable();
        println!(
            "{connections} connections: {} requests/s, median {:?}, 99.9% {:?}, most {:?}",
            waits.len() / 4,
            waits[waits.len() / 2],
            waits[waits.len() - waits.len() / 1000 - 1],
            waits[waits.len() - 1],
        );
        let rows = started.number("SELECT count(*) FROM t").await;
        assert_eq!(usize::try_from(rows).unwrap(), waits.len());
    }
}

async fn insert_for_a_while(address: String) -> Vec<Duration> {
    let body = r#"{"baton":null,"requests":[{"type":"batch","batch":{"steps":[{"condition":null,
        "stmt":{"sql":"INSERT INTO t (b) VALUES (?1)","sql_id":null,"args":[{"type":"integer","value":"7"}],
        "named_args":[],"want_rows":false,"replication_index":null}}],"replication_index":null}},
        {"type":"get_autocommit"},{"type":"close"}]}"#;
    let length = body.len();
    let request = format!(
        "POST /v3/pipeline HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let mut answer = vec![0; 4096];
    let began = Instant::now();
    let mut waits = Vec::new();
    while began.elapsed() < LASTING {
        let sent = Instant::now();
        socket.write_all(request.as_bytes()).await.unwrap();
        // The answer is small enough to come at once.
        let read = socket.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        waits.push(sent.elapsed());
    }
    waits
}
