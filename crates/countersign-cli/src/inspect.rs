//! `check`: whether a store is whole.

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::ring;
use crate::out::Sheet;
use crate::progress::Progress;
use clap::Args;
use countersign::RedbOptions;
use countersign::core::Key;
use countersign::store::CheckReport;
use countersign::store::redb::{Mismatch, PageCheck};
use serde::Serialize;
use std::fmt::Write as _;

/// Look for damage: in every page, and with --deep in every record and how they agree
///
/// Nothing is changed. Exits 3 if anything is damaged.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Every record's tag, and whether principals and tokens agree
    #[arg(long)]
    deep: bool,
}

#[derive(Serialize)]
struct Report {
    sound: bool,
    pages: String,
    revision: u64,
    records: u64,
    damaged: u64,
    mismatched: u64,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Finding {
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    detail: String,
}

impl Sheet for Report {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let sound = if self.sound { "yes" } else { "no" };
        let mut lines = vec![
            ("sound", sound.to_owned()),
            ("pages", self.pages.clone()),
            ("records", self.records.to_string()),
            ("damaged", self.damaged.to_string()),
            ("mismatched", self.mismatched.to_string()),
            ("revision", self.revision.to_string()),
        ];
        lines.extend(self.findings.iter().map(|finding| {
            let place = match (finding.table, &finding.key) {
                (Some(table), Some(key)) => format!("{table} {key}: "),
                _ => String::new(),
            };
            (finding.what, format!("{place}{}", finding.detail))
        }));
        lines
    }
}

impl Check {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let path = call.site.file(
            "its pages are checked by PostgreSQL's own means, such as `pg_amcheck`, and every \
             record's tag by `export`, which names those that are damaged",
        )?;
        let keys = call.site.keys()?;
        let progress = Progress::new("records", None);
        let mut tell = |done, total| {
            progress.of(total);
            progress.at(done);
        };
        let options = RedbOptions::new();
        let report = options.check(path, ring(&keys), self.deep, &mut tell)?;
        drop(progress);
        call.out.sheet(&view(&report))?;
        if report.is_sound() {
            return Ok(Exit::Done);
        }
        let message = format_args!(
            "{} is damaged; nothing was changed: keep a copy, then restore a backup",
            path.display()
        );
        Err(Failure::new(Exit::Failed, "damaged", message).about(path))
    }
}

fn view(report: &CheckReport) -> Report {
    let (pages, page_fault) = match &report.pages {
        PageCheck::Whole => ("whole", None),
        PageCheck::Damaged(detail) => ("damaged", Some(detail)),
        _ => ("not checked, since the store is in use", None),
    };
    let plain = |what| move |detail: &String| finding(what, None, detail.clone());
    let damaged = |(key, detail): &(Key, String)| finding("damaged", Some(*key), detail.clone());
    let mut findings: Vec<Finding> = page_fault.into_iter().map(plain("pages")).collect();
    findings.extend(report.unreadable.iter().map(plain("unreadable")));
    findings.extend(report.damaged.iter().map(damaged));
    findings.extend(report.mismatches.iter().map(mismatch));
    Report {
        sound: report.is_sound(),
        pages: pages.to_owned(),
        revision: report.revision.0,
        records: report.records.iter().map(|(_, count)| *count).sum(),
        damaged: report.damaged_count,
        mismatched: report.mismatch_count,
        findings,
    }
}

fn mismatch(found: &Mismatch) -> Finding {
    match found {
        Mismatch::NoRecord {
            principal,
            selector,
        } => {
            let detail = format!("lists {selector}, which is not there");
            finding("mismatch", Some(*principal), detail)
        }
        Mismatch::NotListed { record } => finding(
            "mismatch",
            Some(*record),
            "its principal does not list it".to_owned(),
        ),
        _ => finding("mismatch", None, format!("{found:?}")),
    }
}

fn finding(what: &'static str, key: Option<Key>, detail: String) -> Finding {
    let table = key.map(|key| key.table.name());
    Finding {
        what,
        table,
        key: key.map(|key| hex(&key.id)),
        detail,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
