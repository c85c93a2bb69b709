//! The ceiling that everything is measured against: a bare hyper server that answers a fixed body of a grant's size. It
//! runs as a process of its own, by the hidden task `bare-hyper`, in a release build.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::run::say;

const BODY: &[u8] = br#"{"key_id":"0193a5e0-7a5c-7c3e-9f00-1c2d3e4f5a6b","value":"sk-live-000000000000000000000000","metadata":{},"secrets":{},"draw_id":"0193a5e07a5c7c3e"}"#;

/// Serves until it is killed; says on standard error where it listens.
pub(crate) fn serve() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        say(&format!("listening on {}", listener.local_addr()?));
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            connections.spawn(async move {
                let answer = service_fn(|_: Request<hyper::body::Incoming>| async {
                    let mut response = Response::new(Full::new(Bytes::from_static(BODY)));
                    let json = http::HeaderValue::from_static("application/json");
                    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
                    Ok::<_, Infallible>(response)
                });
                // Whoever closes a connection ends it.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
            while connections.try_join_next().is_some() {}
        }
    })
}
