//! Tells a terminal how far a command is, in one line of standard error that is gone when it ends. Where there is no
//! terminal nothing is said.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const SPINNING: &str = "{spinner} {msg}";
const MEASURED: &str = "{msg} [{wide_bar}] {human_pos} of {human_len} ({percent} %), {eta} left";
/// How often the line moves by itself.
const TICK: Duration = Duration::from_millis(100);

/// The line.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Begins to tell.
    pub(crate) fn start() -> Self {
        let bar = ProgressBar::no_length().with_style(style(SPINNING));
        bar.enable_steady_tick(TICK);
        Self { bar }
    }

    /// What is being done, and no more is known.
    pub(crate) fn doing(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
    }

    /// What is being done, and how far that is.
    pub(crate) fn done(&self, what: impl Into<String>, done: u64, of: u64) {
        if self.bar.length() != Some(of) {
            self.bar.set_style(style(MEASURED));
            self.bar.set_length(of);
            self.bar.reset_eta();
        }
        self.bar.set_message(what.into());
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &'static str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are sound")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_sound() {
        let progress = Progress::start();
        progress.doing("looking");
        progress.done("copying", 1, 2);
    }
}
