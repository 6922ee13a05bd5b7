//! The arguments that all benches of this package take.

/// How much is compared.
pub struct Options {
    /// How many tokens or sessions there are: a number as argument, otherwise a million.
    pub entries: usize,
    /// Whether `--quick` was given: a tenth of the entries, and fewer rounds.
    pub quick: bool,
    /// A word as argument: only peers whose name holds it are run.
    pub only: Option<String>,
}

impl Options {
    /// Those of this process. What cargo itself hands to a bench is passed over.
    pub fn parse() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let quick = arguments.iter().any(|argument| argument == "--quick");
        let mut words = arguments
            .iter()
            .filter(|argument| !argument.starts_with("--"));
        let number = arguments.iter().find_map(|argument| argument.parse().ok());
        Self {
            entries: number.unwrap_or(if quick { 100_000 } else { 1_000_000 }),
            quick,
            only: words.find(|word| word.parse::<usize>().is_err()).cloned(),
        }
    }

    /// Whether the peer of this name is to be run.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only))
    }

    /// How many rounds are measured where `full` would be; an odd number has one in the middle.
    pub fn rounds(&self, full: usize) -> usize {
        if self.quick { full.min(5) } else { full }
    }
}
