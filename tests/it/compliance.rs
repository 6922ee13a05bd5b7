//! Hazard: a document that says of a rule of somebody else's that a test shows it, where there is
//! no such test any more, or none that runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const COMPLIANCE: &str = include_str!("../../docs/COMPLIANCE.md");

/// How we stand to a line, as its row says.
const STANDINGS: [&str; 4] = ["met", "in part", "host", "not met"];

/// A row of one of its tables: the line, what it asks, how we stand, how, and what shows it.
struct Row<'a> {
    id: &'a str,
    standing: &'a str,
    shown_by: &'a str,
}

/// The rows of all tables, without their heads.
fn rows() -> Vec<Row<'static>> {
    let lines = COMPLIANCE.lines().filter(|line| line.starts_with("| "));
    let rows = lines.filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").collect();
        let [id, _, standing, _, shown_by] = *cells else {
            panic!("five cells in each row: {line}");
        };
        (standing != "standing").then_some(Row {
            id,
            standing,
            shown_by,
        })
    });
    rows.collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The attribute that is right above a function, with what stands between them.
fn is_test(source: &str, name: &str) -> bool {
    let place = [format!("fn {name}()"), format!("fn {name}(")];
    let Some(at) = place.iter().find_map(|place| source.find(place)) else {
        return false;
    };
    let before = source[..at].rsplit("\n\n").next().unwrap();
    before.contains("#[test]") || before.contains("#[tokio::test")
}

#[test]
fn every_test_that_is_named_is_there_and_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut checked = BTreeSet::new();
    for test in quoted(COMPLIANCE).filter(|text| text.contains("::") && text.contains(".rs")) {
        let (path, name) = test.split_once("::").unwrap();
        let source = fs::read_to_string(root.join(path));
        let source = source.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(is_test(&source, name), "{test} is no test");
        checked.insert(test);
    }
    assert!(checked.len() > 60, "{}", checked.len());
}

#[test]
fn whatever_is_met_names_its_test() {
    let mut seen = BTreeSet::new();
    for row in rows() {
        let Row { id, standing, .. } = row;
        assert!(seen.insert(id), "{id} stands there twice");
        assert!(STANDINGS.contains(&standing), "{id}: {standing}");
        let tests = quoted(row.shown_by).filter(|text| text.contains(".rs::"));
        let is_ours = matches!(standing, "met" | "in part");
        assert!(!is_ours || tests.count() > 0, "{id} is not shown");
    }
    assert!(seen.len() > 80, "{}", seen.len());
}

#[test]
fn a_helper_and_a_name_in_a_comment_are_no_tests() {
    let source = "fn helper() {}\n\n/// As `fn told() {`.\n#[test]\nfn real() {}\n\nfn late() {}\n";
    assert!(is_test(source, "real"));
    assert!(!is_test(source, "helper") && !is_test(source, "late") && !is_test(source, "gone"));
}
