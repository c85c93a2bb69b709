//! What is written about the metrics is true: the table of their documentation, the dashboard and the alerts. Where
//! `promtool` is installed it is asked too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use http::Method;
use http_body_util::Empty;
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use crate::pool::{METRICS, Pool, request};

/// One metric: its kind, labels, unit and meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Metric {
    kind: String,
    labels: Vec<String>,
    unit: String,
    help: String,
}

type Metrics = BTreeMap<String, Metric>;

fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(of)
}

fn text(of: &str) -> String {
    fs::read_to_string(path(of)).unwrap_or_else(|error| panic!("{of}: {error}"))
}

/// The rows of the table in the documentation.
fn documented() -> Metrics {
    let text = text("docs/metrics.md");
    let rows =
        text.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 6);
    let metric = |row: &str| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, unit, help] = cells[..] else { panic!("{row}") };
        let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let metric = Metric {
            kind: kind.to_owned(),
            labels: labels.filter(|label| !label.is_empty()).collect(),
            unit: unit.to_owned(),
            help: help.to_owned(),
        };
        (name.trim_matches('`').to_owned(), metric)
    };
    rows.map(metric).collect()
}

/// A pool of which every metric with labels has something to tell.
async fn busy_pool() -> Pool {
    let pool = Pool::with_tier().await;
    pool.add_key("k", r#","usage_limit":10,"expires_at":"2026-11-24T04:00:00Z""#).await;
    pool.draw(METRICS, "f").await;
    pool
}

async fn page(pool: &Pool, accept: &str) -> String {
    let mut asked = request(Method::GET, "/metrics", METRICS, Empty::<bytes::Bytes>::new());
    asked.headers_mut().insert("accept", accept.parse().unwrap());
    pool.call(asked).await.text
}

/// The metrics of a page in OpenMetrics's format.
fn shown(page: &str) -> Metrics {
    let mut metrics = Metrics::new();
    let mut last = String::new();
    for line in page.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => {
                last = name.to_owned();
                let (kind, unit, labels) = (String::new(), String::new(), Vec::new());
                metrics.insert(last.clone(), Metric { kind, labels, unit, help: help.to_owned() });
            }
            ["#", "TYPE", _, kind] => metrics.get_mut(&last).unwrap().kind = kind.to_owned(),
            ["#", "UNIT", _, unit] => metrics.get_mut(&last).unwrap().unit = unit.to_owned(),
            ["#", "EOF"] => {}
            _ => {
                let labels = labels_of(line).into_iter().filter(|label| label != "le");
                metrics.get_mut(&last).unwrap().labels = labels.collect();
            }
        }
    }
    let full_name = |(name, metric): (String, Metric)| {
        let suffix = match metric.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        (format!("{name}{suffix}"), metric)
    };
    metrics.into_iter().map(full_name).collect()
}

/// The names of a sample's labels, or of the matchers of a selector that begins the text.
fn labels_of(text: &str) -> Vec<String> {
    let Some((_, inner)) = text.split_once('{') else { return Vec::new() };
    let (mut labels, mut name) = (Vec::new(), String::new());
    let mut is_quoted = false;
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if is_quoted => drop(characters.next()),
            '"' => {
                if !is_quoted {
                    labels.push(std::mem::take(&mut name));
                }
                is_quoted = !is_quoted;
            }
            '}' if !is_quoted => break,
            _ if is_quoted => {}
            _ if character.is_ascii_alphanumeric() || character == '_' => name.push(character),
            _ => {}
        }
    }
    labels
}

#[tokio::test]
async fn the_documentation_s_table_is_what_the_page_shows() {
    let pool = busy_pool().await;
    let shown = shown(&page(&pool, "application/openmetrics-text").await);
    let row = |name: &str, metric: &Metric| {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let Metric { kind, unit, help, .. } = metric;
        format!("| `{name}` | {kind} | {} | {unit} | {help} |", labels.join(", "))
    };
    let rows = |metrics: &Metrics| -> Vec<String> {
        metrics.iter().map(|(name, metric)| row(name, metric)).collect()
    };
    let (shown, documented) = (rows(&shown), rows(&documented()));
    let missing: Vec<_> = shown.iter().filter(|row| !documented.contains(row)).collect();
    assert!(missing.is_empty(), "missing in docs/metrics.md:\n{missing:#?}");
    let invented: Vec<_> = documented.iter().filter(|row| !shown.contains(row)).collect();
    assert!(invented.is_empty(), "in docs/metrics.md alone:\n{invented:#?}");
}

/// Whatever stands where a metric's name may stand in a PromQL expression, with the labels that it is selected by.
fn selectors(expression: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut rest = expression;
    while let Some(start) = rest.find(|c: char| is_word(c) || c == '"') {
        let (_, from) = rest.split_at(start);
        if let Some(quoted) = from.strip_prefix('"') {
            rest = quoted.split_once('"').map_or("", |(_, after)| after);
            continue;
        }
        let (word, after) = from.split_at(from.find(|c| !is_word(c)).unwrap_or(from.len()));
        if ["keypooler_", "process_"].iter().any(|prefix| word.starts_with(prefix)) {
            let labels = if after.starts_with('{') { labels_of(after) } else { Vec::new() };
            found.push((word.to_owned(), labels));
        }
        rest = after;
    }
    found
}

