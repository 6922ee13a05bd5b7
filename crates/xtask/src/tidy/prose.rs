//! One sentence a line in Markdown, so that a change to a sentence is a change to a line.
//!
//! It finds only what is plainly the end of one sentence and the start of another.

use super::Finding;
use super::tree::{File, Tree};

/// A full stop after one of these ends no sentence.
const ABBREVIATIONS: [&str; 6] = ["e.g", "i.e", "etc", "vs", "cf", "resp"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let markdown = tree.files.iter().filter(|file| file.extension() == "md");
    markdown.flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in file.lines() {
        let start = line.trim_start();
        if start.starts_with("```") {
            in_code = !in_code;
        } else if !in_code && !start.starts_with('|') && holds_two_sentences(line) {
            findings.push(Finding::new(
                &file.path,
                number,
                "begin the next sentence on a new line",
            ));
        }
    }
    findings
}

fn holds_two_sentences(line: &str) -> bool {
    // What stands between backticks is code: every second piece.
    let prose: Vec<&str> = line.split('`').step_by(2).collect();
    let prose = prose.join("`");
    let ends = prose.match_indices(". ").filter(|(at, _)| {
        let before = prose.get(..*at).unwrap_or_default();
        let after = prose.get(at.saturating_add(2)..).unwrap_or_default();
        before.ends_with(|last: char| last.is_ascii_lowercase() || last == ')')
            && after.starts_with(|first: char| first.is_ascii_uppercase())
            && !ABBREVIATIONS.iter().any(|short| before.ends_with(short))
    });
    ends.count() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_found(text: &str) -> Vec<usize> {
        check(&Tree::of(&[("docs/a.md", text)]))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn two_sentences_on_a_line_are_found() {
        assert_eq!(
            lines_found("One.\nTwo here. Three there.\n- Four (or so). Five.\n"),
            [2, 3]
        );
    }

    #[test]
    fn tables_code_and_abbreviations_are_left_alone() {
        let text = "| One here. Two there. |\n```\nOne here. Two there.\n```\nSee `a. B` there.\n\
                    As in e.g. Rust.\n1. Begin.\nVersion 2. Next.\n";
        assert_eq!(lines_found(text), [0; 0]);
    }
}
