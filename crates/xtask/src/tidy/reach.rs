//! Every source file is compiled: reachable by `mod` declarations from the root of some target.
//!
//! Nothing warns of a file that is not, least of all of a test that never runs.
//! Declarations inside inline modules are not followed: the files they name are reported.

use std::collections::BTreeSet;

use super::Finding;
use super::rust_text::code_of;
use super::tree::{File, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut reached = BTreeSet::new();
    let roots = tree.packages.iter().flat_map(|package| &package.roots);
    let mut waiting: Vec<(String, bool)> = roots.map(|root| (root.clone(), true)).collect();
    while let Some((path, is_root)) = waiting.pop() {
        let Some(file) = tree.file(&path) else {
            continue;
        };
        if !reached.insert(path) {
            continue;
        }
        for module in modules(file, is_root) {
            match module
                .candidates
                .into_iter()
                .find(|path| tree.file(path).is_some())
            {
                Some(found) => waiting.push((found, false)),
                None => {
                    let what = format!("no file for `mod {}`", module.name);
                    findings.push(Finding::new(&file.path, module.line, what));
                }
            }
        }
    }
    for file in tree.rust().filter(|file| !reached.contains(&file.path)) {
        let what = "no target reaches this file: declare it with `mod`, or delete it";
        findings.push(Finding::new(&file.path, 1, what));
    }
    findings
}

/// A `mod name;`, and the paths where its file may be.
struct Module {
    name: String,
    line: usize,
    candidates: Vec<String>,
}

fn modules(file: &File, is_root: bool) -> Vec<Module> {
    let directory = file
        .path
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory);
    let stem = file.name().trim_end_matches(".rs");
    let base = if is_root {
        directory.to_owned()
    } else {
        format!("{directory}/{stem}")
    };

    let code = code_of(&file.text);
    let mut modules = Vec::new();
    let mut own_path = None;
    for ((line, text), code) in file.lines().zip(code.lines()) {
        if let Some(path) = path_attribute(text, code) {
            own_path = Some(joined(directory, path));
        }
        let Some(name) = declared(code) else { continue };
        let candidates = match own_path.take() {
            Some(path) => vec![path],
            None => vec![format!("{base}/{name}.rs"), format!("{base}/{name}/mod.rs")],
        };
        modules.push(Module {
            name: name.to_owned(),
            line,
            candidates,
        });
    }
    modules
}

/// A path that is seen from a directory.
fn joined(directory: &str, path: &str) -> String {
    let mut names: Vec<&str> = directory.split('/').collect();
    for name in path.split('/') {
        match name {
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}

/// The name in a `mod name;` at the left margin, whatever attribute or visibility goes before.
fn declared(code: &str) -> Option<&str> {
    let mut rest = code.trim_end();
    if rest.starts_with(' ') {
        return None;
    }
    while rest.starts_with("#[") {
        rest = rest.split_once(']')?.1.trim_start();
    }
    if let Some(after) = rest.strip_prefix("pub") {
        rest = after.trim_start();
        if rest.starts_with('(') {
            rest = rest.split_once(')')?.1.trim_start();
        }
    }
    let name = rest.strip_prefix("mod ")?.strip_suffix(';')?.trim();
    Some(name.strip_prefix("r#").unwrap_or(name))
}

fn path_attribute<'a>(text: &'a str, code: &str) -> Option<&'a str> {
    if !code.starts_with("#[path") {
        return None;
    }
    text.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Package;
    use super::*;

    fn check_files(root: &str, files: &[(&str, &str)]) -> Vec<String> {
        let mut tree = Tree::of(files);
        tree.packages.push(Package {
            name: "sample".to_owned(),
            manifest: "Cargo.toml".to_owned(),
            roots: vec![root.to_owned()],
            published: false,
            dependencies: Vec::new(),
        });
        check(&tree)
            .iter()
            .map(|finding| format!("{}:{}", finding.path, finding.line))
            .collect()
    }

    #[test]
    fn declared_files_are_reached() {
        let files = [
            (
                "a/src/lib.rs",
                "mod one;\npub(crate) mod two;\n#[cfg(test)] mod four;\n",
            ),
            (
                "a/src/one.rs",
                "mod three;\n#[path = \"elsewhere.rs\"]\nmod five;\n\
                 #[path = \"../b/six.rs\"]\nmod six;\n",
            ),
            ("a/src/one/three.rs", ""),
            ("a/src/elsewhere.rs", ""),
            ("a/b/six.rs", ""),
            ("a/src/two.rs", ""),
            ("a/src/four.rs", ""),
        ];
        assert_eq!(check_files("a/src/lib.rs", &files), [""; 0]);
    }

    #[test]
    fn a_stray_file_is_found() {
        let files = [
            (
                "tests/it/main.rs",
                "mod used;\n// mod commented;\nconst S: &str = \"\nmod quoted;\";",
            ),
            ("tests/it/used.rs", ""),
            ("tests/it/commented.rs", ""),
            ("tests/it/quoted.rs", ""),
            ("tests/it/used/deep.rs", ""),
        ];
        let strays = [
            "tests/it/commented.rs:1",
            "tests/it/quoted.rs:1",
            "tests/it/used/deep.rs:1",
        ];
        assert_eq!(check_files("tests/it/main.rs", &files), strays);
    }

    #[test]
    fn a_module_without_a_file_is_found() {
        let files = [("src/lib.rs", "\nmod gone;\n")];
        assert_eq!(check_files("src/lib.rs", &files), ["src/lib.rs:2"]);
    }
}
