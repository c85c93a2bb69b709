//! Bad news as callers see it: status, stable code and sentence of every refusal and failure, in one place.
//!
//! Problem details are RFC 9457; the member `error` repeats the sentence for callers of the Go program, which this
//! service replaces. A sentence never repeats what was sent, but for names of members, parameters and tiers.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use keypool_engine::{AdminError, DrawError, Invalid, Limit, Refusal, Unavailable};

/// What programs switch on. Codes are stable; sentences are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    MalformedRequest,
    InvalidField,
    Unauthorized,
    Forbidden,
    OutOfScope,
    NotFound,
    UnknownFeature,
    UnknownTier,
    UnknownKey,
    UnknownConsumer,
    UnknownScope,
    MethodNotAllowed,
    HeadTimeout,
    BodyTimeout,
    NameTaken,
    TierInUse,
    BodyTooLarge,
    UriTooLong,
    ExpectationFailed,
    HeadersTooLarge,
    RateLimited,
    BudgetSpent,
    NoUsableKey,
    Throttled,
    InternalError,
    NotImplemented,
    StoreUnavailable,
    CommitInDoubt,
    Overloaded,
    VersionNotSupported,
}

impl Code {
    /// The table of all bad news: status and code.
    const fn row(self) -> (StatusCode, &'static str) {
        match self {
            Self::MalformedRequest => (StatusCode::BAD_REQUEST, "malformed_request"),
            Self::InvalidField => (StatusCode::BAD_REQUEST, "invalid_field"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Self::OutOfScope => (StatusCode::FORBIDDEN, "out_of_scope"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::UnknownFeature => (StatusCode::NOT_FOUND, "unknown_feature"),
            Self::UnknownTier => (StatusCode::NOT_FOUND, "unknown_tier"),
            Self::UnknownKey => (StatusCode::NOT_FOUND, "unknown_key"),
            Self::UnknownConsumer => (StatusCode::NOT_FOUND, "unknown_consumer"),
            Self::UnknownScope => (StatusCode::NOT_FOUND, "unknown_scope"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::HeadTimeout => (StatusCode::REQUEST_TIMEOUT, "head_timeout"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "body_timeout"),
            Self::NameTaken => (StatusCode::CONFLICT, "name_taken"),
            Self::TierInUse => (StatusCode::CONFLICT, "tier_in_use"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::UriTooLong => (StatusCode::URI_TOO_LONG, "uri_too_long"),
            Self::ExpectationFailed => (StatusCode::EXPECTATION_FAILED, "expectation_failed"),
            Self::HeadersTooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")
            }
            // RFC 6585 section 4.
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::BudgetSpent => (StatusCode::TOO_MANY_REQUESTS, "budget_spent"),
            Self::NoUsableKey => (StatusCode::TOO_MANY_REQUESTS, "no_usable_key"),
            Self::Throttled => (StatusCode::TOO_MANY_REQUESTS, "throttled"),
            Self::InternalError => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
            Self::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "not_implemented"),
            Self::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            Self::CommitInDoubt => (StatusCode::SERVICE_UNAVAILABLE, "commit_in_doubt"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            Self::VersionNotSupported => {
                (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "version_not_supported")
            }
        }
    }

    /// The status that goes with it.
    pub(crate) const fn status(self) -> StatusCode {
        self.row().0
    }

    /// The word that goes with it.
    pub(crate) const fn as_str(self) -> &'static str {
        self.row().1
    }
}

/// One piece of bad news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// A sentence for people.
    pub(crate) detail: Cow<'static, str>,
    /// The field that is at fault, as callers name it.
    pub(crate) field: Option<String>,
    /// Whole seconds after which the same request may succeed.
    pub(crate) retry_after_secs: Option<u64>,
    /// The methods that the path knows.
    pub(crate) allow: Option<String>,
}

impl Problem {
    /// Bad news with a sentence.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), field: None, retry_after_secs: None, allow: None }
    }

    /// A field, member or parameter whose content is not allowed; `problem` says what it takes.
    pub(crate) fn field(field: impl Into<String>, problem: &str) -> Self {
        let field = field.into();
        let detail = format!("{field}: {problem}");
        Self { field: Some(field), ..Self::new(Code::InvalidField, detail) }
    }

    /// Input that can't be read at all.
    pub(crate) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::MalformedRequest, detail)
    }

    /// No token, or none that is known.
    pub(crate) fn unauthorized() -> Self {
        Self::new(
            Code::Unauthorized,
            "a valid token is needed, as the one header `Authorization: Bearer <token>`",
        )
    }

    /// No token, or none that is known, once too often.
    pub(crate) fn throttled(secs: u32) -> Self {
        Self::new(
            Code::Throttled,
            "too many requests without a valid token came from your address; a valid one is answered at any time",
        )
        .retry_after(secs.into())
    }

    /// One page of metrics too many.
    pub(crate) fn scraped_too_often(secs: u32) -> Self {
        Self::new(Code::Throttled, "metrics were asked for too often from your address")
            .retry_after(secs.into())
    }

    /// More than can be taken on now.
    pub(crate) fn overloaded(detail: &'static str) -> Self {
        Self::new(Code::Overloaded, detail).retry_after(1)
    }

    /// No such path.
    pub(crate) fn not_found() -> Self {
        Self::new(Code::NotFound, "there is nothing at this path")
    }

    /// A bug of ours, which the log tells about.
    pub(crate) fn internal() -> Self {
        Self::new(
            Code::InternalError,
            "the server failed to answer because of a bug; its log names this request's id",
        )
    }

    fn retry_after(self, secs: u64) -> Self {
        Self { retry_after_secs: Some(secs), ..self }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownCaller => Self::unauthorized(),
            Refusal::OutOfScope => {
                Self::new(Code::OutOfScope, "no tier in this consumer's scope covers the feature")
            }
            Refusal::UnknownFeature => {
                Self::new(Code::UnknownFeature, "no tier covers the feature")
            }
            Refusal::Spent { limit: Limit::Rate, retry_after } => {
                Self::new(Code::RateLimited, "every usable key for the feature is at its rate limit")
                    .retry_after(whole_secs(retry_after))
            }
            Refusal::Spent { limit: Limit::Budget, retry_after } => Self::new(
                Code::BudgetSpent,
                "every usable key for the feature is at a limit, and the one that is back first has spent its budget",
            )
            .retry_after(whole_secs(retry_after)),
            Refusal::NoUsableKey => Self::new(
                Code::NoUsableKey,
                "no key for the feature can be used, and waiting will not change that",
            ),
        }
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        let code = match unavailable {
            Unavailable::Store | Unavailable::Closing => Code::StoreUnavailable,
            Unavailable::InDoubt => Code::CommitInDoubt,
            Unavailable::Overloaded => Code::Overloaded,
        };
        Self::new(code, unavailable.to_string()).retry_after(1)
    }
}

