//! The one table of routes: the API at a glance. The router, the `Allow` header and who may call all follow it.

use std::pin::Pin;

use crate::answer::App;
use crate::auth::{Admin, Authenticated, Scraper};
use crate::body::Takes;
use crate::endpoints::*;
use crate::input::Input;
use crate::problem::{Code, Problem};
use crate::reply::Answer;

/// What an endpoint returns once it is called.
type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// An endpoint together with the proof that it demands.
pub(crate) enum Guarded {
    Anyone(for<'a> fn(&'a App, &'a Input<'a>) -> Answering<'a>),
    Caller(for<'a> fn(&'a App, Authenticated, &'a Input<'a>) -> Answering<'a>),
    Scraper(for<'a> fn(&'a App, Scraper, &'a Input<'a>) -> Answering<'a>),
    Admin(for<'a> fn(&'a App, Admin, &'a Input<'a>) -> Answering<'a>),
}

/// One row of the table.
pub(crate) struct Route {
    /// The methods that it answers to.
    methods: &'static [&'static str],
    /// The path; `{…}` stands for one segment that is not empty.
    pub(crate) path: &'static str,
    /// The endpoint's name.
    pub(crate) endpoint: &'static str,
    /// The endpoint, and who may call it.
    pub(crate) guarded: Guarded,
    /// What it does with a body.
    pub(crate) takes: Takes,
}

macro_rules! guarded {
    (anyone $endpoint:ident) => {
        Guarded::Anyone(|app, input| Box::pin($endpoint(app, input)))
    };
    (caller $endpoint:ident) => {
        Guarded::Caller(|app, caller, input| Box::pin($endpoint(app, caller, input)))
    };
    (scraper $endpoint:ident) => {
        Guarded::Scraper(|app, scraper, input| Box::pin($endpoint(app, scraper, input)))
    };
    (admin $endpoint:ident) => {
        Guarded::Admin(|app, admin, input| Box::pin($endpoint(app, admin, input)))
    };
}

macro_rules! routes {
    ($([$($method:ident)+] $path:literal $who:ident $endpoint:ident $takes:ident;)+) => {
        &[$(Route {
            methods: &[$(stringify!($method)),+],
            path: $path,
            endpoint: stringify!($endpoint),
            guarded: guarded!($who $endpoint),
            takes: Takes::$takes,
        }),+]
    };
}

#[rustfmt::skip]
static ROUTES: &[Route] = routes! {
    // methods  path                                   who    endpoint         body
    [GET HEAD] "/health"                              anyone health           Nothing;
    [GET HEAD] "/ready"                               anyone ready            Nothing;
    [GET HEAD] "/metrics"                            scraper show_metrics     Nothing;
    [GET]      "/key"                                 caller draw_key         Nothing;
    [GET HEAD] "/admin/tiers"                         admin  list_tiers       Nothing;
    [POST]     "/admin/tiers"                         admin  add_tier         Object;
    [PATCH]    "/admin/tiers"                         admin  update_tier      Object;
    [PATCH]    "/admin/tiers/{id}"                    admin  update_tier_by_id Object;
    [DELETE]   "/admin/tiers/{id}"                    admin  delete_tier      Nothing;
    [GET HEAD] "/admin/keys"                          admin  list_keys        Nothing;
    [POST]     "/admin/keys"                          admin  add_key          ObjectOrArray;
    [GET HEAD] "/admin/keys/{id}"                     admin  show_key         Nothing;
    [PATCH]    "/admin/keys/{id}"                     admin  update_key       Object;
    [DELETE]   "/admin/keys/{id}"                     admin  delete_key       Nothing;
    [GET HEAD] "/admin/consumers"                     admin  list_consumers   Nothing;
    [POST]     "/admin/consumers"                     admin  add_consumer     Object;
    [PATCH]    "/admin/consumers/{id}"                admin  update_consumer  Object;
    [DELETE]   "/admin/consumers/{id}"                admin  delete_consumer  Nothing;
    [POST]     "/admin/consumers/{id}/token"          admin  issue_token      Object;
    [POST]     "/admin/consumers/{id}/scopes"         admin  add_scope        Object;
    [DELETE]   "/admin/consumers/{id}/scopes/{tier}"  admin  remove_scope     Nothing;
    [GET HEAD] "/admin/usage"                         admin  list_usage       Nothing;
    [GET HEAD] "/admin/usage/summary"                 admin  summarise_usage  Nothing;
    [GET HEAD] "/admin/changes"                       admin  list_changes     Nothing;
    [GET HEAD] "/admin/health"                        admin  show_pool_health Nothing;
    [GET HEAD] "/openapi.json"                        anyone show_openapi     Nothing;
};

