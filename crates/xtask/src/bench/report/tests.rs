//! The table, the last lines, the page, and which files a run leaves.

use super::*;
use crate::bench::figures::read;

const FULL: &str = include_str!("../fixtures/figures.jsonl");

fn ran(name: &str, failure: Option<&str>) -> Ran {
    Ran {
        name: name.into(),
        command: format!("cargo bench --bench {name}"),
        failure: failure.map(str::to_owned),
    }
}

/// Of the figures of a full run, those with these ids.
fn report(ids: &[&str]) -> Report {
    let (figures, _) = read(FULL);
    let mut report = Report::new(Machine::fixture(), false);
    for name in ids {
        let told = figures.iter().filter(|figure| figure.id == *name);
        report.add(ran(name, None), told.cloned().collect());
    }
    report
}

#[test]
fn the_table_names_what_is_missed() {
    let expected = "\
| id                | what                         | got    | reach   | verdict |
|-------------------|------------------------------|--------|---------|---------|
| P2                | verify, cached               | 1.31 x | <= 1.25 | MISSED  |
| group-commit at 1 | issues per second, 1 at once | 420    |         |         |
";
    let mut report = report(&["group-commit", "P2"]);
    report.figures.truncate(2);
    report.figures[0].figure.what = "verify, cached".into();
    assert_eq!(report.table(), expected);
}

#[test]
fn the_last_line_counts_what_is_held_to() {
    let all = report(&["P1", "P2", "P7", "group-commit"]);
    let closing = all.closing();
    let (absent, last) = closing.split_once('\n').unwrap();
    assert_eq!(last, "5 of 7 figures reached; missed: P2, P7");
    assert!(absent.starts_with("no figure in this run: P3, P4, P5, P6, P8,"));
    assert!(absent.ends_with("P20 (P4 is counted by `cargo xtask counts`)"));
    let reached = report(&["P1"]).closing();
    assert!(reached.ends_with("\n1 of 1 figures reached"), "{reached}");
}

#[test]
fn what_is_missed_more_than_once_is_named_once() {
    let (mut figures, _) = read(FULL);
    figures.retain(|figure| figure.id.starts_with("growth-"));
    for figure in &mut figures {
        figure.reach = Some(Reach::AtMost(0.5));
    }
    // As a bench tells them that goes from size to size.
    figures.sort_by(|one, other| one.at.unwrap().total_cmp(&other.at.unwrap()));
    let mut report = Report::new(Machine::fixture(), false);
    report.add(ran("growth", None), figures);
    assert_eq!(report.missed(), ["growth-session", "growth-verify"]);
}

#[test]
fn nothing_told_is_all_absent() {
    let none = Report::new(Machine::fixture(), false).closing();
    assert!(none.contains("P1, P2, P3,"), "{none}");
    assert!(none.ends_with("\n0 of 0 figures reached"), "{none}");
}

#[test]
fn the_page_has_the_machine_the_figures_and_their_commands() {
    let mut report = report(&["P2", "P1", "group-commit"]);
    report.add(ran("durable", Some("no bench target")), Vec::new());
    let page = report.page(&["limits.svg"]);
    for line in [
        "1 of 2 figures reached; missed: P2.",
        "| processor | Abacus 9 |",
        "| P2 | verify, cached, 10000 tokens, over (parse + hash) | 1.31 x | 1.29-1.33 | <= 1.25 \
         | **missed** | ours 161, parse 31.0, hash 92.0 | P2 |",
        "![Ours against the limits](limits.svg)",
        "## Points of the plots",
        "| durable | `cargo bench --bench durable` | **failed**: no bench target |",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert!(page.find("| P1 |") < page.find("| P2 |"), "{page}");
    assert!(!page.contains("quick run"));
    report.quick = true;
    assert!(report.page(&[]).contains("quick run"));
}

#[test]
fn what_failed_is_named() {
    let mut report = report(&["P1"]);
    report.add(ran("durable", Some("it told no figure")), Vec::new());
    assert_eq!(report.failed(), ["durable"]);
    let closing = report.closing();
    assert!(
        closing.starts_with("benches that failed: durable\n"),
        "{closing}"
    );
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_leaves_the_plots_of_its_figures_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    report(&["P1"]).write(folder).unwrap();
    assert_eq!(files(folder), ["limits.svg", "report.json", "report.md"]);
    let json = fs::read_to_string(folder.join("report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["figures"][0]["verdict"], "reached");
    assert_eq!(json["figures"][0]["id"], "P1");
    assert_eq!(json["absent"][0], "P2");
    assert_eq!(json["machine"]["cores"], 2);
}

#[test]
fn what_is_kept_replaces_what_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("benchmarks");
    report(&["P1", "growth-verify"]).keep(&folder).unwrap();
    assert_eq!(
        files(&folder),
        ["README.md", "growth.svg", "limits.svg", "report.json"]
    );
    report(&["P7"]).keep(&folder).unwrap();
    assert_eq!(files(&folder), ["README.md", "peers.svg", "report.json"]);
}
