//! `POST /admin/consumers/{id}/scopes`: lets a consumer draw from a tier.

use serde::Serialize;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::refused;
use crate::input::Input;
use crate::members::read_object;
use crate::reply::{Answer, Reply};

#[derive(Serialize)]
struct Scope<'a> {
    consumer_id: &'a str,
    tier: &'a str,
}

/// Grants the scope; twice is harmless.
pub(crate) async fn add_scope(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [consumer] = input.path()?;
    let [] = input.query([])?;
    let members = read_object(input.body.as_slice(), &["tier"])?;
    let tier = members.required("tier")?.text()?;
    match app.engine.add_scope(&input.origin(), &consumer, &tier).await {
        Ok(scope) => {
            Ok(Reply::created(&Scope { consumer_id: &scope.consumer_id, tier: &scope.tier }))
        }
        Err(error) => Err(refused(&app.engine, error).await),
    }
}
