//! A batch: steps that are executed or not by what became of those before.

use crate::core::Core;
use crate::reply::Effect;
use crate::session::{Session, Sink};
use crate::sql_error::SqlError;
use crate::wire::{Batch, Condition};

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Succeeded,
    Failed,
    Skipped,
}

/// Where the steps' results go.
pub(crate) trait BatchSink: Sink {
    /// A step is about to be executed; its columns and rows follow.
    fn start_step(&mut self, step: usize);
    /// The step ends well.
    fn end_step(&mut self, effect: Effect);
    /// The step fails, which may be after some rows.
    fn fail_step(&mut self, step: usize, error: SqlError);
    /// The step is not executed.
    fn skip_step(&mut self, step: usize);
}

/// Executes the steps whose conditions hold.
pub(crate) fn run_batch<S: BatchSink>(
    core: &Core,
    session: &mut Session,
    batch: &Batch<'_>,
    sink: &mut S,
) {
    let mut fates = Vec::with_capacity(batch.steps.len());
    for (index, step) in batch.steps.iter().enumerate() {
        let holds = |condition| holds(condition, &fates, session.is_autocommit());
        if !step.condition.as_ref().is_none_or(holds) {
            sink.skip_step(index);
            fates.push(Fate::Skipped);
            continue;
        }
        sink.start_step(index);
        match session.execute(core, &step.stmt, sink) {
            Ok(effect) => {
                sink.end_step(effect);
                fates.push(Fate::Succeeded);
            }
            Err(error) => {
                sink.fail_step(index, error);
                fates.push(Fate::Failed);
            }
        }
    }
}

/// A condition on a step that is not before holds never.
fn holds(condition: &Condition, fates: &[Fate], is_autocommit: bool) -> bool {
    let holds = |condition: &Condition| holds(condition, fates, is_autocommit);
    match condition {
        Condition::Ok { step } => fates.get(*step) == Some(&Fate::Succeeded),
        Condition::Error { step } => fates.get(*step) == Some(&Fate::Failed),
        Condition::Not { cond } => !holds(cond),
        Condition::And { conds } => conds.iter().all(holds),
        Condition::Or { conds } => conds.iter().any(holds),
        Condition::IsAutocommit {} => is_autocommit,
    }
}
