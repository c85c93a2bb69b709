//! Pages that were just made: whoever asks within a second gets the same, and of all who ask at once one makes it. However
//! many ask, the pool is looked through once a second.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::format::Format;
use super::scrape::Scrape;
use crate::answer::App;

/// How long a page is as good as new.
const FRESH: Duration = Duration::from_secs(1);

/// The latest pages.
#[derive(Debug, Default)]
pub(crate) struct Pages(Mutex<Option<Latest>>);

#[derive(Debug)]
struct Latest {
    /// When it was taken, by the engine's uptime.
    taken: Duration,
    scrape: Arc<Scrape>,
    text: Option<Bytes>,
    open_metrics: Option<Bytes>,
}

impl Latest {
    fn page(&mut self, format: Format) -> &mut Option<Bytes> {
        match format {
            Format::Text => &mut self.text,
            Format::OpenMetrics => &mut self.open_metrics,
        }
    }
}

impl Pages {
    /// The page in this format, a second old at most.
    pub(crate) async fn page(&self, app: &App, format: Format) -> Bytes {
        let mut latest = self.0.lock().await;
        let now = app.engine.vitals().uptime;
        let fresh = latest.take().filter(|latest| now.saturating_sub(latest.taken) < FRESH);
        let current = match fresh {
            Some(fresh) => fresh,
            None => {
                let scrape = Arc::new(Scrape::take(app).await);
                Latest { taken: now, scrape, text: None, open_metrics: None }
            }
        };
        let current = latest.insert(current);
        if let Some(page) = current.page(format) {
            return page.clone();
        }
        let scrape = Arc::clone(&current.scrape);
        let written = tokio::task::spawn_blocking(move || scrape.write(format)).await;
        let page = written.expect("writing a page does not panic");
        current.page(format).insert(page).clone()
    }
}
