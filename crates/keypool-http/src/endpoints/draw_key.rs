//! `GET /key`: draws a key for a feature.

use bytes::Bytes;
use http::StatusCode;
use keypool_engine::{Served, is_feature_name};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::App;
use crate::auth::Authenticated;
use crate::endpoints::{Ordered, metadata};
use crate::input::Input;
use crate::problem::Problem;
use crate::reply::{Answer, Reply, to_json};

#[derive(Serialize)]
struct Grant<'a, S: Serialize> {
    key_id: &'a str,
    value: &'a str,
    metadata: &'a RawValue,
    secrets: S,
    draw_id: String,
}

/// Draws for the caller; whatever the answer says is on record before it leaves.
pub(crate) async fn draw_key(app: &App, caller: Authenticated, input: &Input<'_>) -> Answer {
    let [feature] = input.query_among_others(["feature"])?;
    let feature = feature.ok_or_else(|| Problem::field("feature", "is required"))?;
    if !is_feature_name(&feature) && !app.engine.knows_feature(&feature) {
        return Err(Problem::field(
            "feature",
            "must be 1 to 128 characters of A-Z a-z 0-9 _ . : / -",
        ));
    }
    let served = app.engine.draw(caller.caller(), &feature).await?;
    Ok(granted(&served))
}

fn granted(served: &Served) -> Reply {
    Reply::of_bytes(StatusCode::OK, grant_body(served))
}

/// The body of `GET /key`'s answer, as JSON: for who embeds the engine and speaks HTTP by other means. Its memory is wiped
/// once the last holder drops it.
#[must_use]
pub fn grant_body(served: &Served) -> Bytes {
    let secrets = served.secrets.iter().map(|secret| (&*secret.name, secret.value.expose()));
    let grant = Grant {
        key_id: &served.key_id,
        value: served.value.expose(),
        metadata: metadata(&served.metadata),
        secrets: Ordered(secrets.clone()),
        draw_id: served.draw_id.to_string(),
    };
    let bound: usize = secrets.map(|(name, value)| name.len() + value.len() + 8).sum();
    let size = 256 + grant.value.len() + served.metadata.len() + bound;
    to_json(&grant, size)
}
