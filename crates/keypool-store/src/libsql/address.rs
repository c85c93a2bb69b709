//! Where a libSQL database is: its URL, read once into a type that cannot be wrong. Messages hold nothing of the URL's
//! secret part.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;

/// The address of a database server, without the token.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// As it was written: `libsql`, `https` or `http`.
    scheme: String,
    host: String,
    port: Option<u16>,
    /// What stands before `/v3/pipeline`; empty, or begins with `/`.
    path: String,
}

/// A text that is no address of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// It is no URL with a scheme and a host.
    #[error("it is no URL such as libsql://HOST?authToken=TOKEN")]
    Malformed,
    /// Another scheme.
    #[error("its scheme is none of libsql, https and http")]
    Scheme,
    /// A name or password before the host.
    #[error("it holds a user's name; the token goes into authToken or DATABASE_AUTH_TOKEN")]
    User,
    /// A token would cross a network in the clear.
    #[error("http is for this machine alone (127.0.0.1, ::1, localhost): use libsql or https")]
    Plaintext,
    /// A parameter that means nothing here.
    #[error("it has a parameter that is not known; authToken is, once")]
    Parameter,
}

impl DatabaseUrl {
    /// Reads `libsql://HOST[:PORT][/PATH][?authToken=TOKEN]`, the same with `https`, and with `http` on loopback; the
    /// token is given apart.
    ///
    /// # Errors
    /// [`DatabaseUrlError`], which holds nothing of the text.
    pub fn parse(text: &str) -> Result<(DatabaseUrl, Option<SecretString>), DatabaseUrlError> {
        let uri: Uri = text.parse().map_err(|_| DatabaseUrlError::Malformed)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(DatabaseUrlError::Malformed);
        };
        if authority.as_str().contains('@') {
            return Err(DatabaseUrlError::User);
        }
        let host = authority.host().to_owned();
        let port = authority.port();
        if host.is_empty() || (port.is_none() && authority.as_str().len() != host.len()) {
            return Err(DatabaseUrlError::Malformed);
        }
        match scheme {
            "libsql" | "https" => {}
            "http" if is_loopback(&host) => {}
            "http" => return Err(DatabaseUrlError::Plaintext),
            _ => return Err(DatabaseUrlError::Scheme),
        }
        let token = uri.query().map(token).transpose()?.flatten();
        let url = DatabaseUrl {
            scheme: scheme.to_owned(),
            host,
            port: port.map(|port| port.as_u16()),
            path: uri.path().trim_end_matches('/').to_owned(),
        };
        Ok((url, token))
    }

    /// The base that requests go to.
    pub(crate) fn base(&self) -> String {
        let scheme = if self.is_plaintext() { "http" } else { "https" };
        let (host, port, path) = (&self.host, self.port(), &self.path);
        format!("{scheme}://{host}:{port}{path}")
    }

    /// Whether requests go without TLS.
    pub(crate) fn is_plaintext(&self) -> bool {
        self.scheme == "http"
    }

    /// The name or address to connect to, without brackets.
    pub(crate) fn host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    /// The port to connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(if self.is_plaintext() { 80 } else { 443 })
    }
}

/// The address without the token, as logs may show it.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The token of a query that holds it and nothing else.
fn token(query: &str) -> Result<Option<SecretString>, DatabaseUrlError> {
    if query.is_empty() {
        return Ok(None);
    }
    let value = query.strip_prefix("authToken=").filter(|value| !value.contains('&'));
    let value = value.ok_or(DatabaseUrlError::Parameter)?;
    let token = percent_decode_str(value).decode_utf8().map_err(|_| DatabaseUrlError::Malformed)?;
    Ok((!token.is_empty()).then(|| SecretString::from(token.into_owned())))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn parsed(text: &str) -> Result<(String, String, Option<String>), DatabaseUrlError> {
        let (url, token) = DatabaseUrl::parse(text)?;
        Ok((url.to_string(), url.base(), token.map(|token| token.expose_secret().to_owned())))
    }

    fn of(
        shown: &str,
        base: &str,
        token: Option<&str>,
    ) -> Result<(String, String, Option<String>), DatabaseUrlError> {
        Ok((shown.to_owned(), base.to_owned(), token.map(str::to_owned)))
    }

    #[test]
    fn reads_the_originals_form() {
        assert_eq!(
            parsed("libsql://pool-team.turso.io?authToken=a.b%2Bc"),
            of("libsql://pool-team.turso.io", "https://pool-team.turso.io:443", Some("a.b+c"))
        );
    }

    #[test]
    fn reads_https_and_http_on_loopback() {
        let table = [
            (
                "https://db.example:8443/pool/",
                "https://db.example:8443/pool",
                "https://db.example:8443/pool",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost/?authToken=", "http://localhost", "http://localhost:80"),
            ("http://[::1]:9/", "http://[::1]:9", "http://[::1]:9"),
        ];
        for (text, shown, base) in table {
            assert_eq!(parsed(text), of(shown, base, None), "{text}");
        }
        assert_eq!(DatabaseUrl::parse("http://[::1]:9").unwrap().0.host(), "::1");
    }

    #[test]
    fn refuses_what_is_no_address_and_repeats_nothing_of_it() {
        use DatabaseUrlError::{Malformed, Parameter, Plaintext, Scheme, User};
        let table = [
            ("", Malformed),
            ("pool.db", Malformed),
            ("hush", Malformed),
            ("libsql://", Malformed),
            ("libsql://host:notaport", Malformed),
            ("libsql://host:99999", Malformed),
            ("libsql://host?authToken=%ff", Malformed),
            ("file:///pool.db", Malformed),
            ("wss://host", Scheme),
            ("postgres://host/hush", Scheme),
            ("libsql://user:hush@host", User),
            ("http://db.example?authToken=hush", Plaintext),
            ("http://128.0.0.1", Plaintext),
            ("libsql://host?token=hush", Parameter),
            ("libsql://host?authToken=hush&authToken=hush", Parameter),
            ("libsql://host?tls=0", Parameter),
        ];
        for (text, error) in table {
            let refused = DatabaseUrl::parse(text).map(|_| ()).unwrap_err();
            assert_eq!(refused, error, "{text}");
            assert!(!refused.to_string().contains("hush"));
        }
    }

    #[test]
    fn the_token_does_not_print() {
        let (url, token) = DatabaseUrl::parse("libsql://host?authToken=hush").unwrap();
        assert!(!format!("{url} {url:?} {token:?}").contains("hush"));
    }
}
