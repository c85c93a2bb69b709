//! Pages that were just made: whoever asks within a second gets the same, and of all who ask at once one makes it. However
//! many ask, the pool is looked through once a second. A page may be long, and to send it costs more than a draw does: no
//! source gets more than a handful a second.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::format::Format;
use super::scrape::Scrape;
use crate::answer::App;
use crate::problem::Problem;
use crate::source::Source;
use crate::tally::{Bound, Tally};

/// How long a page is as good as new.
const FRESH: Duration = Duration::from_secs(1);

/// So many pages a source gets: some that ask every second, all at the same moment.
const BOUND: Bound = Bound { most: 10, window_secs: 2 };

/// Who gets no page waits for so long to be told so: refusals without pause would slow draws as much as pages do.
const PAUSE: Duration = Duration::from_secs(1);

/// 8 KiB of them.
const CELLS: usize = 1024;

/// The latest pages, and who got how many.
#[derive(Debug)]
pub(crate) struct Pages {
    latest: Mutex<Option<Latest>>,
    sent: Tally,
}

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

impl Default for Pages {
    fn default() -> Self {
        Self { latest: Mutex::default(), sent: Tally::new(BOUND, CELLS) }
    }
}

impl Pages {
    /// The page in this format, a second old at most, for this source.
    ///
    /// # Errors
    ///
    /// 429 if the source got so many just now that draws would notice; not at once.
    pub(crate) async fn page(
        &self,
        app: &App,
        source: Source,
        format: Format,
    ) -> Result<Bytes, Problem> {
        let now = app.engine.vitals().uptime;
        if let Some(secs) = self.sent.once_more(source, now) {
            tokio::time::sleep(PAUSE).await;
            return Err(Problem::scraped_too_often(secs));
        }
        Ok(self.latest_page(app, format).await)
    }

    async fn latest_page(&self, app: &App, format: Format) -> Bytes {
        let mut latest = self.latest.lock().await;
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
