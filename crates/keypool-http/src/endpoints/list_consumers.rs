//! `GET /admin/consumers`: lists the consumers, never their tokens.

use http::StatusCode;
use keypool_engine::ConsumerView;
use serde::Serialize;

use crate::answer::App;
use crate::auth::Admin;
use crate::input::Input;
use crate::reply::{Answer, Reply};
use crate::times::ToTheMillisecond;

/// A consumer as the API shows it.
#[derive(Serialize)]
pub(super) struct Consumer<'a> {
    id: &'a str,
    name: &'a str,
    description: &'a str,
    is_active: bool,
    expires_at: Option<ToTheMillisecond>,
    scopes: Vec<&'a str>,
    created_at: ToTheMillisecond,
    last_used_at: Option<ToTheMillisecond>,
    token_issued_at: ToTheMillisecond,
    old_token_until: Option<ToTheMillisecond>,
}

/// Lists the consumers, in order of creation.
pub(crate) async fn list_consumers(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    app.engine.confirm_uses().await?;
    let consumers = app.engine.consumers();
    Ok(Reply::array(StatusCode::OK, &consumers, shape).await)
}

/// The shape of a consumer.
pub(super) fn shape(consumer: &ConsumerView) -> Consumer<'_> {
    Consumer {
        id: &consumer.id,
        name: &consumer.name,
        description: &consumer.description,
        is_active: consumer.is_active,
        expires_at: consumer.expires_at.map(ToTheMillisecond),
        scopes: consumer.scopes.iter().map(|tier| &**tier).collect(),
        created_at: ToTheMillisecond(consumer.created_at),
        last_used_at: consumer.last_used_at.map(ToTheMillisecond),
        token_issued_at: ToTheMillisecond(consumer.token_issued_at),
        old_token_until: consumer.old_token_until.map(ToTheMillisecond),
    }
}
