//! `POST /admin/keys`: adds one key, or with an array up to 10,000, all or none.

use http::StatusCode;
use keypool_engine::{AddedKey, NewKey, Plain};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::{metadata, refused};
use crate::input::Input;
use crate::members::{Body, Field, read_one_or_many};
use crate::problem::Problem;
use crate::reply::{Answer, Reply};

const MEMBERS: &[&str] = &[
    "name",
    "key",
    "tier",
    "expires_at",
    "usage_limit",
    "usage_window_seconds",
    "metadata",
    "secrets",
];

#[derive(Serialize)]
struct Added<'a> {
    id: &'a str,
    name: &'a str,
    tier: &'a str,
    /// As it was sent.
    expires_at: Option<&'a str>,
    usage_limit: Option<i64>,
    usage_window_seconds: Option<i64>,
    metadata: &'a RawValue,
    secret_names: Vec<&'a str>,
    /// The id of a key that holds the same value.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_of: Option<&'a str>,
}

/// A key to be added, and its expiry as it was sent.
pub(crate) type Asked = (NewKey, Option<String>);

/// Adds what the body holds: an object or an array.
pub(crate) async fn add_key(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    match read_one_or_many(input.body.as_slice())? {
        Body::One(field) => add_one(app, input, read_key(&field)?).await,
        Body::Many(fields) => {
            let asked: Vec<Asked> = fields.iter().map(read_key).collect::<Result<_, _>>()?;
            add_many(app, input, asked).await
        }
    }
}

async fn add_one(app: &App, input: &Input<'_>, (key, expires_at): Asked) -> Answer {
    match app.engine.add_key(&input.origin(), key).await {
        Ok(key) => Ok(Reply::created(&shape(&(key, expires_at)))),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}

async fn add_many(app: &App, input: &Input<'_>, asked: Vec<Asked>) -> Answer {
    let (keys, expiries): (Vec<NewKey>, Vec<Option<String>>) = asked.into_iter().unzip();
    match app.engine.add_keys(&input.origin(), keys).await {
        Ok(keys) => {
            let added: Vec<_> = keys.into_iter().zip(expiries).collect();
            Ok(Reply::array(StatusCode::CREATED, &added, shape).await)
        }
        Err(error) => Err(refused(&app.engine, error).await),
    }
}

/// Reads one key, and its expiry as it was sent.
pub(crate) fn read_key(field: &Field<'_>) -> Result<Asked, Problem> {
    let members = field.object(MEMBERS)?;
    let number = |name| members.optional(name).map(|field| field.whole_number()).transpose();
    let expires_at = match members.optional("expires_at") {
        Some(field) => field.moment()?,
        None => None,
    };
    let (expires_at, as_sent) = expires_at.unzip();
    let key = NewKey {
        name: members.required("name")?.text()?,
        value: members.required("key")?.secret()?,
        tier: members.required("tier")?.text()?,
        expires_at,
        usage_limit: number("usage_limit")?,
        usage_window_seconds: number("usage_window_seconds")?,
        metadata: members.optional("metadata").map(|field| field.object_text()).transpose()?,
        secrets: match members.optional("secrets") {
            Some(secrets) => read_secrets(&secrets)?,
            None => Vec::new(),
        },
    };
    Ok((key, as_sent))
}

fn read_secrets(field: &Field<'_>) -> Result<Vec<(String, Plain)>, Problem> {
    field.any_object()?.fields().map(|secret| Ok((secret.name.clone(), secret.secret()?))).collect()
}

fn shape((added, expires_at): &(AddedKey, Option<String>)) -> Added<'_> {
    let AddedKey { key, duplicate_of } = added;
    Added {
        id: &key.id,
        name: &key.name,
        tier: &key.tier,
        expires_at: expires_at.as_deref(),
        usage_limit: key.usage_limit,
        usage_window_seconds: key.usage_window_seconds,
        metadata: metadata(&key.metadata),
        secret_names: key.secret_names.iter().map(|name| &**name).collect(),
        duplicate_of: duplicate_of.as_deref(),
    }
}
