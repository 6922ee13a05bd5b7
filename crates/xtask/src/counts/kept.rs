//! What each case may cost: the counts that were kept, and how far one may be from them.
//!
//! Another compiler or architecture makes other instructions of the same source, so there nothing
//! is judged by them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::process::{Failure, Result, rustc};

/// Below the root.
pub(super) const FILE: &str = "benches/counts.toml";

/// How far above what was kept a case may be, in percent, and how far below it passes unnoticed.
const PERCENT: u64 = 3;

const HEAD: &str = "\
# Instructions of each case of `cargo xtask counts`, which fails where one takes 3 % more.
# Written by `cargo xtask counts --keep`.

";

const HOW_TO_KEEP: &str = "`cargo xtask counts --keep` keeps what is counted now";

/// What a count depends on besides the source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Place {
    rustc: String,
    arch: String,
}

#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Kept {
    #[serde(flatten)]
    place: Place,
    instructions: BTreeMap<String, u64>,
}

impl Place {
    pub(super) fn here() -> Result<Self> {
        Ok(Self {
            rustc: rustc()?,
            arch: std::env::consts::ARCH.to_owned(),
        })
    }
}

impl Kept {
    pub(super) fn new(place: Place, counts: &[(&str, u64)]) -> Self {
        let instructions = counts
            .iter()
            .map(|(case, count)| ((*case).to_owned(), *count));
        Self {
            place,
            instructions: instructions.collect(),
        }
    }

    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file)
            .map_err(|error| Failure::new(format!("cannot read {FILE}: {error}; {HOW_TO_KEEP}")))?;
        toml::from_str(&text)
            .map_err(|error| Failure::new(format!("{FILE}: {error}; {HOW_TO_KEEP}")))
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let failed = |why: String| Failure::new(format!("cannot write {FILE}: {why}"));
        let text = toml::to_string(self).map_err(|error| failed(error.to_string()))?;
        fs::write(file, format!("{HEAD}{text}")).map_err(|error| failed(error.to_string()))
    }

    /// What is worth saying of counts that pass; a failure names every case that costs too much.
    pub(super) fn judge(&self, here: &Place, counts: &[(&str, u64)]) -> Result<Vec<String>> {
        if *here != self.place {
            let Place { rustc, arch } = &self.place;
            return Ok(vec![format!(
                "!!! NOT JUDGED: counts are kept of {rustc} on {arch}, this is {} on {} !!!",
                here.rustc, here.arch
            )]);
        }
        let (mut faults, mut notes) = (Vec::new(), Vec::new());
        for (case, got) in counts {
            match self.instructions.get(*case) {
                None => faults.push(format!("{case} takes {got} and nothing is kept of it")),
                Some(kept) if is_above(*got, *kept) => {
                    faults.push(format!("{case} takes {got}, kept is {kept}"));
                }
                Some(kept) if is_below(*got, *kept) => {
                    notes.push(format!("{case} takes {got} alone, kept is {kept}: keep it"));
                }
                Some(_) => {}
            }
        }
        let is_counted = |case: &str| counts.iter().any(|(counted, _)| *counted == case);
        let gone = self.instructions.keys().filter(|case| !is_counted(case));
        notes.extend(gone.map(|case| format!("{case} is kept, and counted no more: keep anew")));
        if !faults.is_empty() {
            return Err(Failure::new(format!(
                "instructions, more than {PERCENT} % above what is kept: {}; if that is meant, \
                 {HOW_TO_KEEP}",
                faults.join("; ")
            )));
        }
        if !notes.is_empty() {
            notes.push(HOW_TO_KEEP.to_owned());
        }
        Ok(notes)
    }
}

fn is_above(got: u64, kept: u64) -> bool {
    got.saturating_mul(100) > kept.saturating_mul(100_u64.saturating_add(PERCENT))
}

fn is_below(got: u64, kept: u64) -> bool {
    got.saturating_mul(100) < kept.saturating_mul(100_u64.saturating_sub(PERCENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            rustc: "rustc 1.95.0".into(),
            arch: "x86_64".into(),
        }
    }

    fn judged(counts: &[(&str, u64)]) -> Result<Vec<String>> {
        Kept::new(place(), &[("hit", 1000), ("parse", 100)]).judge(&place(), counts)
    }

    #[test]
    fn a_case_that_costs_three_percent_more_passes_and_one_that_costs_more_fails() {
        assert_eq!(judged(&[("hit", 1030), ("parse", 97)]), Ok(Vec::new()));
        let error = judged(&[("hit", 1031), ("parse", 104)]).unwrap_err();
        let error = error.to_string();
        for part in [
            "hit takes 1031, kept is 1000",
            "parse takes 104, kept is 100",
            "counts --keep",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_case_that_costs_less_is_worth_keeping_and_no_failure() {
        let notes = judged(&[("hit", 960), ("parse", 100)]).unwrap();
        assert_eq!(notes[0], "hit takes 960 alone, kept is 1000: keep it");
        assert!(notes[1].contains("--keep"), "{notes:?}");
    }

    #[test]
    fn a_case_of_which_nothing_is_kept_fails() {
        let error = judged(&[("hit", 1000), ("parse", 100), ("new", 5)]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("new takes 5 and nothing is kept"), "{error}");
    }

    #[test]
    fn a_case_that_is_counted_no_more_is_told() {
        let notes = judged(&[("hit", 1000)]).unwrap();
        assert!(notes[0].starts_with("parse is kept"), "{notes:?}");
    }

    #[test]
    fn another_compiler_or_architecture_is_not_judged_and_says_so() {
        let kept = Kept::new(place(), &[("hit", 1000)]);
        for here in [
            Place {
                rustc: "rustc 1.96.0".into(),
                ..place()
            },
            Place {
                arch: "aarch64".into(),
                ..place()
            },
        ] {
            let notes = kept.judge(&here, &[("hit", 9000), ("new", 1)]).unwrap();
            assert_eq!(notes.len(), 1);
            assert!(notes[0].contains("NOT JUDGED"), "{notes:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("counts.toml");
        let kept = Kept::new(place(), &[("hit", 1000), ("switched-off", 7)]);
        kept.write(&file).unwrap();
        assert_eq!(Kept::read(&file), Ok(kept));
        assert!(fs::read_to_string(&file).unwrap().starts_with("# Instr"));
        let error = Kept::read(&folder.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("--keep"), "{error}");
    }
}
