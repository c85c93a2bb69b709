//! `POST /admin/consumers/{id}/token`: gives a consumer another token, and shows it this once.

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::add_consumer::show_token;
use crate::endpoints::refused;
use crate::input::Input;
use crate::members::read_object_if_any;
use crate::reply::Answer;

/// Issues the token; those before it work for the overlap at most, which is none where no body says so.
pub(crate) async fn issue_token(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [id] = input.path()?;
    let [] = input.query([])?;
    let members = read_object_if_any(input.body.as_slice(), &["overlap_seconds"])?;
    let overlap = members.optional("overlap_seconds").map(|field| field.whole_number());
    let overlap = overlap.transpose()?.unwrap_or(0);
    match app.engine.issue_token(&input.origin(), &id, overlap).await {
        Ok(issued) => Ok(show_token(&issued)),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}
