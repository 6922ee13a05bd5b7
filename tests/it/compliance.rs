//! Hazard: a document that says of a rule of somebody else's, or of a failure of theirs, that a
//! test shows how we stand to it, where there is no such test any more, or none that runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const COMPLIANCE: &str = include_str!("../../docs/COMPLIANCE.md");

const HISTORY: &str = include_str!("../../docs/HISTORY.md");

/// How we stand to a line, as its row says.
const STANDINGS: [&str; 4] = ["met", "in part", "host", "not met"];

/// The rows of all tables of a page, without their heads: five cells, what shows it last.
fn rows(page: &str) -> Vec<[&str; 5]> {
    let lines = page.lines().filter(|line| line.starts_with("| "));
    let rows = lines.map(|line| {
        let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").collect();
        let cells: Result<[&str; 5], _> = cells.try_into();
        cells.unwrap_or_else(|_| panic!("five cells in each row: {line}"))
    });
    rows.filter(|[.., shown_by]| *shown_by != "shown by")
        .collect()
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
    for (page, least) in [(COMPLIANCE, 60), (HISTORY, 60)] {
        let mut checked = BTreeSet::new();
        for test in quoted(page).filter(|text| text.contains("::") && text.contains(".rs")) {
            let (path, name) = test.split_once("::").unwrap();
            let source = fs::read_to_string(root.join(path));
            let source = source.unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(is_test(&source, name), "{test} is no test");
            checked.insert(test);
        }
        assert!(checked.len() > least, "{}", checked.len());
    }
}

#[test]
fn whatever_is_met_names_its_test() {
    let mut seen = BTreeSet::new();
    for [id, _, standing, _, shown_by] in rows(COMPLIANCE) {
        assert!(seen.insert(id), "{id} stands there twice");
        assert!(STANDINGS.contains(&standing), "{id}: {standing}");
        let tests = quoted(shown_by).filter(|text| text.contains(".rs::"));
        let is_ours = matches!(standing, "met" | "in part");
        assert!(!is_ours || tests.count() > 0, "{id} is not shown");
    }
    assert!(seen.len() > 80, "{}", seen.len());
}

#[test]
fn no_failure_of_others_is_told_without_what_stands_against_it_and_shows_it() {
    let mut seen = BTreeSet::new();
    for [case, happened, against, _, shown_by] in rows(HISTORY) {
        assert!(seen.insert(case), "{case} stands there twice");
        assert!(happened != "-" && against != "-", "{case}");
        let tests = quoted(shown_by).filter(|text| text.contains(".rs::"));
        assert!(tests.count() > 0, "{case} is not shown");
    }
    assert!(seen.len() > 30, "{}", seen.len());
}

#[test]
fn a_helper_and_a_name_in_a_comment_are_no_tests() {
    let source = "fn helper() {}\n\n/// As `fn told() {`.\n#[test]\nfn real() {}\n\nfn late() {}\n";
    assert!(is_test(source, "real"));
    assert!(!is_test(source, "helper") && !is_test(source, "late") && !is_test(source, "gone"));
}
