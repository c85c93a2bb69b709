//! `GET /admin/consumers`: lists the consumers, never their tokens.

use http::StatusCode;
use keypool_engine::ConsumerView;
use serde::Serialize;

use crate::answer::App;
use crate::auth::Admin;
use crate::input::Input;
use crate::reply::{Answer, Reply};
use crate::times::ToTheMillisecond;

#[derive(Serialize)]
struct Consumer<'a> {
    id: &'a str,
    name: &'a str,
    description: &'a str,
    is_active: bool,
    scopes: Vec<&'a str>,
    created_at: ToTheMillisecond,
}

/// Lists the consumers, in order of creation.
pub(crate) async fn list_consumers(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    app.engine.confirm_recent().await?;
    let consumers = app.engine.consumers();
    Ok(Reply::array(StatusCode::OK, &consumers, shape).await)
}

fn shape(consumer: &ConsumerView) -> Consumer<'_> {
    Consumer {
        id: &consumer.id,
        name: &consumer.name,
        description: &consumer.description,
        is_active: consumer.is_active,
        scopes: consumer.scopes.iter().map(|tier| &**tier).collect(),
        created_at: ToTheMillisecond(consumer.created_at),
    }
}
