//! What was done since the start: draws, commits, requests and connections.

use std::fmt;

use keypool_engine::meters::{
    Answered, CatchUp, CommitMetrics, CommitResult, Counted, DrawOutcome, Metrics,
};

use super::families::*;
use super::sheet::{Samples, Sheet};
use crate::meters::{ConnectionEvent, HttpMetrics, StatusClass, TokenRefused};
use crate::problem::Code;

/// What stands for all names that are no feature's; no feature that can be made is named so.
const NO_FEATURE: &str = "(unknown)";

/// Draws and commits.
pub(super) fn write_draws(sheet: &mut Sheet<'_>, metrics: &Metrics) -> fmt::Result {
    let mut draws = sheet.begin(&DRAWS)?;
    let named = metrics.draws.iter().map(|(name, outcomes)| (&**name, outcomes));
    for (feature, outcomes) in named.chain([(NO_FEATURE, &metrics.other_draws)]) {
        for &(outcome, count) in outcomes {
            draws.counter(&[feature, outcome_word(outcome)], count)?;
        }
    }
    let mut durations = sheet.begin(&DRAW_DURATION)?;
    durations.histogram(&["granted"], &metrics.granted)?;
    durations.histogram(&["refused"], &metrics.refused)?;
    durations.histogram(&["failed"], &metrics.failed)?;

    let kinds: [(_, &CommitMetrics); 2] =
        [("draws", &metrics.batches), ("change", &metrics.changes)];
    let mut commits = sheet.begin(&COMMITS)?;
    for (of, attempts) in kinds {
        for &(result, count) in &attempts.results {
            commits.counter(&[of, result_word(result)], count)?;
        }
    }
    let mut durations = sheet.begin(&COMMIT_DURATION)?;
    for (of, attempts) in kinds {
        durations.histogram(&[of], &attempts.durations)?;
    }
    sheet.begin(&BATCH_DRAWS)?.histogram(&[], &metrics.batch_sizes)
}

/// What admins changed.
pub(super) fn write_changes(sheet: &mut Sheet<'_>, metrics: &Metrics) -> fmt::Result {
    write_each(&mut sheet.begin(&ADMIN_CHANGES)?, &metrics.changed, |what| what)
}

/// What replicas do for each other's sake.
pub(super) fn write_replicas(sheet: &mut Sheet<'_>, metrics: &Metrics) -> fmt::Result {
    let catch_up = |kind| match kind {
        CatchUp::Counters => "counters",
        CatchUp::Changes => "changes",
        CatchUp::Pool => "pool",
        CatchUp::Number => "number",
    };
    write_each(&mut sheet.begin(&CATCH_UPS)?, &metrics.catch_ups, catch_up)?;
    let answered = |answered| match answered {
        Answered::Yes => "answered",
        Answered::No => "unanswered",
    };
    write_each(&mut sheet.begin(&DATABASE_QUESTIONS)?, &metrics.pulses, answered)
}

/// Requests, tokens and connections.
pub(super) fn write_http(sheet: &mut Sheet<'_>, metrics: &HttpMetrics) -> fmt::Result {
    let requests = &metrics.requests;
    let mut answers = sheet.begin(&REQUESTS)?;
    for of in requests {
        for &(class, count) in &of.answers {
            answers.counter(&[of.path, of.method, class_word(class)], count)?;
        }
    }
    let mut durations = sheet.begin(&REQUEST_DURATION)?;
    for of in requests {
        durations.histogram(&[of.path, of.method], &of.durations)?;
    }
    let refused = |refused| match refused {
        TokenRefused::Missing => "missing",
        TokenRefused::Unknown => "unknown",
        TokenRefused::Forbidden => "forbidden",
        TokenRefused::Throttled => "throttled",
    };
    write_each(&mut sheet.begin(&AUTH_FAILURES)?, &metrics.tokens_refused, refused)?;
    sheet.gauge(&CONNECTIONS, Some(metrics.connections_open))?;
    let event = |event| match event {
        ConnectionEvent::Accepted => "accepted",
        ConnectionEvent::RefusedInAll => "refused_in_all",
        ConnectionEvent::RefusedOfAddress => "refused_of_address",
        ConnectionEvent::GivenUp => "given_up",
        ConnectionEvent::NoHandshake => "no_handshake",
        ConnectionEvent::NotAccepted => "not_accepted",
    };
    write_each(&mut sheet.begin(&CONNECTION_EVENTS)?, &metrics.connections, event)
}

/// Writes what was counted by a single label.
fn write_each<K: Copy>(
    samples: &mut Samples<'_>,
    counted: &Counted<K>,
    word: fn(K) -> &'static str,
) -> fmt::Result {
    counted.iter().try_for_each(|&(kind, count)| samples.counter(&[word(kind)], count))
}

/// A refusal and a failure are called by the code of their answer.
const fn outcome_word(outcome: DrawOutcome) -> &'static str {
    match outcome {
        DrawOutcome::Granted => "granted",
        DrawOutcome::UnknownCaller => Code::Unauthorized.as_str(),
        DrawOutcome::OutOfScope => Code::OutOfScope.as_str(),
        DrawOutcome::UnknownFeature => Code::UnknownFeature.as_str(),
        DrawOutcome::RateLimited => Code::RateLimited.as_str(),
        DrawOutcome::BudgetSpent => Code::BudgetSpent.as_str(),
        DrawOutcome::NoUsableKey => Code::NoUsableKey.as_str(),
        DrawOutcome::StoreUnavailable => Code::StoreUnavailable.as_str(),
        DrawOutcome::CommitInDoubt => Code::CommitInDoubt.as_str(),
        DrawOutcome::Overloaded => Code::Overloaded.as_str(),
    }
}

const fn result_word(result: CommitResult) -> &'static str {
    match result {
        CommitResult::Committed => "committed",
        CommitResult::Stale => "stale",
        CommitResult::Spent => "spent",
        CommitResult::Clock => "clock",
        CommitResult::Fenced => "fenced",
        CommitResult::Partly => "partly",
        CommitResult::Upgraded => "upgraded",
        CommitResult::Failed => "failed",
        CommitResult::InDoubt => "in_doubt",
    }
}

const fn class_word(class: StatusClass) -> &'static str {
    match class {
        StatusClass::Success => "2xx",
        StatusClass::ClientError => "4xx",
        StatusClass::ServerError => "5xx",
    }
}
