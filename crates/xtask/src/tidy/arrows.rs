//! Which package of the checkout may know which: the picture of the crates as a table.
//!
//! A dependency that is not here is a change of architecture, not an oversight to wave through.

use super::Finding;
use super::metadata::{Dependency, Package};
use super::tree::Tree;

/// What a package may depend on. Development dependencies may be the same, and the testkit.
struct Arrows {
    package: &'static str,
    allowed: &'static [&'static str],
}

const CORE: &str = "countersign-core";
const SESSIONS: &str = "countersign-sessions";
const STORE: &str = "countersign-store";
const ENGINE: &str = "countersign";
const POSTGRES: &str = "countersign-postgres";
const TESTKIT: &str = "countersign-testkit";
const MODELS: &str = "countersign-models";
const TRACKER: &str = "countersign-tracker";

/// Everything that may be tested, measured and fuzzed from outside.
const ALL: &[&str] = &[
    CORE,
    SESSIONS,
    STORE,
    ENGINE,
    POSTGRES,
    TESTKIT,
    MODELS,
    "countersign-axum",
    "countersign-cli",
    "countersign-tower-sessions",
    TRACKER,
];

/// Sessions and store do not know each other, nothing below the engine knows the engine,
/// and the edges see the engine and the core's types alone.
const TABLE: [Arrows; 18] = [
    Arrows {
        package: CORE,
        allowed: &[],
    },
    Arrows {
        package: SESSIONS,
        allowed: &[CORE],
    },
    Arrows {
        package: STORE,
        allowed: &[CORE],
    },
    Arrows {
        package: POSTGRES,
        allowed: &[CORE, STORE],
    },
    Arrows {
        package: ENGINE,
        allowed: &[CORE, SESSIONS, STORE],
    },
    Arrows {
        package: "countersign-axum",
        allowed: &[CORE, ENGINE],
    },
    Arrows {
        package: "countersign-tower-sessions",
        allowed: &[CORE, ENGINE],
    },
    Arrows {
        package: "countersign-cli",
        allowed: &[CORE, SESSIONS, STORE, ENGINE, POSTGRES],
    },
    // An application, which is told of nothing but what applications are.
    Arrows {
        package: TRACKER,
        allowed: &[ENGINE, "countersign-axum"],
    },
    Arrows {
        package: TESTKIT,
        allowed: &[CORE, SESSIONS, STORE, ENGINE],
    },
    // Of stores it knows the plain one alone: the others are handed to it.
    Arrows {
        package: MODELS,
        allowed: &[CORE, STORE, ENGINE, TESTKIT],
    },
    Arrows {
        package: "xtask",
        allowed: &[],
    },
    // What the feed decides is simulated with it: by the same code, hence the arrow to it.
    Arrows {
        package: "countersign-scale",
        allowed: &[CORE, STORE, ENGINE, POSTGRES, TESTKIT],
    },
    Arrows {
        package: "countersign-tests",
        allowed: ALL,
    },
    Arrows {
        package: "countersign-benches",
        allowed: ALL,
    },
    Arrows {
        package: "countersign-fuzz",
        allowed: ALL,
    },
    Arrows {
        package: "countersign-peers",
        allowed: &[ENGINE, TESTKIT, "countersign-benches"],
    },
    Arrows {
        package: "countersign-ct",
        allowed: &[ENGINE],
    },
];

/// Dependencies from elsewhere that only these packages may name.
/// What is barred from the whole tree, or wrapped by one crate, stands in `deny.toml`.
const FOREIGN: [(&[&str], &[&str]); 3] = [
    // Randomness is an argument: the engine's entropy is the one place that asks for it.
    (&["getrandom"], &[ENGINE]),
    // One call serves blocking and async hosts: no runtime below the edges.
    (
        &["async-std", "smol", "tokio"],
        &[
            "countersign-axum",
            POSTGRES,
            "countersign-tower-sessions",
            TRACKER,
            "countersign-tests",
            "countersign-benches",
        ],
    ),
    // HTTP types appear only in the HTTP crates.
    (
        &[
            "axum",
            "axum-core",
            "cookie",
            "http",
            "http-body-util",
            "hyper",
            "multer",
            "tower",
            "tower-layer",
            "tower-service",
        ],
        &[
            "countersign-axum",
            "countersign-tower-sessions",
            TRACKER,
            "countersign-tests",
            "countersign-benches",
            // Headers are fuzzed where they are read: behind the layer.
            "countersign-fuzz",
        ],
    ),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.packages
        .iter()
        .flat_map(|package| check_package(tree, package))
        .collect()
}

