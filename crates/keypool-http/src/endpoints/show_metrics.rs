//! `GET /metrics`: figures for Prometheus.

use crate::answer::App;
use crate::auth::Scraper;
use crate::input::Input;
use crate::metrics::Format;
use crate::reply::{Answer, Reply};

/// Shows what was counted and how the pool stands, a second old at most.
pub(crate) async fn show_metrics(app: &App, _: Scraper, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    let format = Format::preferred(input.headers);
    let page = app.pages.page(app, input.source, format).await?;
    Ok(Reply::page(format.content_type(), page))
}
