//! Whether a change of the code is noticed: every mutant that cargo-mutants lists, all woven into
//! one build, each tried with the tests that run it.

mod copy;
mod list;
mod tried;
mod weave;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;

use clap::Args;

use self::copy::Copy;
use self::list::{Fate, Mutant};
use self::tried::Tests;
use crate::process::{Failure, Result, root};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only the mutants whose name holds one of these texts
    filter: Vec<String>,

    /// Only what has no outcome yet, or outlived the tests; the other outcomes stay
    #[arg(long)]
    again: bool,

    /// Only the tests of these packages
    #[arg(long)]
    tests: Vec<String>,

    /// How many are tried at once; as many as there are processors unless said otherwise
    #[arg(long)]
    jobs: Option<usize>,
}

const PACKAGES: &[&str] = &[
    "countersign-core",
    "countersign-sessions",
    "countersign-store",
    "countersign",
];

/// The list of mutants that may outlive the tests, each with its reason.
const EXPLAINED: &str = "docs/trials/MUTANTS.md";

/// Where outcomes are kept, a line each: what became of it, its name, and by which tests.
const OUTCOMES: &str = "target/mutants/outcomes.tsv";

pub(crate) fn run(options: &Options) -> Result<()> {
    let mutants = list::listed(PACKAGES)?;
    println!("{} mutants", mutants.len());
    let place = root().join(OUTCOMES);
    let mut outcomes = match options.again {
        true => earlier(&place),
        false => BTreeMap::new(),
    };
    let copy = Copy::make(&mutants, options.again)?;
    let mut binaries = copy.built()?;
    binaries.retain(|binary| options.tests.is_empty() || options.tests.contains(&binary.package));
    let processors = || thread::available_parallelism().map_or(1, usize::from);
    let workers = options.jobs.unwrap_or_else(processors);
    let tests = Tests::met(&copy, binaries, workers)?;
    for (number, &fate) in &copy.fates {
        if let Some(mutant) = mutants.get(*number) {
            let outcome = outcomes.entry(mutant.name.clone()).or_default();
            // What was found out of it apart stays.
            outcome.fate = outcome.fate.or(Some(fate));
        }
    }
    let numbers = to_try(options, &mutants, &outcomes, &copy);
    let (mut tried, count) = (0_usize, numbers.len());
    tests.try_all(&numbers, &mutants, workers, |number, fate, by| {
        tried = tried.saturating_add(1);
        let Some(mutant) = mutants.get(number) else {
            return;
        };
        if fate != Fate::Caught {
            println!("{tried} of {count}: {fate:?}: {}", mutant.name);
        }
        let outcome = Outcome {
            fate: Some(fate),
            by: by.to_owned(),
        };
        outcomes.insert(mutant.name.clone(), outcome);
        if tried.is_multiple_of(20) {
            keep(&place, &mutants, &outcomes);
        }
    });
    keep(&place, &mutants, &outcomes);
    println!("{}", totals(&mutants, &outcomes));
    let known = fs::read_to_string(root().join(EXPLAINED)).unwrap_or_default();
    match unexplained(&mutants, &outcomes, &known) {
        0 => Ok(()),
        count => Err(Failure::new(format!(
            "{count} outlived the tests unexplained"
        ))),
    }
}

/// The mutants that are to be tried, those of the crates below first: most of what is wrong there
/// shows in the tests above as well.
fn to_try(
    options: &Options,
    mutants: &[Mutant],
    outcomes: &BTreeMap<String, Outcome>,
    copy: &Copy,
) -> Vec<usize> {
    let wanted = |(number, mutant): &(usize, &Mutant)| {
        let named = |text: &String| mutant.name.contains(text.as_str());
        let filtered = options.filter.is_empty() || options.filter.iter().any(named);
        let fate = outcomes.get(&mutant.name).and_then(|outcome| outcome.fate);
        let open = matches!(fate, None | Some(Fate::Missed | Fate::Unreached));
        filtered && open && !copy.fates.contains_key(number)
    };
    let mut wanted: Vec<_> = mutants.iter().enumerate().filter(wanted).collect();
    wanted.sort_by_key(|(_, mutant)| PACKAGES.iter().position(|name| *name == mutant.package));
    wanted.into_iter().map(|(number, _)| number).collect()
}

