//! Words that have no place in the tree: notes to oneself, silenced lints, names of machines.

use super::Finding;
use super::rust_text::code_of;
use super::tree::{File, Tree};

/// Split, so that this file does not find itself.
const MARKERS: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
];

/// What code must not say, and what to do instead.
const IN_CODE: [(&str, &str); 6] = [
    ("todo!", "finish it"),
    ("unimplemented!", "finish it"),
    ("#[allow(", "use `#[expect(..., reason = \"...\")]`"),
    ("#![allow(", "use `#![expect(..., reason = \"...\")]`"),
    (
        "#[ignore",
        "a test runs or is deleted; a long one is a command of its own",
    ),
    (
        ", ignore",
        "a test runs or is deleted; a long one is a command of its own",
    ),
];

/// Paths of the machine somebody happened to sit at.
const MACHINE_PATHS: [&str; 3] = [
    concat!("/wo", "rk"),
    concat!("/ro", "ot"),
    concat!("/ho", "me"),
];

/// Where packages come from is the business of whoever builds.
const REGISTRY_HOSTS: [&str; 4] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<_> = tree.files.iter().flat_map(anywhere).collect();
    findings.extend(tree.rust().flat_map(in_code));
    findings
}

fn anywhere(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        let mut report = |what: String| findings.push(Finding::new(&file.path, number, what));
        for marker in MARKERS.iter().filter(|marker| holds_word(line, marker)) {
            report(format!("`{marker}`: do it now, or open an issue"));
        }
        for path in MACHINE_PATHS.iter().filter(|path| holds_path(line, path)) {
            report(format!(
                "`{path}` is a path of one machine: take a relative or temporary one"
            ));
        }
        for host in REGISTRY_HOSTS.iter().filter(|host| line.contains(*host)) {
            report(format!(
                "`{host}`: leave the registry to the configuration of who builds"
            ));
        }
    }
    findings
}

fn in_code(file: &File) -> Vec<Finding> {
    let code = code_of(&file.text);
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        for (word, instead) in IN_CODE {
            let only_in_attributes = word.starts_with(',') && !line.contains("#[cfg_attr(");
            if line.contains(word) && !only_in_attributes {
                findings.push(Finding::new(
                    &file.path,
                    number,
                    format!("`{word}`: {instead}"),
                ));
            }
        }
    }
    findings
}

/// Whether `word` stands in the line by itself, not as part of a longer one.
fn holds_word(line: &str, word: &str) -> bool {
    line.split(|character: char| !character.is_ascii_alphanumeric())
        .any(|piece| piece == word)
}

/// Whether an absolute path in the line begins with this directory.
fn holds_path(line: &str, directory: &str) -> bool {
    line.match_indices(directory).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let end = at.saturating_add(directory.len());
        let after = line.get(end..).unwrap_or_default();
        // A relative path or an address goes on here; `}` and `)` close the name of a variable.
        let is_absolute = !before.ends_with(is_in_name) && !before.ends_with(['}', ')']);
        is_absolute && !after.starts_with(is_in_name)
    })
}

fn is_in_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_.".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, line: &str) -> usize {
        check(&Tree::of(&[(path, line)])).len()
    }

    #[test]
    fn notes_to_oneself_are_found() {
        for marker in MARKERS {
            assert_eq!(found("src/a.rs", &format!("// {marker}: later")), 1);
            assert_eq!(found("docs/a.md", &format!("({marker})")), 1);
        }
        assert_eq!(found("src/a.rs", "let mktemp = \"XXXXXX\";"), 0);
    }

    #[test]
    fn unfinished_code_and_silenced_lints_are_found() {
        for code in [
            "todo!()",
            "unimplemented!()",
            "#[allow(dead_code)]",
            "#![allow(dead_code)]",
            "#[ignore]",
            "#[ignore = \"slow\"]",
            "#[cfg_attr(miri, ignore)]",
        ] {
            assert_eq!(found("src/a.rs", code), 1, "{code}");
            assert_eq!(found("src/a.rs", &format!("// {code}")), 0, "{code}");
        }
    }

    #[test]
    fn machine_paths_are_found_and_longer_names_are_not() {
        for path in MACHINE_PATHS {
            assert_eq!(found("docs/a.md", &format!("in `{path}/x`")), 1);
            assert_eq!(found(".ci/run", &format!("cd {path}")), 1);
            assert_eq!(found("docs/a.md", &format!("in a{path}/x")), 0);
            assert_eq!(found("docs/a.md", &format!("{path}space/x")), 0);
        }
    }

    #[test]
    fn registry_hosts_are_found() {
        for host in REGISTRY_HOSTS {
            assert_eq!(
                found("deny.toml", &format!("index = \"https://{host}/\"")),
                1
            );
        }
    }
}
