//! Tokens of consumers: made here, kept as digests only, and replaced with or without an overlap.

use std::sync::Arc;

use keypool_crypto::{Token, TokenDigest};
use keypool_store::{ChangeKind, NewToken, Origin};

use super::find_consumer;
use super::shown::{self, Shown};
use crate::live::{Live, Planned};
use crate::views::IssuedToken;
use crate::{AdminError, Engine, Unavailable, rules};

impl Engine {
    /// Issues another token to a consumer, which is shown this once. Every one before it is accepted for the overlap at
    /// most, in seconds: with none they end at once.
    ///
    /// # Errors
    /// [`AdminError`]: invalid, unknown, or unavailable.
    pub async fn issue_token(
        &self,
        origin: &Origin,
        consumer_id: &str,
        overlap_seconds: i64,
    ) -> Result<IssuedToken, AdminError> {
        rules::check_overlap(overlap_seconds)?;
        let token = new_token()?;
        let token_hash = TokenDigest::of(token.expose()).to_hex();
        let (changed, id) = (consumer_id.to_owned(), consumer_id.to_owned());
        let plan = move |live: &Live| {
            let no = find_consumer(live, &id)?;
            let consumer = &live.roster.consumers[&no];
            let after = Shown::default().with("overlap_seconds", overlap_seconds);
            let shown = (Shown::default(), after);
            let record = shown::updated("issue_token", &consumer.id, &consumer.name, shown);
            let token_hash = token_hash.clone();
            let token = NewToken { consumer: no, token_hash, overlap_secs: overlap_seconds };
            Ok(Planned::one(ChangeKind::IssueToken(token), record))
        };
        let named = move |live: &Live| {
            let no = find_consumer(live, &changed);
            let no = no.expect("a consumer that was just given a token exists");
            let consumer = &live.roster.consumers[&no];
            (Arc::clone(&consumer.id), Arc::clone(&consumer.name))
        };
        let (id, name) = self.change(origin, plan, named).await?;
        Ok(IssuedToken { id, name, token })
    }
}

/// A token that nobody has.
pub(super) fn new_token() -> Result<Token, AdminError> {
    Token::generate().map_err(|error| {
        tracing::error!(%error, "a token could not be made");
        AdminError::Unavailable(Unavailable::Store)
    })
}
