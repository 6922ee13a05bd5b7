//! The report as a page of Markdown.

use super::{Report, Row};
use crate::bench::plots;

impl Report {
    /// The page; `plots` are the files that stand beside it.
    pub(super) fn page(&self, plots: &[&str]) -> String {
        let mut page = String::from("# Benchmarks\n\n");
        if self.quick {
            page.push_str(
                "**This was a quick run: it shows that all run, and compares nothing.**\n\n",
            );
        }
        page.push_str("Written by `cargo xtask bench`.\n");
        page.push_str(
            "Every figure is a ratio of what ran side by side, or a count: a time alone says \
             little, for the machine is shared.\n",
        );
        page.push_str(&self.closing_page());
        self.machine_to(&mut page);
        let (held, series): (Vec<&Row>, Vec<&Row>) = self
            .figures
            .iter()
            .partition(|row| row.figure.place().is_some());
        page.push_str("\n## Figures\n\n");
        rows_to(&mut page, &held);
        plots_to(&mut page, plots);
        if !series.is_empty() {
            page.push_str("\n## Points of the plots\n\n");
            rows_to(&mut page, &series);
        }
        self.benches_to(&mut page);
        page
    }

    /// One sentence a line.
    fn closing_page(&self) -> String {
        let closing = self.closing();
        let sentences = closing.lines().map(|line| {
            let (first, rest) = line.split_at(1);
            format!("{}{rest}.\n", first.to_uppercase())
        });
        sentences.collect()
    }

    fn machine_to(&self, page: &mut String) {
        page.push_str("\n## Machine\n\n| | |\n|---|---|\n");
        for (name, value) in self.machine.lines() {
            line(page, &[name, &value]);
        }
    }

    fn benches_to(&self, page: &mut String) {
        page.push_str("\n## Commands\n\n| bench | command | |\n|---|---|---|\n");
        for ran in &self.benches {
            let failure = match &ran.failure {
                None => String::new(),
                Some(failure) => format!("**failed**: {failure}"),
            };
            line(page, &[&ran.name, &format!("`{}`", ran.command), &failure]);
        }
    }
}

fn plots_to(page: &mut String, plots: &[&str]) {
    for name in plots {
        let title = plots::title(name);
        page.push_str(&format!("\n## {title}\n\n![{title}]({name})\n"));
    }
}

fn rows_to(page: &mut String, rows: &[&Row]) {
    page.push_str("| id | what | median | half of the rounds | reach | verdict | ");
    page.push_str("parts (median ns, unless named otherwise) | bench |\n");
    page.push_str("|---|---|---|---|---|---|---|---|\n");
    for row in rows {
        let verdict = match row.verdict() {
            "MISSED" => "**missed**",
            verdict => verdict,
        };
        let figure = &row.figure;
        line(
            page,
            &[
                &row.id(),
                &figure.what,
                &figure.got(),
                &row.quartiles(),
                &row.reach(),
                verdict,
                &row.parts(),
                &row.bench,
            ],
        );
    }
}

/// A row of a table; what would end a cell or a line does not.
fn line(page: &mut String, cells: &[&str]) {
    for cell in cells {
        page.push_str("| ");
        page.push_str(&cell.replace('|', "\\|").replace('\n', " "));
        page.push(' ');
    }
    page.push_str("|\n");
}
