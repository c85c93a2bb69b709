//! Query strings, read strictly: no parameter that is not known, none twice, no broken escape.

use std::borrow::Cow;

use crate::members::shown_name;
use crate::percent;
use crate::problem::Problem;

/// What becomes of parameters that an endpoint does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// They are refused.
    Refused,
    /// They are passed over, whatever they hold.
    Ignored,
}

/// The values of the parameters named in `known`, in that order.
///
/// # Errors
///
/// A [`Problem`] with status 400 that names the parameter: one that is repeated, not known (unless those are ignored) or
/// badly escaped.
pub(crate) fn parameters<const N: usize>(
    query: &str,
    known: [&'static str; N],
    unknown: Unknown,
) -> Result<[Option<String>; N], Problem> {
    let mut values = [const { None }; N];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name);
        let index = name.as_deref().and_then(|name| known.iter().position(|known| *known == name));
        match (index, name) {
            (Some(index), _) => {
                let value = decode(value).ok_or_else(|| {
                    Problem::field(known[index], "is not a properly escaped text")
                })?;
                if values[index].replace(value.into_owned()).is_some() {
                    return Err(Problem::field(known[index], "is given more than once"));
                }
            }
            (None, _) if unknown == Unknown::Ignored => {}
            (None, Some(name)) => {
                return Err(Problem::field(shown_name(&name), "is not a parameter of this path"));
            }
            (None, None) => {
                return Err(Problem::malformed("the query string is not properly escaped"));
            }
        }
    }
    Ok(values)
}

/// As HTML forms escape: `+` is a space.
fn decode(escaped: &str) -> Option<Cow<'_, str>> {
    if escaped.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
        percent::decode(&escaped.replace('+', " ")).map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(escaped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, unknown: Unknown) -> Result<[Option<String>; 2], Option<String>> {
        parameters(query, ["limit", "key"], unknown).map_err(|problem| problem.field)
    }

    #[test]
    fn reads_what_is_known() {
        let both = Ok([Some("5".to_owned()), Some("a b+é".to_owned())]);
        assert_eq!(read("limit=5&key=a+b%2B%C3%A9", Unknown::Refused), both);
        assert_eq!(read("&key=a%20b%2b%c3%a9&&%6Cimit=5&", Unknown::Refused), both);
        assert_eq!(read("", Unknown::Refused), Ok([None, None]));
        assert_eq!(read("limit", Unknown::Refused), Ok([Some(String::new()), None]));
        assert_eq!(read("key=a=b", Unknown::Refused), Ok([None, Some("a=b".to_owned())]));
    }

    #[test]
    fn refuses_repeated_unknown_and_broken_parameters() {
        let named = |name: &str| Err(Some(name.to_owned()));
        assert_eq!(read("limit=1&limit=1", Unknown::Refused), named("limit"));
        assert_eq!(read("limit=%zz", Unknown::Refused), named("limit"));
        assert_eq!(read("key=%ff", Unknown::Refused), named("key"));
        assert_eq!(read("Limit=1", Unknown::Refused), named("Limit"));
        assert_eq!(read("=1", Unknown::Refused), named("(empty)"));
        assert_eq!(read("li%mit=1", Unknown::Refused), Err(None));
    }

    #[test]
    fn passes_over_the_unknown_where_it_is_told_to() {
        let ok = Ok([Some("1".to_owned()), None]);
        assert_eq!(read("a=%zz&limit=1&%zz=3&a=1&a", Unknown::Ignored), ok);
        assert_eq!(
            read("limit=1&limit=2", Unknown::Ignored),
            Err(Some("limit".to_owned())),
            "what is known may still not be repeated"
        );
    }
}
