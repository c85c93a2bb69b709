//! What was measured: rows with their targets, as a table for people, as JSON for machines, and beside an earlier run.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// The median over the rounds.
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// What it is compared with, and the median of the ratios within a round.
    pub(crate) ratio: Option<f64>,
    pub(crate) of: Option<String>,
    pub(crate) target: Option<Target>,
    /// Median, 99th and 99.9th percentile of the latency in microseconds, of the median round.
    pub(crate) percentiles: Option<[f64; 3]>,
}

/// A bound for the ratio, or for the value where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The machine and how it was measured, one fact a line.
    pub(crate) facts: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

impl Row {
    pub(crate) fn value(name: &str, value: f64, unit: &str) -> Self {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        Self { name, value, unit, ratio: None, of: None, target: None, percentiles: None }
    }

    pub(crate) fn with_target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    pub(crate) fn with_ratio(mut self, ratio: f64, of: &str) -> Self {
        self.ratio = Some(ratio);
        self.of = Some(of.to_owned());
        self
    }

    /// Whether the target is reached, where there is one.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let judged = self.ratio.unwrap_or(self.value);
        self.target.map(|target| match target {
            Target::AtLeast(bound) => judged >= bound,
            Target::AtMost(bound) => judged <= bound,
        })
    }
}

impl Report {
    /// The table, with the change against an earlier run where there was one.
    pub(crate) fn table(&self, baseline: Option<&Self>) -> String {
        let mut text = String::new();
        for fact in &self.facts {
            let _ = writeln!(text, "{fact}");
        }
        let _ = writeln!(
            text,
            "\n{:52} {:>10} {:8} {:>6} {:>8}     {:>9} {:>9} {:>9}{}",
            "",
            "value",
            "",
            "ratio",
            "target",
            "p50 µs",
            "p99 µs",
            "p99.9 µs",
            if baseline.is_some() { "   change" } else { "" }
        );
        for row in &self.rows {
            let _ = writeln!(text, "{}", line(row, baseline));
        }
        let rows = self.rows.iter().filter(|row| row.is_met() == Some(false));
        let missed: Vec<_> = rows.map(|row| row.name.as_str()).collect();
        let verdict = match missed.as_slice() {
            [] => "all targets are reached".to_owned(),
            names => format!("not reached: {}", names.join("; ")),
        };
        let _ = writeln!(text, "\n{verdict}");
        text
    }
}

fn line(row: &Row, baseline: Option<&Report>) -> String {
    let ratio = row.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
    let target = match row.target {
        Some(Target::AtLeast(bound)) => format!(">= {bound}"),
        Some(Target::AtMost(bound)) => format!("<= {bound}"),
        None => String::new(),
    };
    let met = match row.is_met() {
        Some(true) => "ok",
        Some(false) => "NO",
        None => "",
    };
    let [p50, p99, p999] = match row.percentiles {
        Some(percentiles) => percentiles.map(|micros| format!("{micros:.0}")),
        None => Default::default(),
    };
    let earlier = baseline.and_then(|report| report.rows.iter().find(|it| it.name == row.name));
    let change = earlier.map_or_else(String::new, |earlier| {
        let percent = (row.value / earlier.value - 1.0) * 100.0;
        format!("  {percent:+7.1} %")
    });
    let value =
        if row.value < 100.0 { format!("{:.2}", row.value) } else { format!("{:.0}", row.value) };
    let text = format!(
        "{:52} {value:>10} {:8} {ratio:>6} {target:>8} {met:2}  {p50:>9} {p99:>9} {p999:>9}{change}",
        row.name, row.unit
    );
    text.trim_end().to_owned()
}

/// The middle one; the lower of two.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_ratio_is_judged_where_there_is_one() {
        let row = Row::value("a", 10.0, "draws/s").with_target(Target::AtLeast(0.5));
        assert_eq!(row.is_met(), Some(true));
        assert_eq!(row.with_ratio(0.4, "bare").is_met(), Some(false));
        assert_eq!(
            Row::value("a", 10.0, "ms").with_target(Target::AtMost(9.0)).is_met(),
            Some(false)
        );
        assert_eq!(Row::value("a", 1.0, "").is_met(), None);
    }

    #[test]
    fn the_table_names_what_was_missed_and_what_changed() {
        let row = Row::value("slow", 50.0, "draws/s").with_target(Target::AtLeast(60.0));
        let report = Report { facts: vec!["2 cores".to_owned()], rows: vec![row] };
        let mut earlier = report.clone();
        earlier.rows[0].value = 40.0;
        let table = report.table(Some(&earlier));
        assert!(table.starts_with("2 cores\n"), "{table}");
        assert!(table.contains("+25.0 %") && table.ends_with("not reached: slow\n"), "{table}");
    }

    #[test]
    fn a_report_survives_json() {
        let mut row = Row::value("a", 1.5, "ms").with_target(Target::AtMost(2.0));
        row.percentiles = Some([1.0, 2.0, 3.0]);
        let report = Report { facts: Vec::new(), rows: vec![row.with_ratio(0.5, "bare")] };
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}
