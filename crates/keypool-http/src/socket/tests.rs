use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, DuplexStream, duplex};

use super::*;

const HEAD: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn settings() -> HttpSettings {
    HttpSettings {
        header_timeout: Some(Duration::from_secs(3)),
        write_timeout: Some(Duration::from_secs(5)),
        idle_timeout: Some(Duration::from_secs(7)),
        log_requests: false,
        ..HttpSettings::default()
    }
}

fn socket(settings: HttpSettings) -> (Socket<DuplexStream>, DuplexStream, Progress) {
    let (near, far) = duplex(64);
    let connection = Connection { peer: Source::Process, progress: Progress::new(Instant::now()) };
    (Socket::new(near, Arc::new(settings), &connection), far, connection.progress)
}

/// Seconds until the socket gives up reading.
async fn secs_to_give_up(socket: &mut Socket<DuplexStream>) -> u64 {
    let start = Instant::now();
    let error = socket.read_u8().await.expect_err("nothing comes");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    start.elapsed().as_secs()
}

/// Seconds until the socket refuses a head that has begun.
async fn secs_to_refuse(socket: &mut Socket<DuplexStream>) -> u64 {
    let start = Instant::now();
    assert_eq!(socket.read_u8().await.unwrap(), 0, "hyper is made to answer");
    let refusal = socket.refusal.as_ref().map(|problem| problem.code);
    assert_eq!(refusal, Some(Code::HeadTimeout));
    assert_eq!(socket.read(&mut [0; 10]).await.unwrap(), 0, "nothing more is read");
    start.elapsed().as_secs()
}

/// Sends a whole request and takes it in.
async fn exchange(socket: &mut Socket<DuplexStream>, far: &mut DuplexStream) {
    far.write_all(HEAD.as_bytes()).await.unwrap();
    socket.read_exact(&mut [0; HEAD.len()]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_first_request_has_the_time_of_a_head() {
    let (mut socket, _far, _progress) = socket(settings());
    assert_eq!(secs_to_give_up(&mut socket).await, 3);
}

#[tokio::test(start_paused = true)]
async fn dripping_bytes_do_not_prolong_a_head() {
    let (mut socket, mut far, _progress) = socket(settings());
    assert!(tokio::time::timeout(Duration::ZERO, socket.read_u8()).await.is_err());
    for byte in [b'G', b'E'] {
        tokio::time::advance(Duration::from_secs(1)).await;
        far.write_u8(byte).await.unwrap();
        assert!(tokio::time::timeout(Duration::ZERO, socket.read_u8()).await.is_err());
    }
    assert_eq!(secs_to_refuse(&mut socket).await, 1);
}

#[tokio::test(start_paused = true)]
async fn between_requests_there_is_the_time_of_idleness() {
    let (mut socket, mut far, progress) = socket(settings());
    exchange(&mut socket, &mut far).await;
    drop(progress.begin());
    assert_eq!(secs_to_give_up(&mut socket).await, 7);
    drop(progress.begin());
    far.write_u8(b'G').await.unwrap();
    assert_eq!(secs_to_refuse(&mut socket).await, 3, "once the next has begun");
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_ahead_begins_once_its_turn_has_come() {
    let (mut socket, mut far, progress) = socket(settings());
    far.write_all(format!("{HEAD}GET").as_bytes()).await.unwrap();
    socket.read_exact(&mut [0; HEAD.len()]).await.unwrap();
    let answering = progress.begin();
    tokio::time::advance(Duration::from_secs(100)).await;
    drop(answering);
    assert_eq!(secs_to_refuse(&mut socket).await, 3);
}

#[tokio::test(start_paused = true)]
async fn after_a_body_in_chunks_no_request_is_read() {
    let (mut socket, mut far, progress) = socket(settings());
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    far.write_all(head.as_bytes()).await.unwrap();
    socket.read_exact(&mut vec![0; head.len()]).await.unwrap();
    let answering = progress.begin();
    far.write_all(b"0\r\n\r\n").await.unwrap();
    socket.read_exact(&mut [0; 5]).await.unwrap();
    drop(answering);
    far.write_all(HEAD.as_bytes()).await.unwrap();
    assert_eq!(socket.read(&mut [0; 100]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_may_still_be_sending_is_listened_to_for_a_second() {
    let (mut socket, mut far, progress) = socket(settings());
    progress.end_early();
    let start = Instant::now();
    let send = async {
        far.write_all(&[0; 1000]).await.unwrap();
        assert_eq!(far.read(&mut [0; 10]).await.unwrap(), 0, "it hears that nothing more comes");
    };
    let (closed, ()) = tokio::join!(socket.shutdown(), send);
    closed.unwrap();
    assert_eq!(start.elapsed(), LINGER);

    let (mut socket, mut far, progress) = self::socket(settings());
    progress.end_early();
    let start = Instant::now();
    let leave = async {
        far.write_all(&[0; 1000]).await.unwrap();
        drop(far);
    };
    let (closed, ()) = tokio::join!(socket.shutdown(), leave);
    closed.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO, "it is gone");
}

#[tokio::test(start_paused = true)]
async fn while_a_request_is_answered_there_is_no_limit() {
    let (mut socket, mut far, progress) = socket(settings());
    exchange(&mut socket, &mut far).await;
    let answering = progress.begin();
    let day = Duration::from_secs(86_400);
    assert!(tokio::time::timeout(day, socket.read_u8()).await.is_err());
    drop(answering);
    assert_eq!(secs_to_give_up(&mut socket).await, 7);
}

#[tokio::test(start_paused = true)]
async fn an_answer_must_be_taken_whole_in_time() {
    let (mut socket, mut far, _progress) = socket(settings());
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
    let (mut socket, mut far, _progress) = socket(settings());
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
    let limitless = HttpSettings { header_timeout: None, write_timeout: None, ..settings() };
    let (mut socket, _far, _progress) = socket(limitless);
    let day = Duration::from_secs(86_400);
    assert!(tokio::time::timeout(day, socket.read_u8()).await.is_err());
    assert!(tokio::time::timeout(day, socket.write_all(&[0; 1000])).await.is_err());
}

/// As over TLS, where the end is something to be written.
#[tokio::test(start_paused = true)]
async fn the_end_has_the_time_of_writing() {
    let (near, _far) = duplex(64);
    let connection = Connection { peer: Source::Process, progress: Progress::new(Instant::now()) };
    let mut socket = Socket::new(BufWriter::new(near), Arc::new(settings()), &connection);
    socket.write_all(&[0; 64]).await.unwrap();
    socket.flush().await.unwrap();
    socket.write_all(b"the last").await.unwrap();
    let start = Instant::now();
    let error = socket.shutdown().await.expect_err("nobody reads");
    assert_eq!((error.kind(), start.elapsed().as_secs()), (io::ErrorKind::TimedOut, 5));
}
