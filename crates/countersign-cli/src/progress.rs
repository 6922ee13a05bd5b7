//! Progress bars: on a terminal, on standard error, and nowhere else.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal as _, stderr};

/// How far long work has come.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Of so many, where that is known.
    pub(crate) fn new(what: &'static str, total: Option<u64>) -> Self {
        Self::styled(what, total, "{pos}/{len}", "{human_pos}")
    }

    /// Of so many bytes, where that is known.
    pub(crate) fn bytes(what: &'static str, total: Option<u64>) -> Self {
        Self::styled(
            what,
            total,
            "{binary_bytes}/{binary_total_bytes}",
            "{binary_bytes}",
        )
    }

    fn styled(what: &'static str, total: Option<u64>, known: &str, unknown: &str) -> Self {
        if !stderr().is_terminal() {
            return Self::hidden();
        }
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                format!("{{msg}} {{wide_bar}} {known} {{eta}}"),
            ),
            None => (
                ProgressBar::no_length(),
                format!("{{msg}} {{spinner}} {unknown} {{per_sec}}"),
            ),
        };
        let style = ProgressStyle::with_template(&template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(bar.with_style(style).with_message(what))
    }

    /// None, where verdicts are seen go by on the same terminal.
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// So many are done.
    pub(crate) fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Of so many, as it turned out.
    pub(crate) fn of(&self, total: u64) {
        if self.0.length() != Some(total) {
            self.0.set_length(total);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
