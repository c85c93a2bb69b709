//! What statements do and how they fail.

use keypool_test_server::Synchronous;
use libsql::{Value, named_params, params};

use crate::client::{number, request, start, start_with, start_with_table};

#[tokio::test]
async fn values_of_all_types_come_back_as_they_went() {
    let (_started, connection) = start_with_table().await;
    let values = [
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Real(-0.125),
        Value::Real(3.0),
        Value::Text("with \"quotes\", \\ and \u{1f511}\n".to_owned()),
        Value::Blob(vec![0, 255, 7, 8]),
        Value::Blob(Vec::new()),
    ];
    for value in values {
        let mut rows = connection.query("SELECT ?1", params![value.clone()]).await.unwrap();
        let row = rows.next().await.unwrap().unwrap();
        assert_eq!(row.get_value(0).unwrap(), value);
        assert!(rows.next().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_query_gives_names_and_rows_in_order() {
    let (_started, connection) = start_with_table().await;
    connection.execute("INSERT INTO t (b) VALUES ('x'), ('y')", ()).await.unwrap();
    let mut rows =
        connection.query("SELECT a AS one, b AS two FROM t ORDER BY a", ()).await.unwrap();
    assert_eq!(rows.column_name(1), Some("two"));
    let mut read = Vec::new();
    while let Some(row) = rows.next().await.unwrap() {
        read.push((row.get::<i64>(0).unwrap(), row.get::<String>(1).unwrap()));
    }
    assert_eq!(read, [(1, "x".to_owned()), (2, "y".to_owned())]);
}

#[tokio::test]
async fn affected_rows_and_the_last_rowid_are_those_of_the_statement() {
    let (_started, connection) = start_with_table().await;
    assert_eq!(connection.execute("INSERT INTO t VALUES (7, 1), (9, 1)", ()).await.unwrap(), 2);
    assert_eq!(connection.last_insert_rowid(), 9);
    assert_eq!(connection.execute("UPDATE t SET b = 2 WHERE a = 7", ()).await.unwrap(), 1);
    assert_eq!(connection.execute("CREATE TABLE u (a)", ()).await.unwrap(), 0);
    assert_eq!(connection.execute("DELETE FROM t WHERE a = 8", ()).await.unwrap(), 0);
}

#[tokio::test]
async fn parameters_are_found_by_name_and_by_number() {
    let (_started, connection) = start_with_table().await;
    let sql = "INSERT INTO t VALUES (:a, :b)";
    connection.execute(sql, named_params! { ":a": 5, ":b": 6 }).await.unwrap();
    let sql = "INSERT INTO t VALUES (?2, ?1)";
    connection.execute(sql, params![60, 50]).await.unwrap();
    let wrong = connection.execute(sql, params![1]).await.unwrap_err();
    assert!(wrong.to_string().contains("ARGS_INVALID"), "{wrong}");
    let wrong = connection.execute(sql, params![1, 2, 3]).await.unwrap_err();
    assert!(wrong.to_string().contains("ARGS_INVALID"), "{wrong}");
    assert_eq!(number(&connection, "SELECT sum(b) FROM t WHERE a IN (5, 50)").await, 66);
}

#[tokio::test]
async fn a_batch_ends_at_its_first_failure() {
    let (started, connection) = start_with_table().await;
    let batch =
        "INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (1, 2); INSERT INTO t VALUES (2, 2)";
    assert!(connection.execute_batch(batch).await.is_err());
    assert_eq!(started.number("SELECT count(*) FROM t").await, 1);
}

#[tokio::test]
async fn a_transactional_batch_is_all_or_nothing() {
    let (started, connection) = start_with_table().await;
    let batch = "INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (1, 2)";
    assert!(connection.execute_transactional_batch(batch).await.is_err());
    assert_eq!(started.number("SELECT count(*) FROM t").await, 0);
    let batch = "INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (2, 2)";
    connection.execute_transactional_batch(batch).await.unwrap();
    assert_eq!(started.number("SELECT count(*) FROM t").await, 2);
}

#[tokio::test]
async fn a_transaction_counts_once_it_is_committed() {
    let (started, connection) = start_with_table().await;
    let transaction = connection.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1, 1)", ()).await.unwrap();
    assert_eq!(started.number("SELECT count(*) FROM t").await, 0);
    transaction.commit().await.unwrap();
    assert_eq!(started.number("SELECT count(*) FROM t").await, 1);

    let transaction = connection.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (2, 2)", ()).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(started.number("SELECT count(*) FROM t").await, 1);
}

#[tokio::test]
async fn a_read_only_transaction_sees_one_state() {
    let (_started, connection) = start_with_table().await;
    let behavior = libsql::TransactionBehavior::ReadOnly;
    let transaction = connection.transaction_with_behavior(behavior).await.unwrap();
    assert_eq!(number(&transaction, "SELECT count(*) FROM t").await, 0);
    connection.execute("INSERT INTO t VALUES (1, 1)", ()).await.unwrap();
    assert_eq!(number(&transaction, "SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn failures_have_the_code_of_their_cause() {
    let started = start().await;
    let connection = started.connect().await;
    connection
        .execute_batch(
            "CREATE TABLE p (a INTEGER PRIMARY KEY, b UNIQUE, c CHECK (c < 9), d NOT NULL DEFAULT 1,
                 e REFERENCES p (a));
             CREATE TRIGGER no BEFORE DELETE ON p BEGIN SELECT RAISE(ABORT, 'stale revision'); END;
             INSERT INTO p VALUES (1, 1, 1, 1, NULL)",
        )
        .await
        .unwrap();
    for (sql, code, message) in [
        ("DELETE FROM p", "SQLITE_CONSTRAINT_TRIGGER", "SQLite error: stale revision"),
        ("INSERT INTO p (a) VALUES (1)", "SQLITE_CONSTRAINT_PRIMARYKEY", "p.a"),
        ("INSERT INTO p (b) VALUES (1)", "SQLITE_CONSTRAINT_UNIQUE", "p.b"),
        ("INSERT INTO p (c) VALUES (9)", "SQLITE_CONSTRAINT_CHECK", "SQLite error: CHECK"),
        ("INSERT INTO p (d) VALUES (NULL)", "SQLITE_CONSTRAINT_NOTNULL", "p.d"),
        ("INSERT INTO p (e) VALUES (77)", "SQLITE_CONSTRAINT_FOREIGNKEY", "FOREIGN KEY"),
        ("SELECT * FROM missing", "SQLITE_ERROR", "no such table"),
        ("SELECT missing FROM p", "SQL_INPUT_ERROR", "no such column"),
        ("SELEC", "SQL_INPUT_ERROR", "syntax error"),
        ("SELECT 1; SELECT 2", "SQL_MANY_STATEMENTS", "more than one"),
        (" ; -- nothing", "SQL_NO_STATEMENT", "any statement"),
        ("COMMIT", "SQLITE_ERROR", "no transaction"),
        ("VACUUM", "SQL_UNSUPPORTED", "unsupported statement"),
        ("PRAGMA journal_mode = DELETE", "SQL_UNSUPPORTED", "unsupported statement"),
        ("CREATE TEMP TABLE x (a)", "SQL_UNSUPPORTED", "unsupported statement"),
    ] {
        let answer = started.on(None, sql).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.error_code(), code, "{sql}: {}", answer.text());
        let told = answer.json()["results"][0]["error"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains(message), "{sql}: {told}");
    }
    // The client of the libsql crate sees the same code.
    let error = connection.execute("DELETE FROM p", ()).await.unwrap_err().to_string();
    assert!(error.contains("SQLITE_CONSTRAINT_TRIGGER"), "{error}");
}

#[tokio::test]
async fn steps_are_executed_by_their_conditions() {
    let (started, _connection) = start_with_table().await;
    let insert = |a: u8, condition: &str| {
        format!(
            r#"{{"condition":{condition},"stmt":{{"sql":"INSERT INTO t VALUES ({a}, 0)","want_rows":false}}}}"#
        )
    };
    let steps = [
        insert(1, "null"),
        insert(1, r#"{"type":"ok","step":0}"#),
        insert(2, r#"{"type":"ok","step":1}"#),
        insert(3, r#"{"type":"error","step":1}"#),
        insert(4, r#"{"type":"not","cond":{"type":"error","step":1}}"#),
        insert(5, r#"{"type":"and","conds":[{"type":"ok","step":0},{"type":"is_autocommit"}]}"#),
        insert(6, r#"{"type":"or","conds":[{"type":"ok","step":2},{"type":"error","step":2}]}"#),
    ];
    let steps = steps.join(",");
    let batch = format!(r#"{{"requests":[{{"type":"batch","batch":{{"steps":[{steps}]}}}}]}}"#);
    let answer = started.pipeline(&batch).await.json();
    let result = &answer["results"][0]["response"]["result"];
    let done: Vec<bool> = (0..7).map(|step| !result["step_results"][step].is_null()).collect();
    assert_eq!(done, [true, false, false, true, false, true, false]);
    let failed: Vec<bool> = (0..7).map(|step| !result["step_errors"][step].is_null()).collect();
    assert_eq!(failed, [false, true, false, false, false, false, false]);
    assert_eq!(result["step_errors"][1]["code"], "SQLITE_CONSTRAINT_PRIMARYKEY");
    assert_eq!(result["step_results"][5]["last_insert_rowid"], "5");
    assert_eq!(started.number("SELECT count(*) FROM t").await, 3);
}

#[tokio::test]
async fn a_cursor_tells_each_step_and_goes_on_after_a_failure() {
    let (started, _connection) = start_with_table().await;
    let answer = started
        .cursor(
            r#"{"batch":{"steps":[
                {"stmt":{"sql":"INSERT INTO t VALUES (1, 2) RETURNING b AS got"}},
                {"stmt":{"sql":"INSERT INTO t VALUES (1, 2)"}},
                {"condition":{"type":"ok","step":1},"stmt":{"sql":"SELECT 3"}},
                {"condition":{"type":"error","step":1},"stmt":{"sql":"SELECT 4 WHERE 0"}}]}}"#,
        )
        .await
        .text();
    let lines: Vec<serde_json::Value> =
        answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> =
        lines.iter().skip(1).map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["step_begin", "row", "step_end", "step_error", "step_begin", "step_end"]);
    assert!(lines[0]["baton"].is_string());
    assert_eq!(lines[1]["cols"][0]["name"], "got");
    assert_eq!(lines[2]["row"][0]["value"], "2");
    assert_eq!(lines[3]["affected_row_count"], 1);
    assert_eq!(lines[4]["step"], 1);
    assert_eq!(lines[5]["step"], 3);
}

#[tokio::test]
async fn texts_are_stored_described_and_run_in_sequence() {
    let started = start().await;
    let answer = started
        .pipeline(
            r#"{"requests":[
                {"type":"store_sql","sql_id":1,"sql":"CREATE TABLE t (a TEXT); CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t WHERE a = 'x;'; END; INSERT INTO t VALUES ('x;'), ('y')"},
                {"type":"sequence","sql_id":1},
                {"type":"close_sql","sql_id":1},
                {"type":"sequence","sql_id":1},
                {"type":"describe","sql":"SELECT a FROM t WHERE a = :wanted"},
                {"type":"sequence","sql":"INSERT INTO t VALUES ('z'); VACUUM"},
                {"type":"get_autocommit"}]}"#,
        )
        .await
        .json();
    let results = answer["results"].as_array().unwrap();
    let kinds: Vec<&str> = results.iter().map(|result| result["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ok", "ok", "ok", "error", "ok", "error", "ok"]);
    let described = &results[4]["response"]["result"];
    assert_eq!(described["params"][0]["name"], ":wanted");
    assert_eq!(described["cols"][0]["decltype"], "TEXT");
    assert_eq!(described["is_readonly"], true);
    assert_eq!(described["is_explain"], false);
    assert_eq!(results[5]["error"]["code"], "SQL_UNSUPPORTED");
    assert_eq!(results[6]["response"]["is_autocommit"], true);
    assert_eq!(started.number("SELECT count(*) FROM t").await, 2);
}

#[tokio::test]
async fn pragmas_are_as_a_hosted_server_sets_them() {
    for (synchronous, expected) in [(Synchronous::Normal, 1), (Synchronous::Full, 2)] {
        let started = start_with(|settings| settings.synchronous = synchronous).await;
        assert_eq!(started.number("PRAGMA synchronous").await, expected);
        assert_eq!(started.number("PRAGMA foreign_keys").await, 1);
        let mode = started.on(None, "PRAGMA journal_mode").await.text();
        assert!(mode.contains("\"wal\""), "{mode}");
    }
}

#[tokio::test]
async fn a_pragma_does_not_leak_into_another_stream() {
    let started = start().await;
    let body = r#"{"requests":[{"type":"execute","stmt":{"sql":"PRAGMA foreign_keys = OFF"}},
        {"type":"execute","stmt":{"sql":"PRAGMA foreign_keys"}},{"type":"close"}]}"#;
    let answer = started.pipeline(body).await.json();
    assert_eq!(answer["results"][1]["response"]["result"]["rows"][0][0]["value"], "0");
    assert_eq!(started.number("PRAGMA foreign_keys").await, 1);
}

#[tokio::test]
async fn bad_requests_and_other_pages_are_told() {
    let started = start().await;
    assert_eq!(started.pipeline("{").await.status, 400);
    assert_eq!(started.cursor(r#"{"batch":7}"#).await.status, 400);
    for path in ["/health", "/v2", "/v3"] {
        assert_eq!(request(&started.server, "GET", path, "").await.status, 200);
    }
    assert_eq!(request(&started.server, "GET", "/v3/pipeline", "").await.status, 404);
    let missing = started.pipeline(r#"{"requests":[{"type":"execute"}]}"#).await;
    assert_eq!(missing.error_code(), "REQUEST_INVALID");
}
