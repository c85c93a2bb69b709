//! Whom and what a request is for: its `Host` header and the four forms of a target (RFC 9112 sections 3.2 and 7.2 of
//! RFC 9110), which hyper takes as they come.

use std::net::Ipv6Addr;

use http::header::{EXPECT, HOST};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderMap, Method, Uri, Version};

use crate::problem::{Code, Problem};

/// Judges what comes before a path can be looked for.
///
/// # Errors
///
/// 400 for a `Host` header that is missing, not alone or no `host[:port]`, and for a target that its method can't have;
/// 417 for an expectation other than `100-continue`; 501 for `CONNECT` and `OPTIONS *`.
pub(crate) fn check(head: &Parts) -> Result<(), Problem> {
    one_host(head.version, &head.headers)?;
    form(&head.method, &head.uri)?;
    expectation(&head.headers)
}

/// HTTP/1.1 asks for exactly one valid Host header (RFC 9112 section 3.2). Nothing here depends on what it says.
fn one_host(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host_and_port(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(Problem::malformed("the Host header is not `host` or `host:port`")),
        (None, _) if version == Version::HTTP_10 => Ok(()),
        _ => Err(Problem::malformed("exactly one Host header is needed")),
    }
}

/// Origin-form is what is served; absolute-form is the same with its own authority in the place of `Host`.
fn form(method: &Method, uri: &Uri) -> Result<(), Problem> {
    if method == Method::CONNECT {
        return Err(Problem::new(
            Code::NotImplemented,
            "CONNECT is not implemented: this is no proxy",
        ));
    }
    if uri.path() == "*" {
        return Err(match *method {
            Method::OPTIONS => Problem::new(Code::NotImplemented, "OPTIONS is not implemented"),
            _ => Problem::malformed("the target `*` goes with OPTIONS alone"),
        });
    }
    let Some(authority) = uri.authority() else {
        return if uri.path().starts_with('/') { Ok(()) } else { Err(no_path()) };
    };
    match uri.scheme() {
        None => return Err(no_path()),
        Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => {}
        Some(_) => return Err(Problem::malformed("an absolute target begins with http or https")),
    }
    if is_host_and_port(authority.as_str().as_bytes()) {
        Ok(())
    } else {
        Err(Problem::malformed("the target's authority is not `host` or `host:port`"))
    }
}

fn no_path() -> Problem {
    Problem::malformed("the request's target is neither a path nor an absolute URI")
}

/// Anything else must not be overlooked: whoever sent it waits for an answer to it (RFC 9110 section 10.1.1).
fn expectation(headers: &HeaderMap) -> Result<(), Problem> {
    let is_known = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if headers.get_all(EXPECT).iter().all(|value| is_known(value.as_bytes())) {
        return Ok(());
    }
    Err(Problem::new(Code::ExpectationFailed, "no expectation but `100-continue` can be met"))
}

/// `uri-host [ ":" port ]` (RFC 9110 section 7.2) with a host that is not empty (its section 4.2.1), and without the form
/// for addresses of the future.
fn is_host_and_port(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (is_host, rest) = match text.strip_prefix('[').map(|text| text.split_once(']')) {
        Some(Some((address, rest))) => (address.parse::<Ipv6Addr>().is_ok(), rest),
        Some(None) => return false,
        None => {
            let (name, rest) =
                text.split_at_checked(text.find(':').unwrap_or(text.len())).unwrap_or_default();
            (is_name(name.as_bytes()), rest)
        }
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    is_host && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
}

/// `reg-name` (RFC 3986 section 3.2.2), of which IPv4 addresses are a part.
fn is_name(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        let is_well = match byte {
            b'%' => bytes
                .next()
                .zip(bytes.next())
                .is_some_and(|(high, low)| high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte),
        };
        if !is_well {
            return false;
        }
    }
    !name.is_empty()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn judged(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<(), Code> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0).map_err(|problem| problem.code)
    }

    #[test]
    fn a_host_is_a_name_or_an_address_perhaps_with_a_port() {
        for host in [
            "localhost",
            "example.com:8080",
            "example.com:",
            "127.0.0.1:1",
            "[::1]",
            "[2001:db8::1]:443",
            "a_b-c.d~e",
            "xn--bcher-kva.example",
            "%41.example",
            "sub,delims;x=y",
        ] {
            assert_eq!(judged("GET", "/", &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "",
            ":80",
            "a b",
            "user@host",
            "http://host",
            "host/path",
            "host:80:80",
            "host:8o",
            "host:-1",
            "[::1",
            "[::1]x",
            "[127.0.0.1]",
            "[fe80::1%25eth0]",
            "[v1.x]",
            "::1",
            "%4",
            "%zz",
            "bücher.example",
            "a\tb",
            "a?b",
            "a#b",
            "host\\",
            "\"host\"",
            "a, b",
        ] {
            assert_eq!(
                judged("GET", "/", &[("host", host)]),
                Err(Code::MalformedRequest),
                "{host}"
            );
        }
    }

    #[test]
    fn exactly_one_host_whatever_the_target_says() {
        for target in ["/", "http://other.example/"] {
            assert_eq!(judged("GET", target, &[("host", "x")]), Ok(()));
            let none = judged("GET", target, &[]);
            let two = judged("GET", target, &[("host", "x"), ("host", "x")]);
            let wrong = judged("GET", target, &[("host", "x y")]);
            assert_eq!([none, two, wrong], [Err(Code::MalformedRequest); 3], "{target}");
        }
    }

    #[test]
    fn absolute_targets_have_an_authority_of_ours() {
        for target in ["http://x/key", "https://x:8080/key?feature=f", "HTTP://[::1]/", "http://x"]
        {
            assert_eq!(judged("GET", target, &[("host", "y")]), Ok(()), "{target}");
        }
        for target in ["ftp://x/key", "http://user@x/key", "http://user:pw@x/", "http://x:port/"] {
            if target.parse::<Uri>().is_ok() {
                assert_eq!(
                    judged("GET", target, &[("host", "y")]),
                    Err(Code::MalformedRequest),
                    "{target}"
                );
            }
        }
    }

    #[test]
    fn other_forms_are_for_methods_that_are_not_implemented() {
        let host = &[("host", "x")];
        assert_eq!(judged("CONNECT", "x:443", host), Err(Code::NotImplemented));
        assert_eq!(judged("CONNECT", "/", host), Err(Code::NotImplemented));
        assert_eq!(judged("OPTIONS", "*", host), Err(Code::NotImplemented));
        assert_eq!(judged("GET", "*", host), Err(Code::MalformedRequest));
        assert_eq!(judged("GET", "x:443", host), Err(Code::MalformedRequest));
        assert_eq!(judged("GET", "localhost", host), Err(Code::MalformedRequest));
    }

    #[test]
    fn no_expectation_is_overlooked() {
        let with = |value| judged("GET", "/", &[("host", "x"), ("expect", value)]);
        assert_eq!(with("100-Continue"), Ok(()));
        for value in ["", "100-continue, more", "y 100-continue", "payment"] {
            assert_eq!(with(value), Err(Code::ExpectationFailed), "{value}");
        }
        let two = [("host", "x"), ("expect", "100-continue"), ("expect", "more")];
        assert_eq!(judged("GET", "/", &two), Err(Code::ExpectationFailed));
    }
}
