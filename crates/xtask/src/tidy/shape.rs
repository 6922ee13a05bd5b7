//! The shape of files: size, width, ASCII, an opening that says what the file is for.

use super::Finding;
use super::tree::{File, Tree};

const MAX_LINES: usize = 600;
const MAX_COLUMNS: usize = 100;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<_> = tree.files.iter().flat_map(ascii).collect();
    for file in tree.rust() {
        findings.extend(opening(file));
        findings.extend(length(file));
        findings.extend(width(file));
        findings.extend(name(file));
    }
    findings
}

fn ascii(file: &File) -> Vec<Finding> {
    let found = file.lines().filter_map(|(number, line)| {
        let odd = line.chars().find(|character| !character.is_ascii())?;
        Some(Finding::new(
            &file.path,
            number,
            format!("write {odd:?} in ASCII, or escape it"),
        ))
    });
    found.collect()
}

fn opening(file: &File) -> Option<Finding> {
    if file.text.starts_with("//! ") {
        return None;
    }
    Some(Finding::new(
        &file.path,
        1,
        "open with a `//!` line that says what the file is for",
    ))
}

fn length(file: &File) -> Option<Finding> {
    let lines = lines_aside_from_tests(file);
    if lines <= MAX_LINES {
        return None;
    }
    let what = format!("{lines} lines, tests aside: split it, {MAX_LINES} is the bound");
    Some(Finding::new(&file.path, MAX_LINES, what))
}

fn lines_aside_from_tests(file: &File) -> usize {
    let is_test_file = file.name() == "tests.rs"
        || file.path.starts_with("tests/")
        || file.path.contains("/tests/");
    if is_test_file {
        return 0;
    }
    // The tests of a file are a module at its end.
    file.text
        .lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .count()
}

fn width(file: &File) -> Vec<Finding> {
    let found = file.lines().filter_map(|(number, line)| {
        let columns = line.chars().count();
        let what = || format!("{columns} columns: break the line at {MAX_COLUMNS}");
        (columns > MAX_COLUMNS).then(|| Finding::new(&file.path, number, what()))
    });
    found.collect()
}

fn name(file: &File) -> Option<Finding> {
    let what = "name it after its module, beside the module's folder";
    (file.name() == "mod.rs").then(|| Finding::new(&file.path, 1, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_found(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)]))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn a_good_file_passes() {
        let text = format!(
            "//! Purpose.\n{}",
            "x\n".repeat(MAX_LINES.saturating_sub(1))
        );
        assert_eq!(lines_found("src/a.rs", &text), [0; 0]);
        assert_eq!(lines_found("README.md", "# A\n"), [0; 0]);
    }

    #[test]
    fn a_file_without_a_purpose_is_found() {
        assert_eq!(lines_found("src/a.rs", "use a;\n//! Late.\n"), [1]);
        assert_eq!(lines_found("src/a.rs", ""), [1]);
    }

    #[test]
    fn a_long_file_is_found_unless_it_is_tests() {
        let text = format!("//! Purpose.\n{}", "x\n".repeat(MAX_LINES));
        assert_eq!(lines_found("src/a.rs", &text), [MAX_LINES]);
        assert_eq!(lines_found("tests/it/a.rs", &text), [0; 0]);
        assert_eq!(lines_found("src/a/tests.rs", &text), [0; 0]);
        let text = format!("//! Purpose.\n#[cfg(test)]\n{}", "x\n".repeat(MAX_LINES));
        assert_eq!(lines_found("src/a.rs", &text), [0; 0]);
    }

    #[test]
    fn a_wide_line_is_found() {
        let text = format!("//! Purpose.\n{}\n{}\n", "x".repeat(100), "x".repeat(101));
        assert_eq!(lines_found("src/a.rs", &text), [3]);
    }

    #[test]
    fn a_character_outside_ascii_is_found_in_every_kind_of_file() {
        for path in ["docs/a.md", "Cargo.toml", ".ci/run"] {
            assert_eq!(lines_found(path, "a\nb \u{2013} c\n"), [2]);
        }
        assert_eq!(lines_found("src/a.rs", "//! Caf\u{e9}.\n"), [1]);
    }

    #[test]
    fn the_old_place_of_a_module_is_found() {
        assert_eq!(lines_found("src/a/mod.rs", "//! Purpose.\n"), [1]);
    }
}
