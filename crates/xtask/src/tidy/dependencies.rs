//! Every dependency of a published crate has a row in `docs/DEPENDENCIES.md` that says what for,
//! and no row is left of one that is gone.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::metadata::Package;
use super::tree::{File, Tree};

const PAGE: &str = "docs/DEPENDENCIES.md";
/// Under it stand the rows.
const HEADING: &str = "## Each of them";
const PREFIX: &str = "countersign-";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let taken = taken(&tree.packages);
    let Some(page) = tree.file(PAGE) else {
        return Vec::new();
    };
    let mut missing = taken.clone();
    let mut findings = Vec::new();
    for (line, row) in rows(page) {
        let expected = missing.remove(row.name);
        let what = match expected {
            None if taken.contains_key(row.name) => format!("`{}` has two rows", row.name),
            None => format!("no published crate takes `{}`: take its row away", row.name),
            Some(of) if of != row.of => format!("`{}` is taken by: {of}", row.name),
            Some(_) if row.why.is_empty() => format!("say what `{}` is for", row.name),
            Some(_) => continue,
        };
        findings.push(Finding::new(PAGE, line, what));
    }
    let unsaid = missing.iter().map(|(name, of)| {
        let what = format!("add a row for `{name}`, taken by: {of}");
        Finding::new(PAGE, 1, what)
    });
    findings.extend(unsaid);
    findings
}

struct Row<'a> {
    name: &'a str,
    of: &'a str,
    why: &'a str,
}

fn rows(page: &File) -> impl Iterator<Item = (usize, Row<'_>)> {
    let below = page.lines().skip_while(|(_, line)| *line != HEADING);
    let section = below
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "));
    section.filter_map(|(number, line)| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        let (of, why) = (cells.next()?, cells.next()?);
        Some((number, Row { name, of, why }))
    })
}

/// What the published crates take from elsewhere, and which of them do, by name.
fn taken(packages: &[Package]) -> BTreeMap<&str, String> {
    let mut taken: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages.iter().filter(|package| package.published) {
        let short = package.name.strip_prefix(PREFIX).unwrap_or(&package.name);
        let of_products = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind.is_none() && dependency.path.is_none());
        for dependency in of_products {
            taken.entry(&dependency.name).or_default().insert(short);
        }
    }
    let joined = |of: BTreeSet<&str>| of.into_iter().collect::<Vec<_>>().join(", ");
    taken
        .into_iter()
        .map(|(name, of)| (name, joined(of)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Dependency;
    use super::*;

    fn package(name: &str, published: bool, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependency = |&(name, kind): &(&str, Option<&str>)| Dependency {
            name: name.to_owned(),
            kind: kind.map(str::to_owned),
            path: None,
        };
        Package {
            name: name.to_owned(),
            manifest: String::new(),
            roots: Vec::new(),
            dependencies: dependencies.iter().map(dependency).collect(),
            published,
        }
    }

    fn found(rows: &str) -> Vec<String> {
        let page = format!("| `a` | 1 | 2 |\n\n{HEADING}\n\n{rows}\n## More\n| `b` | - | - |");
        let mut tree = Tree::of(&[(PAGE, &page)]);
        tree.packages = vec![
            package(
                "countersign",
                true,
                &[("hash", None), ("dice", Some("dev"))],
            ),
            package("countersign-http", true, &[("hash", None), ("http", None)]),
            package("xtask", false, &[("plot", None)]),
        ];
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_dependency_of_a_product_has_one_row_that_says_whose_it_is_and_what_for() {
        let good = "| `hash` | countersign, http | keyed |\n| `http` | http | types |\n";
        assert_eq!(found(good), [""; 0]);
        for (rows, said) in [
            (
                "| `hash` | countersign, http | keyed |\n",
                "add a row for `http`",
            ),
            (
                &good.replace("countersign, http", "http"),
                "taken by: countersign, http",
            ),
            (&good.replace("types", ""), "say what `http` is for"),
            (&format!("{good}| `http` | http | again |\n"), "two rows"),
            (
                &format!("{good}| `plot` | xtask | plots |\n"),
                "take its row away",
            ),
            (
                &format!("{good}| `dice` | countersign | dice |\n"),
                "take its row away",
            ),
        ] {
            let found = found(rows);
            assert!(matches!(&*found, [one] if one.contains(said)), "{found:?}");
        }
    }
}
