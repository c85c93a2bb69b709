//! Who calls: turns the bearer token into a proof that endpoints demand in their signatures. Only this page can make
//! one, so an endpoint that forgets to ask does not compile.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use keypool_engine::{Caller, Engine, TokenDigest, is_plausible_token};

use crate::answer::App;
use crate::problem::{Code, Problem};

/// Proof that the caller's token is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authenticated(Caller);

/// Proof that the caller's token is the admin's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admin(());

/// Proof that the caller's token is the admin's, or the one for metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scraper(());

impl Authenticated {
    /// Whose token it is.
    pub(crate) const fn caller(self) -> Caller {
        self.0
    }
}

/// Whose token the request carries.
///
/// # Errors
///
/// 401 if it carries none, more than one or one that is not known, 403 if it is the one for metrics; 503 if what is known
/// can't be confirmed.
pub(crate) async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Authenticated, Problem> {
    let engine = &app.engine;
    let token = bearer_token(headers).ok_or_else(Problem::unauthorized)?;
    if let Some(caller) = engine.authenticate(token) {
        return Ok(Authenticated(caller));
    }
    if is_for_metrics(app, token) {
        return Err(forbidden("the metrics token reads /metrics and nothing else"));
    }
    // One of ours that was mistyped is nobody's, whatever the database has.
    if !is_plausible_token(token) {
        return Err(Problem::unauthorized());
    }
    engine.confirm_current().await?;
    engine.authenticate(token).map(Authenticated).ok_or_else(Problem::unauthorized)
}

/// The proof that the caller is the admin.
///
/// # Errors
///
/// 403 for a consumer, 401 for one that is gone by now; 503 if what is known can't be confirmed.
pub(crate) async fn admin(engine: &Engine, who: Authenticated) -> Result<Admin, Problem> {
    match who.0 {
        Caller::Admin => Ok(Admin(())),
        Caller::Consumer { .. } => {
            engine.confirm_current().await?;
            if !engine.accepts(who.0) {
                return Err(Problem::unauthorized());
            }
            Err(forbidden("this path takes the admin token, not a consumer's"))
        }
    }
}

/// The proof that the caller may read metrics.
///
/// # Errors
///
/// As for [`authenticate`] and [`admin`].
pub(crate) async fn scraper(app: &App, headers: &HeaderMap) -> Result<Scraper, Problem> {
    if bearer_token(headers).is_some_and(|token| is_for_metrics(app, token)) {
        return Ok(Scraper(()));
    }
    let who = authenticate(app, headers).await?;
    admin(&app.engine, who).await.map(|Admin(())| Scraper(()))
}

fn is_for_metrics(app: &App, token: &str) -> bool {
    app.settings.metrics_token.is_some_and(|known| known.matches(&TokenDigest::of(token)))
}

fn forbidden(detail: &'static str) -> Problem {
    Problem::new(Code::Forbidden, detail)
}

/// The token of the one header `Authorization: Bearer <token>`, the scheme in any case (RFC 6750 section 2.1, RFC 9110
/// section 11.1).
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (only, None) = (given.next()?, given.next()) else {
        return None;
    };
    let (scheme, token) = std::str::from_utf8(only.as_bytes()).ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn token_of(given: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        bearer_token(&headers).map(str::to_owned)
    }

    #[test]
    fn takes_the_scheme_in_any_case() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc "] {
            assert_eq!(token_of(&[value.as_bytes()]).as_deref(), Some("abc"), "{value}");
        }
    }

    #[test]
    fn takes_exactly_one_well_formed_header() {
        let refused: [&[&[u8]]; 8] = [
            &[],
            &[b"abc"],
            &[b"Bearer"],
            &[b"Bearer "],
            &[b"Basic abc"],
            &[b"Bearer:abc"],
            &[b"Bearer \xff"],
            &[b"Bearer abc", b"Bearer abc"],
        ];
        for headers in refused {
            assert_eq!(token_of(headers), None, "{headers:?}");
        }
    }
}
