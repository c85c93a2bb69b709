use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

const SETTINGS: HttpSettings = HttpSettings {
    read_timeout: Some(Duration::from_secs(3)),
    write_timeout: Some(Duration::from_secs(5)),
    idle_timeout: Some(Duration::from_secs(7)),
    shutdown_timeout: None,
    log_requests: false,
};

fn socket(settings: HttpSettings) -> (Socket<DuplexStream>, DuplexStream, Progress) {
    let (near, far) = duplex(64);
    let progress = Progress::default();
    (Socket::new(near, settings, progress.clone()), far, progress)
}

/// Seconds until the socket gives up reading.
async fn secs_to_give_up(socket: &mut Socket<DuplexStream>) -> u64 {
    let start = Instant::now();
    let error = socket.read_u8().await.expect_err("nothing comes");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_first_request_has_the_time_of_a_head() {
    let (mut socket, _far, _progress) = socket(SETTINGS);
    assert_eq!(secs_to_give_up(&mut socket).await, 3);
}

#[tokio::test(start_paused = true)]
async fn dripping_bytes_do_not_prolong_a_head() {
    let (mut socket, mut far, _progress) = socket(SETTINGS);
    for _ in 0..2 {
        tokio::time::advance(Duration::from_secs(1)).await;
        far.write_u8(b'x').await.unwrap();
        socket.read_u8().await.unwrap();
        assert!(tokio::time::timeout(Duration::ZERO, socket.read_u8()).await.is_err());
    }
    assert_eq!(secs_to_give_up(&mut socket).await, 2, "since the first wait, a second in");
}

#[tokio::test(start_paused = true)]
async fn between_requests_there_is_the_time_of_idleness() {
    let (mut socket, mut far, progress) = socket(SETTINGS);
    drop(progress.begin());
    assert_eq!(secs_to_give_up(&mut socket).await, 7);
    drop(progress.begin());
    far.write_u8(b'x').await.unwrap();
    socket.read_u8().await.unwrap();
    assert_eq!(secs_to_give_up(&mut socket).await, 3, "once the next has begun");
}

#[tokio::test(start_paused = true)]
async fn while_a_request_is_answered_there_is_no_limit() {
    let (mut socket, _far, progress) = socket(SETTINGS);
    let answering = progress.begin();
    let day = Duration::from_secs(86_400);
    assert!(tokio::time::timeout(day, socket.read_u8()).await.is_err());
    drop(answering);
    assert_eq!(secs_to_give_up(&mut socket).await, 7);
}

#[tokio::test(start_paused = true)]
async fn an_answer_must_be_taken_whole_in_time() {
    let (mut socket, mut far, _progress) = socket(SETTINGS);
    let start = Instant::now();
    let read_slowly = async {
        let mut interval = tokio::time::interval(Duration::from_secs(1));
        loop {
            interval.tick().await;
            far.read_u8().await.unwrap();
        }
    };
    let written = tokio::select! {
        written = socket.write_all(&[0; 1000]) => written,
        () = read_slowly => unreachable!("it reads for ever"),
    };
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn each_answer_has_its_own_time() {
    let (mut socket, mut far, _progress) = socket(SETTINGS);
    let mut taken = [0; 100];
    for _ in 0..3 {
        let take = async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            far.read_exact(&mut taken).await.unwrap();
        };
        let write = async {
            socket.write_all(&[0; 100]).await.unwrap();
            socket.flush().await.unwrap();
        };
        tokio::join!(write, take);
    }
}

#[tokio::test(start_paused = true)]
async fn without_limits_it_waits_for_ever() {
    let limitless =
        HttpSettings { read_timeout: None, write_timeout: None, idle_timeout: None, ..SETTINGS };
    let (mut socket, _far, _progress) = socket(limitless);
    let day = Duration::from_secs(86_400);
    assert!(tokio::time::timeout(day, socket.read_u8()).await.is_err());
    assert!(tokio::time::timeout(day, socket.write_all(&[0; 1000])).await.is_err());
}