/// The labels that an expression groups by.
fn grouped_by(expression: &str) -> BTreeSet<String> {
    let lists = expression.split(" by (").skip(1).filter_map(|after| after.split_once(')'));
    let labels = lists.flat_map(|(list, _)| list.split(','));
    labels.map(|label| label.trim().to_owned()).collect()
}

/// Checks that an expression asks for what there is. `$` stands for a variable of a dashboard.
#[track_caller]
fn check_expression(expression: &str, known: &Metrics) {
    let from_prometheus = ["job", "instance", "le"].map(str::to_owned);
    let mut allowed: BTreeSet<String> = from_prometheus.into();
    for (name, labels) in selectors(expression) {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let of_histogram =
            base.and_then(|base| known.get(base)).filter(|it| it.kind == "histogram");
        let metric = of_histogram.or_else(|| known.get(&name).filter(|it| it.kind != "histogram"));
        let metric = metric.unwrap_or_else(|| panic!("there is no {name}: {expression}"));
        let mut of_metric = allowed.clone();
        of_metric.extend(metric.labels.iter().cloned());
        for label in labels {
            assert!(of_metric.contains(&label), "{name} has no label {label}: {expression}");
        }
        allowed.extend(metric.labels.iter().cloned());
    }
    for label in grouped_by(expression) {
        assert!(allowed.contains(&label), "nothing has a label {label}: {expression}");
    }
}

#[test]
fn the_dashboard_shows_what_there_is() {
    let dashboard: Value = serde_json::from_str(&text("docs/grafana-dashboard.json")).unwrap();
    let known = documented();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(variables[0]["type"], "datasource");
    let mut asked = 0;
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_i64().unwrap()), "{title} has another panel's id");
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            check_expression(target["expr"].as_str().unwrap(), &known);
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked} expressions");
    for variable in variables.iter().filter(|variable| variable["type"] == "query") {
        let definition = variable["definition"].as_str().unwrap();
        assert_eq!(selectors(definition).len(), 1, "{definition}");
        check_expression(definition, &known);
    }
}

#[test]
fn the_alerts_ask_for_what_there_is_and_say_what_to_do() {
    let rules = YamlLoader::load_from_str(&text("docs/prometheus-alerts.yml")).unwrap();
    let known = documented();
    let tests = text("crates/keypool-http/tests/alerts.test.yml");
    let mut names = BTreeSet::new();
    for group in rules[0]["groups"].as_vec().unwrap() {
        for rule in group["rules"].as_vec().unwrap() {
            let member = |of: &Yaml, name: &str| of[name].as_str().unwrap_or_default().to_owned();
            let name = member(rule, "alert");
            let expression = member(rule, "expr");
            check_expression(&expression, &known);
            let is_up = expression.starts_with("up{");
            assert!(is_up || !selectors(&expression).is_empty(), "{name}: {expression}");
            assert!(member(&rule["annotations"], "summary").len() > 10, "{name}");
            assert!(member(&rule["annotations"], "description").len() > 50, "{name}");
            let severity = member(&rule["labels"], "severity");
            assert!(["warning", "critical"].contains(&&*severity), "{name}: {severity}");
            assert!(tests.contains(&format!("alertname=\"{name}\"")), "{name} is not tested");
            assert!(names.insert(name.clone()), "{name} stands there twice");
        }
    }
    assert!(names.len() > 10, "{names:?}");
}

#[test]
fn an_expression_that_asks_for_what_there_is_not_is_noticed() {
    let known = documented();
    let is_refused = |expression: &str| {
        let expression = expression.to_owned();
        let known = known.clone();
        std::panic::catch_unwind(move || check_expression(&expression, &known)).is_err()
    };
    assert!(!is_refused(
        "sum by (feature) (rate(keypooler_draws_total{outcome=~\"a|b\"}[5m])) > 0"
    ));
    assert!(!is_refused(
        "sum by (le) (keypooler_draw_duration_seconds_bucket{result=\"granted\"})"
    ));
    for wrong in [
        "keypooler_draws",
        "keypooler_draws_total{outcom=\"granted\"}",
        "sum by (consumer) (keypooler_draws_total)",
        "keypooler_draw_duration_seconds",
        "keypooler_draws_total_bucket",
        "rate(process_cpu_total[5m])",
    ] {
        assert!(is_refused(wrong), "{wrong}");
    }
}

/// Runs `promtool`, if it is installed.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was not tried")]
fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(path(""));
    let started =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut running = match started {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return eprintln!("promtool is not installed: {arguments:?} was not tried");
        }
        started => started.unwrap(),
    };
    running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_page_and_alerts() {
    promtool(&["check", "rules", "docs/prometheus-alerts.yml"], "");
    promtool(&["test", "rules", "crates/keypool-http/tests/alerts.test.yml"], "");
    let page = page(&busy_pool().await, "text/plain").await;
    promtool(&["check", "metrics"], &page);
}
