//! `cargo xtask bench`: the core's draw in criterion, beside governor's keyed check, in one run.

use crate::run::Cargo;

pub(crate) fn bench(criterion: &[String]) -> anyhow::Result<()> {
    let bench = Cargo::new(&["bench", "--package", "xtask", "--bench", "draw", "--"]);
    criterion.iter().fold(bench, Cargo::arg).run()
}