/// How many outlived the tests and are not in the list of those that may; says which.
fn unexplained(mutants: &[Mutant], outcomes: &BTreeMap<String, Outcome>, known: &str) -> usize {
    let alive = mutants.iter().filter(|mutant| {
        let fate = outcomes.get(&mutant.name).and_then(|outcome| outcome.fate);
        matches!(fate, Some(Fate::Missed | Fate::Unreached))
    });
    let unexplained = alive.filter(|mutant| !known.contains(&in_table(mutant)));
    unexplained
        .inspect(|mutant| println!("not explained: {}", mutant.name))
        .count()
}

/// How the list names a mutant: a bar would end the cell that it is in.
fn in_table(mutant: &Mutant) -> String {
    format!("`{}`", mutant.lasting_name().replace('|', "\\|"))
}

/// What became of a mutant, and by which tests.
#[derive(Debug, Default)]
struct Outcome {
    fate: Option<Fate>,
    by: String,
}

/// Writes all outcomes of mutants that there are.
fn keep(place: &Path, mutants: &[Mutant], outcomes: &BTreeMap<String, Outcome>) {
    let mut text = String::new();
    for mutant in mutants {
        if let Some(Outcome {
            fate: Some(fate),
            by,
        }) = outcomes.get(&mutant.name)
        {
            text.push_str(&format!("{fate:?}\t{}\t{by}\n", mutant.name));
        }
    }
    if let Err(error) = fs::write(place, text) {
        println!("{}: {error}", place.display());
    }
}

/// What became of each the last time.
fn earlier(place: &Path) -> BTreeMap<String, Outcome> {
    let text = fs::read_to_string(place).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let mut parts = line.split('\t');
        let fate = Fate::named(parts.next()?);
        let name = parts.next()?.to_owned();
        let by = parts.next().unwrap_or("").to_owned();
        Some((name, Outcome { fate, by }))
    });
    lines.collect()
}

/// The totals of each package as a table.
fn totals(mutants: &[Mutant], outcomes: &BTreeMap<String, Outcome>) -> String {
    let mut counts: BTreeMap<&str, BTreeMap<Option<Fate>, usize>> = BTreeMap::new();
    for mutant in mutants {
        let counts = counts.entry(mutant.package.as_str()).or_default();
        let fate = outcomes.get(&mutant.name).and_then(|outcome| outcome.fate);
        let count = counts.entry(fate).or_default();
        *count = count.saturating_add(1);
    }
    let mut text = String::from("| crate |");
    for fate in Fate::ALL {
        text.push_str(&format!(" {fate:?} |"));
    }
    text.push_str(" not tried |\n");
    for (package, counts) in counts {
        text.push_str(&format!("| {package} |"));
        for fate in Fate::ALL.iter().copied().map(Some).chain([None]) {
            text.push_str(&format!(" {} |", counts.get(&fate).copied().unwrap_or(0)));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutants() -> Vec<Mutant> {
        let place = list::Place { line: 7, column: 5 };
        let mutant = |name: &str| Mutant {
            name: format!("crates/a/src/b.rs:7:5: {name}"),
            package: "countersign-core".to_owned(),
            file: "crates/a/src/b.rs".into(),
            genre: list::Genre::FnValue,
            replacement: String::new(),
            span: list::Span {
                start: place,
                end: place,
            },
        };
        ["replace f with ()", "replace g with ()", "delete ! in h"]
            .map(mutant)
            .into()
    }

    fn outcomes(fates: [Option<Fate>; 3]) -> BTreeMap<String, Outcome> {
        let with = |(mutant, fate): (Mutant, Option<Fate>)| {
            let by = "b 1".to_owned();
            (mutant.name, Outcome { fate, by })
        };
        mutants().into_iter().zip(fates).map(with).collect()
    }

    #[test]
    fn what_outlives_the_tests_is_told_unless_it_is_explained() {
        let outcomes = outcomes([
            Some(Fate::Missed),
            Some(Fate::Unreached),
            Some(Fate::Caught),
        ]);
        assert_eq!(unexplained(&mutants(), &outcomes, ""), 2);
        let known = "| `crates/a/src/b.rs: replace g with ()` | nobody calls it |";
        assert_eq!(unexplained(&mutants(), &outcomes, known), 1);
    }

    #[test]
    fn outcomes_are_counted_and_read_back() {
        let outcomes = outcomes([Some(Fate::Missed), None, Some(Fate::Caught)]);
        let text = totals(&mutants(), &outcomes);
        assert!(
            text.ends_with("| countersign-core | 1 | 0 | 1 | 0 | 0 | 0 | 1 |\n"),
            "{text}"
        );
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("outcomes.tsv");
        keep(&place, &mutants(), &outcomes);
        let read = earlier(&place);
        assert_eq!(read.len(), 2);
        assert_eq!(totals(&mutants(), &read), text);
    }
}
