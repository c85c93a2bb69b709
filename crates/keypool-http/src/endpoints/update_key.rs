//! `PATCH /admin/keys/{id}`: changes what is given of a key; holds at once.

use keypool_engine::{KeyPatch, Plain, Timestamp};

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::{list_keys, refused};
use crate::input::Input;
use crate::members::Field;
use crate::patch::read_patch;
use crate::problem::Problem;
use crate::reply::{Answer, Reply};

const MEMBERS: &[&str] = &[
    "name",
    "key",
    "tier",
    "is_active",
    "expires_at",
    "usage_limit",
    "usage_window_seconds",
    "usage_count",
    "metadata",
    "secrets",
];

/// Changes the key, and shows it as the list does.
pub(crate) async fn update_key(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [id] = input.path()?;
    let [] = input.query([])?;
    let patch = read(input.body.as_slice())?;
    match app.engine.update_key(&input.origin(), &id, patch).await {
        Ok(key) => Ok(Reply::ok(&list_keys::shape(&key))),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}

fn read(body: &[u8]) -> Result<KeyPatch, Problem> {
    let members = read_patch(body, MEMBERS)?;
    Ok(KeyPatch {
        name: members.replaced("name", Field::text)?,
        value: members.replaced("key", Field::secret)?,
        tier: members.replaced("tier", Field::text)?,
        is_active: members.replaced("is_active", Field::yes_or_no)?,
        expires_at: members.clearable("expires_at", moment)?,
        usage_limit: members.clearable("usage_limit", Field::whole_number)?,
        usage_window_seconds: members.clearable("usage_window_seconds", Field::whole_number)?,
        usage_count: members.replaced("usage_count", Field::whole_number)?,
        metadata: members.replaced("metadata", Field::object_text)?,
        secrets: members.replaced("secrets", read_secrets)?.unwrap_or_default(),
    })
}

/// An empty text is no moment here: what clears an expiry is `null`.
fn moment(field: &Field<'_>) -> Result<Timestamp, Problem> {
    let moment = field.moment()?.map(|(moment, _)| moment);
    moment.ok_or_else(|| field.must("must be a time as in RFC 3339, or null for none"))
}

fn read_secrets(field: &Field<'_>) -> Result<Vec<(String, Option<Plain>)>, Problem> {
    let secret = |secret: Field<'_>| {
        let value = if secret.is_null() { None } else { Some(secret.secret()?) };
        Ok((secret.name, value))
    };
    field.any_object()?.fields().map(secret).collect()
}
