//! Pages of a list: how many items at most, and whether there are more.

use crate::problem::Problem;

const DEFAULT_LIMIT: u32 = 100;
const HIGHEST_LIMIT: u32 = 1000;

/// The most items that the parameter `limit` asks for: 100 where it is absent, 1000 where it is higher.
///
/// # Errors
///
/// 400 for what is no positive whole number.
pub(crate) fn limit(given: Option<&str>) -> Result<u32, Problem> {
    given.map_or(Ok(DEFAULT_LIMIT), |text| {
        read_limit(text)
            .ok_or_else(|| Problem::field("limit", "must be a whole number, at least 1"))
    })
}

/// A page of the items found, and whether there are further ones: of which one is asked for more than the page takes.
pub(crate) fn split<T>(found: &[T], limit: u32) -> (&[T], bool) {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let (page, further) = found.split_at(most.min(found.len()));
    (page, !further.is_empty())
}

fn read_limit(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return None;
    }
    let limit = text.parse().unwrap_or(HIGHEST_LIMIT).min(HIGHEST_LIMIT);
    (limit > 0).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_positive_whole_numbers_and_capped() {
        let cases = [
            ("1", Some(1)),
            ("0100", Some(100)),
            ("1000", Some(1000)),
            ("1001", Some(1000)),
            ("99999999999999999999999", Some(1000)),
            ("0", None),
            ("000", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("ten", None),
            ("", None),
            (" 1", None),
            ("１", None),
        ];
        for (text, limit) in cases {
            assert_eq!(read_limit(text), limit, "{text:?}");
        }
    }
}
