//! `POST /v3/pipeline`: requests on one stream, answered together.

use hyper::StatusCode;
use rusqlite::{Row, Statement};

use crate::batch::{BatchSink, run_batch};
use crate::core::Core;
use crate::reply::{
    Answer, Effect, separate, write_columns, write_effect, write_error, write_json, write_row,
};
use crate::session::{Session, Sink};
use crate::sql_error::SqlError;
use crate::wire::{PipelineBody, RequestKind, StreamRequest};

/// Acts on the body of a pipeline.
pub(crate) fn pipeline(core: &Core, body: &[u8]) -> Answer {
    let request: PipelineBody<'_> = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => return Answer::text(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let (lease, session) = match core.lease(request.baton.as_ref()) {
        Ok(leased) => leased,
        Err(refusal) => return refusal.into(),
    };
    let mut session = Some(session);
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"{\"results\":[");
    for (index, request) in request.requests.iter().enumerate() {
        separate(&mut out, index);
        let start = out.len();
        let outcome = match (session.as_mut(), request.kind) {
            (Some(_), RequestKind::Close) => {
                session = None;
                out.extend_from_slice(b"{\"type\":\"ok\",\"response\":{\"type\":\"close\"}}");
                continue;
            }
            (Some(session), _) => respond(core, session, request, &mut out),
            (None, _) => Err(SqlError::stream_closed()),
        };
        if let Err(error) = outcome {
            out.truncate(start);
            out.extend_from_slice(b"{\"type\":\"error\",\"error\":");
            write_error(&mut out, &error);
            out.push(b'}');
        }
    }
    out.extend_from_slice(b"],\"base_url\":null,\"baton\":");
    match session {
        Some(session) => {
            write_json(&mut out, &lease.baton());
            core.streams.keep(lease, session);
        }
        None => {
            out.extend_from_slice(b"null");
            core.streams.close(lease);
        }
    }
    out.push(b'}');
    Answer::json(StatusCode::OK, out)
}

/// Acts on one request and writes its result. What a failure has written is the caller's to remove.
fn respond(
    core: &Core,
    session: &mut Session,
    request: &StreamRequest<'_>,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    out.extend_from_slice(b"{\"type\":\"ok\",\"response\":{\"type\":\"");
    match request.kind {
        RequestKind::Execute => {
            out.extend_from_slice(b"execute\",\"result\":");
            let stmt = request.stmt.as_ref().ok_or_else(|| missing("stmt"))?;
            let mut sink = Results::new(out);
            sink.start_step(0);
            let effect = session.execute(core, stmt, &mut sink)?;
            sink.end_step(effect);
        }
        RequestKind::Batch => {
            out.extend_from_slice(b"batch\",\"result\":{\"step_results\":[");
            let batch = request.batch.as_ref().ok_or_else(|| missing("batch"))?;
            let mut sink = Results::new(out);
            run_batch(core, session, batch, &mut sink);
            sink.write_errors();
        }
        RequestKind::Sequence => {
            out.extend_from_slice(b"sequence\"");
            let sql = session.text(request.sql.as_ref(), request.sql_id)?;
            session.sequence(core, &sql, &mut Discarded)?;
        }
        RequestKind::Describe => {
            out.extend_from_slice(b"describe\",\"result\":");
            let sql = session.text(request.sql.as_ref(), request.sql_id)?;
            session.describe(&sql, |statement| write_description(out, statement))?;
        }
        RequestKind::StoreSql => {
            out.extend_from_slice(b"store_sql\"");
            let sql = request.sql.as_ref().ok_or_else(|| missing("sql"))?;
            session.store(request.sql_id.ok_or_else(|| missing("sql_id"))?, sql.as_str());
        }
        RequestKind::CloseSql => {
            out.extend_from_slice(b"close_sql\"");
            session.forget(request.sql_id.ok_or_else(|| missing("sql_id"))?);
        }
        RequestKind::GetAutocommit => {
            out.extend_from_slice(b"get_autocommit\",\"is_autocommit\":");
            write_json(out, &session.is_autocommit());
        }
        RequestKind::Close => out.extend_from_slice(b"close\""),
    }
    out.extend_from_slice(b"}}");
    Ok(())
}

fn missing(field: &str) -> SqlError {
    SqlError::new("REQUEST_INVALID", format!("the request has no `{field}`"))
}

fn write_description(out: &mut Vec<u8>, statement: &Statement<'_>) {
    out.extend_from_slice(b"{\"params\":[");
    for index in 1..=statement.parameter_count() {
        separate(out, index - 1);
        out.extend_from_slice(b"{\"name\":");
        write_json(out, &statement.parameter_name(index));
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"cols\":");
    write_columns(out, statement);
    out.extend_from_slice(b",\"is_explain\":");
    write_json(out, &(statement.is_explain() != 0));
    out.extend_from_slice(b",\"is_readonly\":");
    write_json(out, &statement.readonly());
    out.push(b'}');
}

/// Writes the results of statements, and keeps the errors for a list of their own.
struct Results<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    rows: usize,
    errors: Vec<Option<SqlError>>,
}

impl<'a> Results<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start, rows: 0, errors: Vec::new() }
    }

    /// Ends the list of results and writes that of errors.
    fn write_errors(self) {
        self.out.extend_from_slice(b"],\"step_errors\":[");
        for (index, error) in self.errors.iter().enumerate() {
            separate(self.out, index);
            match error {
                Some(error) => write_error(self.out, error),
                None => self.out.extend_from_slice(b"null"),
            }
        }
        self.out.extend_from_slice(b"]}");
    }
}

impl Sink for Results<'_> {
    fn begin(&mut self, statement: &Statement<'_>) {
        self.out.extend_from_slice(b"{\"cols\":");
        write_columns(self.out, statement);
        self.out.extend_from_slice(b",\"rows\":[");
        self.rows = 0;
    }

    fn row(&mut self, row: &Row<'_>, columns: usize) -> Result<(), SqlError> {
        separate(self.out, self.rows);
        self.rows += 1;
        write_row(self.out, row, columns)
    }
}

impl BatchSink for Results<'_> {
    fn start_step(&mut self, step: usize) {
        separate(self.out, step);
        self.start = self.out.len();
    }

    fn end_step(&mut self, effect: Effect) {
        self.out.extend_from_slice(b"],");
        write_effect(self.out, effect);
        self.out.push(b'}');
        self.errors.push(None);
    }

    fn fail_step(&mut self, _step: usize, error: SqlError) {
        self.out.truncate(self.start);
        self.out.extend_from_slice(b"null");
        self.errors.push(Some(error));
    }

    fn skip_step(&mut self, step: usize) {
        separate(self.out, step);
        self.out.extend_from_slice(b"null");
        self.errors.push(None);
    }
}

/// Rows that nobody asked for.
struct Discarded;

impl Sink for Discarded {
    fn begin(&mut self, _statement: &Statement<'_>) {}

    fn row(&mut self, _row: &Row<'_>, _columns: usize) -> Result<(), SqlError> {
        Ok(())
    }
}
