//! Manifests: the lints of the workspace, no harness in the way of criterion, sorted dependencies.

use toml::{Table, Value};

use super::Finding;
use super::tree::{File, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.named("Cargo.toml") {
        findings.extend(order(file));
        let manifest = match file.text.parse::<Table>() {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(Finding::new(&file.path, 1, error.message()));
                continue;
            }
        };
        if manifest.contains_key("package") {
            findings.extend(lints(file, &manifest));
            findings.extend(benches(tree, file, &manifest));
        }
        // A workspace of its own has nowhere else to state its versions.
        if !manifest.contains_key("workspace") {
            findings.extend(versions(file, &manifest));
        }
    }
    findings
}

fn lints(file: &File, manifest: &Table) -> Option<Finding> {
    let inherited = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"));
    if inherited == Some(&Value::Boolean(true)) {
        return None;
    }
    Some(Finding::new(
        &file.path,
        1,
        "add `[lints]` with `workspace = true`",
    ))
}

/// A target with the default harness swallows the arguments that `cargo bench` has for criterion.
fn benches(tree: &Tree, file: &File, manifest: &Table) -> Vec<Finding> {
    let directory = file.path.strip_suffix("Cargo.toml").unwrap_or_default();
    let exists = |path: &str| tree.file(&format!("{directory}{path}")).is_some();
    let mut findings = Vec::new();
    let mut expect_off = |target: Option<&Value>, name: &str| {
        if target.and_then(|target| target.get("bench")) != Some(&Value::Boolean(false)) {
            let line = line_of(file, name);
            findings.push(Finding::new(
                &file.path,
                line,
                format!("add `bench = false` to {name}"),
            ));
        }
    };
    let library = manifest.get("lib");
    if library.is_some() || exists("src/lib.rs") {
        expect_off(library, "[lib]");
    }
    let binaries = manifest.get("bin").and_then(Value::as_array);
    for binary in binaries.into_iter().flatten() {
        expect_off(Some(binary), "[[bin]]");
    }
    if binaries.is_none() && exists("src/main.rs") {
        expect_off(None, "[[bin]]");
    }
    findings
}

/// Versions are stated in the workspace alone.
fn versions(file: &File, manifest: &Table) -> Vec<Finding> {
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = sections
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table());
    let dependencies = tables.flatten();
    let stray = dependencies
        .filter(|(_, value)| value.get("workspace") != Some(&Value::Boolean(true)))
        .map(|(name, _)| {
            let what = format!("take `{name}` from `[workspace.dependencies]`");
            Finding::new(&file.path, line_of(file, name), what)
        });
    stray.collect()
}

/// Dependencies are sorted within their group; a comment or a blank line begins a new one.
fn order(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_dependencies = false;
    let mut previous: Option<&str> = None;
    for (number, line) in file.lines() {
        if line.starts_with('[') {
            in_dependencies = line.trim_end().ends_with("dependencies]");
            previous = None;
        } else if line.trim().is_empty() || line.starts_with('#') {
            previous = None;
        } else if in_dependencies && line.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            if let Some(above) = previous.filter(|above| *above > name) {
                let what = format!("`{name}` goes before `{above}`: sort the group");
                findings.push(Finding::new(&file.path, number, what));
            }
            previous = Some(name);
        }
    }
    findings
}

fn line_of(file: &File, start: &str) -> usize {
    file.lines()
        .find(|(_, line)| line.starts_with(start))
        .map_or(1, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"a\"\n[lib]\nbench = false\n[lints]\nworkspace = true\n";

    fn found(manifest: &str, files: &[&str]) -> Vec<String> {
        let mut all = vec![("crates/a/Cargo.toml", manifest)];
        all.extend(files.iter().map(|path| (*path, "")));
        check(&Tree::of(&all))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_good_manifest_passes() {
        let text = format!(
            "{GOOD}[dependencies]\n# One.\nb.workspace = true\nc = {{ workspace = true }}\n\n\
             # Two.\na.workspace = true\n"
        );
        assert_eq!(found(&text, &["crates/a/src/lib.rs"]), [""; 0]);
        assert_eq!(found("[workspace]\nmembers = []\n", &[]), [""; 0]);
    }

    #[test]
    fn a_package_without_the_lints_is_found() {
        let what = "crates/a/Cargo.toml:1: add `[lints]` with `workspace = true`";
        assert_eq!(found("[package]\nname = \"a\"\n", &[]), [what]);
        assert_eq!(
            found("[package]\nname = \"a\"\n[lints]\nworkspace = false\n", &[]),
            [what]
        );
    }

    #[test]
    fn a_target_that_would_swallow_bench_arguments_is_found() {
        let head = "[package]\nname = \"a\"\n[lints]\nworkspace = true\n";
        let library = ["crates/a/Cargo.toml:1: add `bench = false` to [lib]"];
        assert_eq!(found(head, &["crates/a/src/lib.rs"]), library);
        let binary = ["crates/a/Cargo.toml:1: add `bench = false` to [[bin]]"];
        assert_eq!(found(head, &["crates/a/src/main.rs"]), binary);
        let binary = ["crates/a/Cargo.toml:5: add `bench = false` to [[bin]]"];
        assert_eq!(
            found(&format!("{head}[[bin]]\nname = \"b\"\n"), &[]),
            binary
        );
    }

    #[test]
    fn dependencies_out_of_order_are_found() {
        let text = format!("{GOOD}[dependencies]\nb.workspace = true\na.workspace = true\n");
        let what = "crates/a/Cargo.toml:9: `a` goes before `b`: sort the group";
        assert_eq!(found(&text, &[]), [what]);
    }

    #[test]
    fn a_version_outside_the_workspace_is_found() {
        let text = format!("{GOOD}[dev-dependencies]\na = \"1\"\n");
        let what = "crates/a/Cargo.toml:8: take `a` from `[workspace.dependencies]`";
        assert_eq!(found(&text, &[]), [what]);
    }

    #[test]
    fn a_broken_manifest_is_found() {
        assert_eq!(found("[package", &[]).len(), 1);
    }
}
