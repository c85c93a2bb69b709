//! `POST /v3/cursor`: a batch on one stream, answered line by line.

use hyper::StatusCode;
use rusqlite::{Row, Statement};

use crate::batch::{BatchSink, run_batch};
use crate::core::Core;
use crate::reply::{
    Answer, Effect, write_columns, write_effect, write_error, write_json, write_row,
};
use crate::session::Sink;
use crate::sql_error::SqlError;
use crate::wire::CursorBody;

/// Acts on the body of a cursor. The stream stays open.
pub(crate) fn cursor(core: &Core, body: &[u8]) -> Answer {
    let request: CursorBody<'_> = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => return Answer::text(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let (lease, mut session) = match core.lease(request.baton.as_ref()) {
        Ok(leased) => leased,
        Err(refusal) => return refusal.into(),
    };
    let mut out = Vec::with_capacity(4096);
    out.extend_from_slice(b"{\"baton\":");
    write_json(&mut out, &lease.baton());
    out.extend_from_slice(b",\"base_url\":null}\n");
    let mut sink = Lines { out, step: 0 };
    run_batch(core, &mut session, &request.batch, &mut sink);
    core.streams.keep(lease, session);
    Answer::text(StatusCode::OK, sink.out)
}

/// Writes the entries of a cursor.
struct Lines {
    out: Vec<u8>,
    step: usize,
}

impl Sink for Lines {
    fn begin(&mut self, statement: &Statement<'_>) {
        self.out.extend_from_slice(b"{\"type\":\"step_begin\",\"step\":");
        write_json(&mut self.out, &self.step);
        self.out.extend_from_slice(b",\"cols\":");
        write_columns(&mut self.out, statement);
        self.out.extend_from_slice(b"}\n");
    }

    fn row(&mut self, row: &Row<'_>, columns: usize) -> Result<(), SqlError> {
        self.out.extend_from_slice(b"{\"type\":\"row\",\"row\":");
        write_row(&mut self.out, row, columns)?;
        self.out.extend_from_slice(b"}\n");
        Ok(())
    }
}

impl BatchSink for Lines {
    fn start_step(&mut self, step: usize) {
        self.step = step;
    }

    fn end_step(&mut self, effect: Effect) {
        self.out.extend_from_slice(b"{\"type\":\"step_end\",");
        write_effect(&mut self.out, effect);
        self.out.extend_from_slice(b"}\n");
    }

    fn fail_step(&mut self, step: usize, error: SqlError) {
        self.out.extend_from_slice(b"{\"type\":\"step_error\",\"step\":");
        write_json(&mut self.out, &step);
        self.out.extend_from_slice(b",\"error\":");
        write_error(&mut self.out, &error);
        self.out.extend_from_slice(b"}\n");
    }

    fn skip_step(&mut self, _step: usize) {}
}
