//! What it costs to look for usage events by what they are not ordered by, and to count them; and what that costs draws.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::bench::figures::{reading, times};
use crate::bench::load::Load;
use crate::bench::process::{ADMIN_TOKEN, Server};
use crate::bench::report::Row;

/// Searches that soon find what they look for, one that has to look at every event, and summaries.
pub(crate) fn searches(bench: &Bench, server: &Server, folder: &Path) -> anyhow::Result<Vec<Row>> {
    let mut admin = server.client(ADMIN_TOKEN)?;
    let idle = admin.call("POST", "/admin/consumers", &json!({"name": "idle"}))?;
    let idle = idle["id"].as_str().context("a consumer has an id")?.to_owned();
    let listed = admin.call("GET", "/admin/usage?limit=1", &Value::Null)?;
    let text = |member: &str| listed[0][member].as_str().map(str::to_owned);
    let (key, at) =
        text("key_id").zip(text("created_at")).context("an event has a key and a time")?;

    let mut rows = Vec::new();
    for (name, path, count) in [
        ("page by feature", "/admin/usage?feature=search".to_owned(), 50),
        ("page by key and feature", format!("/admin/usage?key={key}&feature=search"), 50),
        ("page before a time", format!("/admin/usage?until={at}"), 50),
        ("page of a consumer without events", format!("/admin/usage?consumer={idle}"), 3),
        ("summary, total", "/admin/usage/summary".to_owned(), 3),
        ("summary by key", "/admin/usage/summary?by=key".to_owned(), 3),
        (
            "summary by day, consumer, feature",
            "/admin/usage/summary?by=day,consumer,feature".to_owned(),
            3,
        ),
    ] {
        let took = times(count, &mut || admin.expect(&path, 200).map(drop))?;
        rows.push(Row::value(&format!("{name}, {} events", bench.events), took / 1e3, "ms"));
    }

    let token = std::fs::read_to_string(folder.join("token"))?;
    let search = format!("/admin/usage?consumer={idle}");
    for connections in [1, 32] {
        let draws = || {
            let load = Load {
                address: server.address,
                token: &token,
                connections,
                seconds: bench.seconds,
            };
            bench.generator.run(load, folder)
        };
        let alone = draws()?;
        let beside = reading(server.address, &[&search], draws)?;
        for (name, outcome) in [("alone", alone), ("beside searches", beside)] {
            let row = Row::value(&format!("FULL, {connections}, {name}"), outcome.rate, "draws/s");
            rows.push(Row { percentiles: Some(outcome.percentiles), ..row });
        }
    }
    Ok(rows)
}