fn check_package(tree: &Tree, package: &Package) -> Vec<Finding> {
    let Some(arrows) = TABLE.iter().find(|arrows| arrows.package == package.name) else {
        let what = format!("`{}` is not in the table of arrows in xtask", package.name);
        return vec![Finding::new(&package.manifest, 1, what)];
    };
    let strange = package
        .dependencies
        .iter()
        .filter(|dependency| !may(arrows, dependency));
    strange
        .map(|dependency| {
            let line = line_of(tree, &package.manifest, &dependency.name);
            let what = format!("`{}` must not know `{}`", package.name, dependency.name);
            Finding::new(&package.manifest, line, what)
        })
        .collect()
}

fn may(arrows: &Arrows, dependency: &Dependency) -> bool {
    let name = dependency.name.as_str();
    if dependency.path.is_none() {
        let rule = FOREIGN.iter().find(|(names, _)| names.contains(&name));
        return rule.is_none_or(|(_, packages)| packages.contains(&arrows.package));
    }
    let for_tests = dependency.kind.as_deref() == Some("dev");
    arrows.allowed.contains(&name) || (for_tests && name == TESTKIT)
}

fn line_of(tree: &Tree, manifest: &str, dependency: &str) -> usize {
    let is_it = |line: &str| {
        let after = line.strip_prefix(dependency);
        after.is_some_and(|after| after.starts_with([' ', '.', '=']))
    };
    tree.file(manifest)
        .and_then(|file| file.lines().find(|(_, line)| is_it(line)))
        .map_or(1, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn check_one(package: &str, dependency: &str, kind: Option<&str>, path: bool) -> Vec<String> {
        let text = format!("[dependencies]\n{dependency}.workspace = true\n");
        let mut tree = Tree::of(&[("crates/x/Cargo.toml", &text)]);
        tree.packages.push(Package {
            name: package.to_owned(),
            manifest: "crates/x/Cargo.toml".to_owned(),
            roots: Vec::new(),
            published: false,
            dependencies: vec![Dependency {
                name: dependency.to_owned(),
                kind: kind.map(str::to_owned),
                path: path.then(|| PathBuf::from("crates")),
            }],
        });
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn arrows_of_the_picture_are_allowed() {
        assert_eq!(check_one(STORE, CORE, None, true), [""; 0]);
        assert_eq!(check_one(STORE, TESTKIT, Some("dev"), true), [""; 0]);
        assert_eq!(
            check_one("countersign-benches", TESTKIT, None, true),
            [""; 0]
        );
        assert_eq!(check_one(CORE, "blake3", None, false), [""; 0]);
        assert_eq!(check_one(ENGINE, "getrandom", None, false), [""; 0]);
    }

    #[test]
    fn any_other_arrow_is_found() {
        for (package, dependency, kind) in [
            (CORE, STORE, None),
            (CORE, ENGINE, Some("dev")),
            (SESSIONS, STORE, None),
            (STORE, SESSIONS, None),
            (STORE, TESTKIT, None),
            (STORE, TESTKIT, Some("build")),
            ("xtask", CORE, None),
        ] {
            let what = format!("crates/x/Cargo.toml:2: `{package}` must not know `{dependency}`");
            assert_eq!(check_one(package, dependency, kind, true), [what]);
        }
    }

    #[test]
    fn what_a_package_must_not_know_from_elsewhere_is_found() {
        for (package, dependency, kind) in [
            (CORE, "getrandom", None),
            (STORE, "tokio", Some("dev")),
            (ENGINE, "http", None),
        ] {
            let what = format!("crates/x/Cargo.toml:2: `{package}` must not know `{dependency}`");
            assert_eq!(check_one(package, dependency, kind, false), [what]);
        }
    }

    #[test]
    fn a_package_outside_the_table_is_found() {
        let found = check_one("countersign-extras", CORE, None, true);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
