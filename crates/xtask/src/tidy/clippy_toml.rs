//! A `clippy.toml` below a crate repeats every key of the root's.
//!
//! Clippy reads only the nearest file of that name, and says nothing of what it no longer reads.

use super::Finding;
use super::tree::Tree;

const ROOT: &str = "clippy.toml";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(root) = tree.file(ROOT) else {
        return Vec::new();
    };
    let keys = match root.text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => return vec![Finding::new(ROOT, 1, error.message())],
    };
    let mut findings = Vec::new();
    for file in tree.named(ROOT).filter(|file| file.path != ROOT) {
        let own = match file.text.parse::<toml::Table>() {
            Ok(own) => own,
            Err(error) => {
                findings.push(Finding::new(&file.path, 1, error.message()));
                continue;
            }
        };
        for key in keys.keys().filter(|key| !own.contains_key(*key)) {
            let what = format!("repeat `{key}` of the root's file: clippy reads only this one");
            findings.push(Finding::new(&file.path, 1, what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(nested: &str) -> Vec<String> {
        let root = "allow-dbg-in-tests = true\ntoo-many-lines-threshold = 70\n";
        let tree = Tree::of(&[("clippy.toml", root), ("crates/a/clippy.toml", nested)]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_that_drops_a_key_of_the_root_is_found() {
        assert_eq!(
            found("too-many-lines-threshold = 9\nallow-dbg-in-tests = false\n"),
            [""; 0]
        );
        let dropped = found("too-many-lines-threshold = 70\n");
        assert!(
            matches!(&*dropped, [one] if one.contains("allow-dbg-in-tests")),
            "{dropped:?}"
        );
        assert_eq!(found("= broken").len(), 1);
    }
}
