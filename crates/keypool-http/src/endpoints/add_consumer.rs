//! `POST /admin/consumers`: creates a consumer, and shows its token this once.

use keypool_engine::{IssuedToken, NewConsumer};
use serde::Serialize;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::refused;
use crate::input::Input;
use crate::members::{Field, read_object};
use crate::problem::Problem;
use crate::reply::{Answer, Reply};

#[derive(Serialize)]
struct Issued<'a> {
    id: &'a str,
    name: &'a str,
    token: &'a str,
}

/// Creates a consumer with the scopes that are given.
pub(crate) async fn add_consumer(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    let consumer = read(input.body.as_slice())?;
    match app.engine.add_consumer(&input.origin(), consumer).await {
        Ok(issued) => Ok(show_token(&issued)),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}

/// The answer that shows a token, this once.
pub(super) fn show_token(issued: &IssuedToken) -> Reply {
    let IssuedToken { id, name, token } = issued;
    Reply::created(&Issued { id, name, token: token.expose() })
}

fn read(body: &[u8]) -> Result<NewConsumer, Problem> {
    let members = read_object(body, &["name", "description", "scopes", "expires_at"])?;
    Ok(NewConsumer {
        name: members.required("name")?.text()?,
        description: match members.optional("description") {
            Some(description) => description.text()?,
            None => String::new(),
        },
        scopes: match members.optional("scopes") {
            Some(scopes) => scopes.elements()?.iter().map(Field::text).collect::<Result<_, _>>()?,
            None => Vec::new(),
        },
        expires_at: match members.optional("expires_at") {
            Some(expires_at) => expires_at.moment()?.map(|(moment, _)| moment),
            None => None,
        },
    })
}