/// One row of the table, as documentation and tests may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// The methods that it answers to.
    pub methods: &'static [&'static str],
    /// The path; `{…}` stands for one segment.
    pub path: &'static str,
    /// The endpoint's name.
    pub endpoint: &'static str,
    /// Who may call it: `anyone`, `caller` (any valid token), `scraper` (the metrics token or the admin's) or `admin`.
    pub who: &'static str,
}

/// All routes, in the order of the documentation.
pub fn routes() -> impl Iterator<Item = RouteInfo> {
    ROUTES.iter().map(|route| RouteInfo {
        methods: route.methods,
        path: route.path,
        endpoint: route.endpoint,
        who: match route.guarded {
            Guarded::Anyone(_) => "anyone",
            Guarded::Caller(_) => "caller",
            Guarded::Scraper(_) => "scraper",
            Guarded::Admin(_) => "admin",
        },
    })
}

/// The route of a request, and what stands in its path for each `{…}`.
///
/// # Errors
///
/// 404 for a path that no route has, 405 with the methods that are allowed for one that has others.
pub(crate) fn find<'r>(
    method: &str,
    path: &'r str,
) -> Result<(&'static Route, Vec<&'r str>), Problem> {
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(segments) = segments(route.path, path) else { continue };
        if route.methods.contains(&method) {
            return Ok((route, segments));
        }
        allowed.extend_from_slice(route.methods);
    }
    if allowed.is_empty() {
        return Err(Problem::not_found());
    }
    let allow = allowed.join(", ");
    let detail = format!("this path takes {allow}");
    Err(Problem { allow: Some(allow), ..Problem::new(Code::MethodNotAllowed, detail) })
}

/// The path that the table has for this one, whatever the method.
pub(crate) fn pattern(path: &str) -> Option<&'static str> {
    ROUTES.iter().map(|route| route.path).find(|pattern| segments(pattern, path).is_some())
}

/// What stands in `path` for each `{…}` of `pattern`, if they match.
fn segments<'r>(pattern: &str, path: &'r str) -> Option<Vec<&'r str>> {
    let mut found = Vec::new();
    let mut actual = path.split('/');
    for expected in pattern.split('/') {
        let segment = actual.next()?;
        if expected.starts_with('{') {
            found.push(Some(segment).filter(|segment| !segment.is_empty())?);
        } else if expected != segment {
            return None;
        }
    }
    actual.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str) -> Result<(&'static str, Vec<String>), String> {
        match find(method, path) {
            Ok((route, segments)) => {
                Ok((route.endpoint, segments.into_iter().map(str::to_owned).collect()))
            }
            Err(problem) => Err(problem.allow.unwrap_or_default()),
        }
    }

    #[test]
    fn finds_endpoints_by_path_and_method() {
        let of = |endpoint, segments: &[&str]| {
            Ok((endpoint, segments.iter().map(|&segment| segment.to_owned()).collect()))
        };
        assert_eq!(found("GET", "/health"), of("health", &[]));
        assert_eq!(found("HEAD", "/health"), of("health", &[]));
        assert_eq!(found("DELETE", "/admin/keys/a%2Fb"), of("delete_key", &["a%2Fb"]));
        assert_eq!(found("DELETE", "/admin/consumers/c/scopes/t"), of("remove_scope", &["c", "t"]));
    }

    #[test]
    fn a_path_is_one_of_the_table_to_the_letter() {
        for path in [
            "",
            "/",
            "*",
            "/Health",
            "/health/",
            "//health",
            "/admin",
            "/admin/keys/",
            "/admin/keys/a/b",
            "/admin/consumers//scopes",
            "/admin/consumers/c/scopes/",
            "/%68ealth",
            "/admin/keys/{id}/",
        ] {
            assert_eq!(found("GET", path), Err(String::new()), "{path}");
        }
    }

    #[test]
    fn other_methods_are_told_which_are_allowed() {
        let allowed = |allow: &str| Err(allow.to_owned());
        assert_eq!(found("POST", "/health"), allowed("GET, HEAD"));
        assert_eq!(found("HEAD", "/key"), allowed("GET"));
        assert_eq!(found("get", "/key"), allowed("GET"));
        assert_eq!(found("PUT", "/admin/tiers"), allowed("GET, HEAD, POST, PATCH"));
    }

    #[test]
    fn every_admin_path_demands_the_admin() {
        for route in routes() {
            assert_eq!(route.path.starts_with("/admin/"), route.who == "admin", "{}", route.path);
        }
    }
}