impl From<DrawError> for Problem {
    fn from(error: DrawError) -> Self {
        match error {
            DrawError::Refused(refusal) => refusal.into(),
            DrawError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Invalid(Invalid { field, problem }) => Self::field(field, &problem),
            AdminError::Unknown { what: "tier", name } => {
                Self::new(Code::UnknownTier, format!("there is no tier {}", shown(&name)))
            }
            AdminError::Unknown { what: "tier with the id", .. } => {
                Self::new(Code::UnknownTier, "there is no tier with this id")
            }
            AdminError::Unknown { what: "key", .. } => {
                Self::new(Code::UnknownKey, "there is no key with this id")
            }
            AdminError::Unknown { what: "consumer", .. } => {
                Self::new(Code::UnknownConsumer, "there is no consumer with this id")
            }
            AdminError::Unknown { what: "scope", .. } => {
                Self::new(Code::UnknownScope, "the consumer has no scope for this tier")
            }
            AdminError::Unknown { what, .. } => {
                Self::new(Code::NotFound, format!("there is no such {what}"))
            }
            AdminError::NameTaken { what, name } => Self::new(
                Code::NameTaken,
                format!("there is already a {what} named {}", shown(&name)),
            ),
            AdminError::TierInUse { name, keys } => {
                let (keys, them) = match keys {
                    1 => ("1 key".to_owned(), "it"),
                    more => (format!("{more} keys"), "them"),
                };
                let name = shown(&name);
                let detail = format!("the tier {name} holds {keys}: move or delete {them} first");
                Self::new(Code::TierInUse, detail)
            }
            AdminError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

/// A name in quotes, on one line and not without end.
pub(crate) fn shown(name: &str) -> String {
    const SHOWN: usize = 128;
    let start: String = name.chars().take(SHOWN).collect();
    let rest = if start.len() < name.len() { "…" } else { "" };
    format!("{start:?}{rest}")
}

/// Rounded up to whole seconds, and at least one.
fn whole_secs(duration: Duration) -> u64 {
    let part = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(part).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_waits_up_to_whole_seconds_and_at_least_one() {
        let cases = [
            (Duration::ZERO, 1),
            (Duration::from_millis(1), 1),
            (Duration::from_millis(1000), 1),
            (Duration::from_millis(1001), 2),
            (Duration::MAX, u64::MAX),
        ];
        for (wait, secs) in cases {
            assert_eq!(whole_secs(wait), secs, "{wait:?}");
        }
    }

    #[test]
    fn every_refusal_has_its_code() {
        let wait = Duration::from_secs(2);
        let cases = [
            (Refusal::UnknownCaller, 401, "unauthorized", None),
            (Refusal::OutOfScope, 403, "out_of_scope", None),
            (Refusal::UnknownFeature, 404, "unknown_feature", None),
            (
                Refusal::Spent { limit: Limit::Rate, retry_after: wait },
                429,
                "rate_limited",
                Some(2),
            ),
            (
                Refusal::Spent { limit: Limit::Budget, retry_after: wait },
                429,
                "budget_spent",
                Some(2),
            ),
            (Refusal::NoUsableKey, 429, "no_usable_key", None),
        ];
        for (refusal, status, code, retry_after) in cases {
            let problem = Problem::from(refusal);
            assert_eq!(problem.code.status().as_u16(), status);
            assert_eq!(problem.code.as_str(), code);
            assert_eq!(problem.retry_after_secs, retry_after);
        }
    }

    #[test]
    fn every_failure_is_a_503_that_may_be_retried_after_a_second() {
        let cases = [
            (Unavailable::Store, "store_unavailable"),
            (Unavailable::Closing, "store_unavailable"),
            (Unavailable::InDoubt, "commit_in_doubt"),
            (Unavailable::Overloaded, "overloaded"),
        ];
        for (unavailable, code) in cases {
            let problem = Problem::from(DrawError::Unavailable(unavailable));
            assert_eq!(problem.code.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(problem.code.as_str(), code);
            assert_eq!(problem.retry_after_secs, Some(1));
        }
    }

    #[test]
    fn names_are_shown_on_one_line_and_cut() {
        assert_eq!(shown("a\nb"), r#""a\nb""#);
        assert_eq!(shown(&"é".repeat(200)).chars().count(), 128 + 3);
    }
}
