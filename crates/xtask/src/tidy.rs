//! The rules of the house that no compiler checks, each a function from the tree to findings.
//!
//! They run as `cargo xtask tidy` and as a plain test, so nobody learns of them late.
//! What clippy or rustfmt can say is left to them.

mod arrows;
mod clippy_toml;
mod dependencies;
mod manifests;
mod metadata;
mod prose;
mod reach;
mod rust_text;
mod shape;
mod tree;
mod words;

use std::fmt;

use crate::process::{Failure, Result, root};
pub(crate) use metadata::Metadata;
use tree::Tree;

/// A place that breaks a rule, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

type Check = fn(&Tree) -> Vec<Finding>;

const CHECKS: [Check; 8] = [
    reach::check,
    arrows::check,
    shape::check,
    prose::check,
    words::check,
    manifests::check,
    clippy_toml::check,
    dependencies::check,
];

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<_> = CHECKS.iter().flat_map(|check| check(tree)).collect();
    findings.sort();
    findings
}

pub(crate) fn run() -> Result<()> {
    let tree = Tree::load(&root())?;
    let findings = findings(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("{} files are tidy", tree.files.len());
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} places are not tidy",
        findings.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let tree = Tree::load(&root()).unwrap();
        let findings: Vec<_> = findings(&tree).iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "not tidy:\n{}", findings.join("\n"));
    }
}
