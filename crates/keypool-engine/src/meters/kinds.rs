//! The kinds of things that the engine counts apart.

use keypool_core::Limit;
use keypool_store::WriteError;

use super::Kind;
use crate::{DrawError, Refusal, Unavailable};

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $kind:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$of])* $kind,)+
        }

        impl Kind for $name {
            const ALL: &'static [Self] = &[$(Self::$kind),+];

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

kinds! {
    /// What became of a draw.
    DrawOutcome {
        /// The grant is on record, whether or not the caller was still there to be told.
        Granted,
        /// [`Refusal::UnknownCaller`].
        UnknownCaller,
        /// [`Refusal::OutOfScope`].
        OutOfScope,
        /// [`Refusal::UnknownFeature`].
        UnknownFeature,
        /// [`Refusal::Spent`], a rate limit.
        RateLimited,
        /// [`Refusal::Spent`], a budget.
        BudgetSpent,
        /// [`Refusal::NoUsableKey`].
        NoUsableKey,
        /// [`Unavailable::Store`] or [`Unavailable::Closing`].
        StoreUnavailable,
        /// [`Unavailable::InDoubt`].
        CommitInDoubt,
        /// [`Unavailable::Overloaded`].
        Overloaded,
    }
}

kinds! {
    /// How an attempt to commit ended.
    CommitResult {
        /// It is on record.
        Committed,
        /// The pool was changed by someone else meanwhile: decided anew.
        Stale,
        /// Others had used a limit up: decided anew.
        Spent,
        /// The time of sending was off the database's clock: sent again.
        Clock,
        /// The replica's number had been given to another one: sent again under a new one.
        Fenced,
        /// Some of it was on record from an earlier try; the rest is decided anew.
        Partly,
        /// A newer version has the database now.
        Upgraded,
        /// Nothing was written.
        Failed,
        /// It cannot be known whether it was written.
        InDoubt,
    }
}

kinds! {
    /// Whether a shared database answered when it was asked how it stands.
    Answered {
        /// It did.
        Yes,
        /// It did not, or not in time.
        No,
    }
}

kinds! {
    /// What memory took over from the database.
    CatchUp {
        /// What others drew.
        Counters,
        /// What others changed, and drew.
        Changes,
        /// The whole pool.
        Pool,
        /// Another replica number.
        Number,
    }
}

impl From<&DrawError> for DrawOutcome {
    fn from(error: &DrawError) -> Self {
        match error {
            DrawError::Refused(Refusal::UnknownCaller) => Self::UnknownCaller,
            DrawError::Refused(Refusal::OutOfScope) => Self::OutOfScope,
            DrawError::Refused(Refusal::UnknownFeature) => Self::UnknownFeature,
            DrawError::Refused(Refusal::Spent { limit: Limit::Rate, .. }) => Self::RateLimited,
            DrawError::Refused(Refusal::Spent { limit: Limit::Budget, .. }) => Self::BudgetSpent,
            DrawError::Refused(Refusal::NoUsableKey) => Self::NoUsableKey,
            DrawError::Unavailable(Unavailable::Store | Unavailable::Closing) => {
                Self::StoreUnavailable
            }
            DrawError::Unavailable(Unavailable::InDoubt) => Self::CommitInDoubt,
            DrawError::Unavailable(Unavailable::Overloaded) => Self::Overloaded,
        }
    }
}

impl From<&Result<(), WriteError>> for CommitResult {
    fn from(outcome: &Result<(), WriteError>) -> Self {
        match outcome {
            Ok(()) => Self::Committed,
            Err(WriteError::Stale) => Self::Stale,
            Err(WriteError::Spent) => Self::Spent,
            Err(WriteError::Clock) => Self::Clock,
            Err(WriteError::Fenced) => Self::Fenced,
            Err(WriteError::Partly(_)) => Self::Partly,
            Err(WriteError::Upgraded) => Self::Upgraded,
            Err(WriteError::Failed(_)) => Self::Failed,
            Err(WriteError::InDoubt(_)) => Self::InDoubt,
        }
    }
}
