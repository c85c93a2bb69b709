//! What requests say: the JSON of Hrana 3, borrowed from the body where it can be.
//!
//! Source: <https://github.com/tursodatabase/libsql/blob/main/docs/HRANA_3_SPEC.md>.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::sql_error::SqlError;

/// The body of `POST /v3/pipeline`.
#[derive(Debug, Deserialize)]
pub(crate) struct PipelineBody<'a> {
    #[serde(borrow, default)]
    pub(crate) baton: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) requests: Vec<StreamRequest<'a>>,
}

/// The body of `POST /v3/cursor`.
#[derive(Debug, Deserialize)]
pub(crate) struct CursorBody<'a> {
    #[serde(borrow, default)]
    pub(crate) baton: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) batch: Batch<'a>,
}

/// One request of a pipeline, with the fields of all kinds: an enum by tag would copy them first.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamRequest<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: RequestKind,
    #[serde(borrow, default)]
    pub(crate) stmt: Option<Stmt<'a>>,
    #[serde(borrow, default)]
    pub(crate) batch: Option<Batch<'a>>,
    #[serde(borrow, default)]
    pub(crate) sql: Option<Text<'a>>,
    #[serde(default)]
    pub(crate) sql_id: Option<i32>,
}

/// What a pipeline can be asked.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RequestKind {
    Batch,
    Close,
    CloseSql,
    Describe,
    Execute,
    GetAutocommit,
    Sequence,
    StoreSql,
}

/// A statement with its arguments.
#[derive(Debug, Deserialize)]
pub(crate) struct Stmt<'a> {
    #[serde(borrow, default)]
    pub(crate) sql: Option<Text<'a>>,
    #[serde(default)]
    pub(crate) sql_id: Option<i32>,
    #[serde(borrow, default)]
    pub(crate) args: Vec<Argument<'a>>,
    #[serde(borrow, default)]
    pub(crate) named_args: Vec<NamedArgument<'a>>,
    #[serde(default)]
    pub(crate) want_rows: Option<bool>,
}

/// An argument with the name of its parameter, with or without its sign.
#[derive(Debug, Deserialize)]
pub(crate) struct NamedArgument<'a> {
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    #[serde(borrow)]
    pub(crate) value: Argument<'a>,
}

/// Statements, each with a condition on those before.
#[derive(Debug, Deserialize)]
pub(crate) struct Batch<'a> {
    #[serde(borrow)]
    pub(crate) steps: Vec<Step<'a>>,
}

/// A statement of a batch.
#[derive(Debug, Deserialize)]
pub(crate) struct Step<'a> {
    #[serde(default)]
    pub(crate) condition: Option<Condition>,
    #[serde(borrow)]
    pub(crate) stmt: Stmt<'a>,
}

/// When a step is executed.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Condition {
    /// A step before succeeded.
    Ok { step: usize },
    /// A step before failed.
    Error { step: usize },
    /// Another condition does not hold.
    Not { cond: Box<Condition> },
    /// All of them hold.
    And { conds: Vec<Condition> },
    /// One of them holds.
    Or { conds: Vec<Condition> },
    /// No transaction is open.
    IsAutocommit {},
}

/// A string, borrowed unless it has escapes.
#[derive(Debug, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value to bind.
#[derive(Debug, Deserialize)]
pub(crate) struct Argument<'a> {
    #[serde(rename = "type")]
    kind: ArgumentKind,
    #[serde(borrow, default)]
    value: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    base64: Option<Text<'a>>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum ArgumentKind {
    Blob,
    Float,
    Integer,
    Null,
    Text,
}

#[derive(Debug)]
enum Scalar<'a> {
    Number(f64),
    Text(Cow<'a, str>),
}

impl Argument<'_> {
    /// The value as SQLite takes it. Text is not copied.
    ///
    /// # Errors
    ///
    /// `ARGS_INVALID` where type and value don't fit.
    pub(crate) fn to_sql(&self) -> Result<ToSqlOutput<'_>, SqlError> {
        let misfit = || SqlError::wrong_arguments("a value is not of its type");
        match (self.kind, &self.value, &self.base64) {
            (ArgumentKind::Null, _, _) => Ok(ToSqlOutput::Owned(Value::Null)),
            (ArgumentKind::Integer, Some(Scalar::Text(digits)), _) => {
                let number = digits.parse().map_err(|_| misfit())?;
                Ok(ToSqlOutput::Owned(Value::Integer(number)))
            }
            (ArgumentKind::Float, Some(Scalar::Number(number)), _) => {
                Ok(ToSqlOutput::Owned(Value::Real(*number)))
            }
            (ArgumentKind::Text, Some(Scalar::Text(text)), _) => {
                Ok(ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())))
            }
            (ArgumentKind::Blob, _, Some(base64)) => {
                let unpadded = base64.as_str().trim_end_matches('=');
                let bytes = STANDARD_NO_PAD.decode(unpadded).map_err(|_| misfit())?;
                Ok(ToSqlOutput::Owned(Value::Blob(bytes)))
            }
            (
                ArgumentKind::Integer
                | ArgumentKind::Float
                | ArgumentKind::Text
                | ArgumentKind::Blob,
                _,
                _,
            ) => Err(misfit()),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number))
    }

    #[expect(clippy::cast_precision_loss, reason = "a float may be written without a fraction")]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "a float may be written without a fraction")]
    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number as f64))
    }
}
