//! What all requests share.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use keypool_engine::Engine;
use tokio::sync::watch;

use crate::admission::Admission;
use crate::meters::{HttpMetrics, Meters, TokenRefused};
use crate::metrics::Pages;
use crate::problem::Problem;
use crate::settings::HttpSettings;
use crate::source::Source;
use crate::throttle::{Failed, Throttle};

/// The pool as it is spoken to over HTTP.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) engine: Engine,
    pub(crate) settings: Arc<HttpSettings>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) pages: Arc<Pages>,
    throttle: Arc<Throttle>,
    is_draining: Arc<watch::Sender<bool>>,
}

impl App {
    /// Speaks for this engine.
    pub fn new(engine: Engine, settings: &HttpSettings) -> Self {
        let HttpSettings { max_connections, max_connections_per_address, .. } = *settings;
        Self {
            engine,
            settings: Arc::new(settings.clone()),
            meters: Arc::default(),
            admission: Arc::new(Admission::new(max_connections, max_connections_per_address)),
            pages: Arc::default(),
            throttle: Arc::new(Throttle::new()),
            is_draining: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Says from now on that it is not ready.
    pub fn drain(&self) {
        self.is_draining.send_replace(true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.is_draining.borrow()
    }

    /// Waits until it drains.
    pub(crate) async fn drained(&self) {
        let mut is_draining = self.is_draining.subscribe();
        // It fails only where the sender is gone, which is ours.
        let _ = is_draining.wait_for(|is_draining| *is_draining).await;
    }

    /// What was counted so far of connections and tokens.
    #[must_use]
    pub fn metrics(&self) -> HttpMetrics {
        self.meters.read(self.admission.count())
    }

    /// What the sender of a request without a valid token is told.
    pub(crate) fn unauthorized(&self, source: Source, headers: &HeaderMap) -> Problem {
        let Failed { throttled_secs, to_report, is_news } = self.throttle.failed(source);
        if is_news {
            tracing::warn!(
                target: "keypool_http", from = %source,
                "an address sends too many requests without a valid token, and is throttled"
            );
        }
        if let Some(failures) = to_report {
            tracing::warn!(
                target: "keypool_http", failures, last_from = %source,
                "requests without a valid token were refused"
            );
        }
        self.meters.tokens.add(match throttled_secs {
            Some(_) => TokenRefused::Throttled,
            None if headers.contains_key(AUTHORIZATION) => TokenRefused::Unknown,
            None => TokenRefused::Missing,
        });
        throttled_secs.map_or_else(Problem::unauthorized, Problem::throttled)
    }
}
