//! What an endpoint is given of a request, once the caller's right to it is proven.

use http::HeaderMap;
use keypool_engine::Origin;

use crate::percent;
use crate::problem::Problem;
use crate::query::{self, Unknown};
use crate::secret_buffer::SecretBuffer;
use crate::source::Source;

/// Path segments, query and body, not yet looked into, and who sends them.
#[derive(Debug)]
pub(crate) struct Input<'r> {
    /// What stands in the path for each `{…}` of the route, still escaped.
    pub(crate) segments: Vec<&'r str>,
    /// The query string, still escaped; empty if there is none.
    pub(crate) query: &'r str,
    /// The head's fields.
    pub(crate) headers: &'r HeaderMap,
    /// The body; empty where the endpoint takes none.
    pub(crate) body: SecretBuffer,
    /// Where the request comes from.
    pub(crate) source: Source,
    /// The request's id.
    pub(crate) request_id: &'r str,
}

impl Input<'_> {
    /// Who asks, as it is put on record of a change.
    pub(crate) fn origin(&self) -> Origin {
        let from = (self.source != Source::Process).then(|| self.source.to_string());
        Origin::request(from.as_deref(), self.request_id)
    }

    /// What stands in the path for each `{…}` of the route.
    ///
    /// # Errors
    ///
    /// 400 if one is not properly escaped.
    pub(crate) fn path<const N: usize>(&self) -> Result<[String; N], Problem> {
        let mut decoded = [const { String::new() }; N];
        for (text, segment) in decoded.iter_mut().zip(&self.segments) {
            *text = percent::decode(segment)
                .ok_or_else(|| Problem::malformed("the path is not properly escaped"))?;
        }
        Ok(decoded)
    }

    /// The values of the query's parameters, of which there may be no others.
    ///
    /// # Errors
    ///
    /// 400, naming the parameter.
    pub(crate) fn query<const N: usize>(
        &self,
        known: [&'static str; N],
    ) -> Result<[Option<String>; N], Problem> {
        query::parameters(self.query, known, Unknown::Refused)
    }

    /// The values of the query's parameters, all others passed over.
    ///
    /// # Errors
    ///
    /// 400, naming the parameter.
    pub(crate) fn query_among_others<const N: usize>(
        &self,
        known: [&'static str; N],
    ) -> Result<[Option<String>; N], Problem> {
        query::parameters(self.query, known, Unknown::Ignored)
    }
}
