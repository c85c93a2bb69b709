//! `POST /admin/consumers`: creates a consumer, and shows its token this once.

use keypool_engine::NewConsumer;
use serde::Serialize;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::refused;
use crate::input::Input;
use crate::members::{Field, read_object};
use crate::problem::Problem;
use crate::reply::{Answer, Reply};

#[derive(Serialize)]
struct Added<'a> {
    id: &'a str,
    name: &'a str,
    token: &'a str,
}

/// Creates a consumer with the scopes that are given.
pub(crate) async fn add_consumer(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    let consumer = read(input.body.as_slice())?;
    match app.engine.add_consumer(&input.origin(), consumer).await {
        Ok(added) => Ok(Reply::created(&Added {
            id: &added.id,
            name: &added.name,
            token: added.token.expose(),
        })),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}

fn read(body: &[u8]) -> Result<NewConsumer, Problem> {
    let members = read_object(body, &["name", "description", "scopes"])?;
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
    })
}
