//! Bodies of PATCH: what is absent stays, `null` clears what need not be there and nothing else, and something is to be
//! changed.

use crate::members::{Field, Members, read_object};
use crate::problem::Problem;

/// Reads a body that is one JSON object with some of the members in `known`, and no others.
///
/// # Errors
///
/// A [`Problem`] with status 400.
pub(crate) fn read_patch<'b>(body: &'b [u8], known: &[&str]) -> Result<Members<'b>, Problem> {
    let members = read_object(body, known)?;
    if members.fields().next().is_none() {
        return Err(Problem::malformed(format!(
            "the body names nothing to change: it takes {}",
            known.join(", ")
        )));
    }
    Ok(members)
}

impl<'b> Members<'b> {
    /// What a member that every thing has is to become.
    pub(crate) fn replaced<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Field<'b>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        match self.given(name) {
            Some(field) if field.is_null() => Err(field.must("can't be cleared by null")),
            Some(field) => read(&field).map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<(Option<i64>, Option<Option<i64>>), Problem> {
        let members = read_patch(body.as_bytes(), &["a", "b"])?;
        Ok((
            members.replaced("a", Field::whole_number)?,
            members.clearable("b", Field::whole_number)?,
        ))
    }

    #[test]
    fn absent_stays_null_clears_and_a_value_replaces() {
        assert_eq!(read(r#"{"a":1}"#).unwrap(), (Some(1), None));
        assert_eq!(read(r#"{"b":null}"#).unwrap(), (None, Some(None)));
        assert_eq!(read(r#"{"b":2,"a":1}"#).unwrap(), (Some(1), Some(Some(2))));
    }

    #[test]
    fn refuses_what_changes_nothing_and_what_can_not_be_cleared() {
        assert_eq!(read("{}").unwrap_err().field, None);
        for (body, field) in [(r#"{"a":null}"#, "a"), (r#"{"b":"2"}"#, "b"), (r#"{"c":1}"#, "c")] {
            assert_eq!(read(body).unwrap_err().field.as_deref(), Some(field), "{body}");
        }
    }
}
