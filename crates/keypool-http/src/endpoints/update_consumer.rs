//! `PATCH /admin/consumers/{id}`: changes a consumer; one that is deactivated or has expired is nobody.

use keypool_engine::{ConsumerPatch, Timestamp};

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::{list_consumers, refused};
use crate::input::Input;
use crate::members::Field;
use crate::patch::read_patch;
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
    let members = read_patch(body, &["name", "description", "is_active", "expires_at"])?;
    Ok(ConsumerPatch {
        name: members.replaced("name", Field::text)?,
        description: members.replaced("description", Field::text)?,
        is_active: members.replaced("is_active", Field::yes_or_no)?,
        expires_at: members.clearable("expires_at", read_expiry)?,
    })
}

fn read_expiry(field: &Field<'_>) -> Result<Timestamp, Problem> {
    let (moment, _) =
        field.moment()?.ok_or_else(|| field.must("must be a time, or null for none"))?;
    Ok(moment)
}
