//! The note of when consumers were granted a key last: a small write of its own, once a minute at most and at the end.
//! Nobody waits for it, and one that fails is tried again with the next.

use keypool_core::{ConsumerNo, GrantId};

use super::Shared;
use crate::report;

pub(super) async fn note(shared: &Shared, uses: &[(ConsumerNo, GrantId)]) {
    if uses.is_empty() {
        return;
    }
    if let Err(error) = shared.listen(shared.store.note_uses(uses)).await {
        report(&error, "when consumers were granted a key last could not be noted");
        let mut live = shared.live();
        let now_ms = live.steady_ms();
        live.uses.put_back(uses, now_ms);
    }
}
