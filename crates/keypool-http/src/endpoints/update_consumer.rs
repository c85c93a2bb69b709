//! `PATCH /admin/consumers/{id}`: changes a consumer; one that is deactivated or has expired is nobody.

use keypool_engine::{ConsumerPatch, Timestamp};

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::{list_consumers, refused};
use crate::input::Input;
use crate::members::{Field, read_object};
use crate::problem::Problem;
use crate::reply::{Answer, Reply};

/// Replaces what is given; an expiry that is `null` is taken away.
pub(crate) async fn update_consumer(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [id] = input.path()?;
    let [] = input.query([])?;
    let patch = read(input.body.as_slice())?;
    // The answer says when it was used last.
    app.engine.confirm_uses().await?;
    match app.engine.update_consumer(&input.origin(), &id, patch).await {
        Ok(consumer) => Ok(Reply::ok(&list_consumers::shape(&consumer))),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}

fn read(body: &[u8]) -> Result<ConsumerPatch, Problem> {
    let members = read_object(body, &["name", "description", "is_active", "expires_at"])?;
    Ok(ConsumerPatch {
        name: members.optional("name").map(|field| field.text()).transpose()?,
        description: members.optional("description").map(|field| field.text()).transpose()?,
        is_active: members.optional("is_active").map(|field| field.yes_or_no()).transpose()?,
        expires_at: members.clearable("expires_at", read_expiry)?,
    })
}

fn read_expiry(field: &Field<'_>) -> Result<Timestamp, Problem> {
    let (moment, _) =
        field.moment()?.ok_or_else(|| field.must("must be a time, or null for none"))?;
    Ok(moment)
}
