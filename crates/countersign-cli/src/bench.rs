//! `bench`: a short measurement on this machine, in ratios, since times say little about others.

mod chain;
mod durable;
mod rounds;
mod world;

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::out::Row;
use clap::Args;
use serde::Serialize;

/// Measure parsing, hashing, verdicts and commits on this machine
///
/// In a store of its own that is thrown away. What is compared is measured in turn, round by
/// round, and the median of the rounds is shown: a ratio holds elsewhere, a time does not. "miss"
/// is one dependent load from memory, out of a chain as large as the tokens measured.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Tokens in the store
    #[arg(long, value_name = "N", default_value = "20000")]
    #[arg(value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    tokens: u32,
}

/// One thing that was measured.
#[derive(Debug, Serialize)]
struct Measure {
    measure: &'static str,
    nanos: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'static str>,
}

impl Measure {
    const fn plain(measure: &'static str, nanos: f64) -> Self {
        Self {
            measure,
            nanos,
            ratio: None,
            of: None,
        }
    }

    const fn against(measure: &'static str, nanos: f64, ratio: f64, of: &'static str) -> Self {
        Self {
            measure,
            nanos,
            ratio: Some(ratio),
            of: Some(of),
        }
    }
}

impl Row for Measure {
    const HEADINGS: &'static [&'static str] = &["MEASURE", "MEDIAN", "RATIO", ""];

    fn cells(&self) -> Vec<String> {
        let median = match self.nanos {
            nanos if nanos < 10_000.0 => format!("{nanos:.1} ns"),
            nanos if nanos < 10_000_000.0 => format!("{:.1} us", nanos / 1e3),
            nanos => format!("{:.1} ms", nanos / 1e6),
        };
        let ratio = self
            .ratio
            .map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let of = self.of.map_or_else(String::new, |of| format!("x {of}"));
        vec![self.measure.to_owned(), median, ratio, of]
    }
}

impl Bench {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let dir =
            tempfile::tempdir().map_err(|error| Failure::file(&std::env::temp_dir(), &error))?;
        let world = world::World::build(dir.path(), self.tokens)?;
        let mut measures = rounds::run(&world)?;
        measures.extend(durable::run(&world)?);
        world.close()?;
        call.out.rows(&measures, false)?;
        Ok(Exit::Done)
    }
}
