//! The limits that a check is held against, and rounds of measurements by name.

use crate::report::{Figure, each};
use crate::{Chain, hash_once, keys, timed};
use countersign::core::{CredentialKind, Keyring, SplitToken, TokenFormat};
use std::hint::black_box;
use std::time::Duration;

/// Whatever checks a credential reads its text, hashes its secret once, and fetches its record.
pub struct Limits {
    kind: CredentialKind,
    format: TokenFormat,
    keyring: Keyring,
    chain: Option<Chain>,
}

impl Limits {
    /// For credentials of a kind, whose records lie in a table of so many 64-byte lines; of none
    /// where it is not memory that they are fetched from.
    pub fn new(kind: CredentialKind, lines: usize) -> Self {
        Self {
            kind,
            format: TokenFormat::new(None).unwrap(),
            keyring: Keyring::new(&keys()),
            chain: (lines > 0).then(|| Chain::new(lines)),
        }
    }

    /// A text of the kind, read.
    pub fn token(&self, text: &str) -> SplitToken {
        self.format.parse(self.kind, text.as_bytes()).unwrap()
    }

    /// Reads a text.
    pub fn parse(&self, text: &str) -> bool {
        let text = black_box(text.as_bytes());
        self.format.parse(self.kind, text).is_ok()
    }

    /// Hashes a secret.
    pub fn hash(&self, token: &SplitToken) -> bool {
        hash_once(&self.keyring, black_box(token))
    }

    /// Fetches a line.
    pub fn miss(&mut self) -> usize {
        self.chain.as_mut().map_or(0, Chain::step)
    }

    /// Notes in `rounds` what each limit takes for one of the texts: `parse`, `hash`, `miss`.
    pub fn note(&mut self, rounds: &mut Rounds, texts: &[String]) {
        let (format, kind, keyring) = (&self.format, self.kind, &self.keyring);
        rounds.time("parse", texts.len(), || {
            for text in texts {
                black_box(format.parse(kind, black_box(text.as_bytes())).is_ok());
            }
        });
        let parsed: Vec<SplitToken> = texts
            .iter()
            .map(|text| format.parse(kind, text.as_bytes()).unwrap())
            .collect();
        rounds.time("hash", texts.len(), || {
            for token in &parsed {
                black_box(hash_once(keyring, black_box(token)));
            }
        });
        if let Some(chain) = &mut self.chain {
            rounds.time("miss", texts.len(), || {
                for _ in texts {
                    black_box(chain.step());
                }
            });
        }
    }
}

/// Measurements by name, one of each in every round.
#[derive(Default)]
pub struct Rounds(Vec<(&'static str, Vec<f64>)>);

impl Rounds {
    /// Notes what was measured in this round.
    pub fn note(&mut self, name: &'static str, value: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => self.0.push((name, vec![value])),
        }
    }

    /// Notes how many nanoseconds each of `times` runs within `work` takes.
    pub fn time(&mut self, name: &'static str, times: usize, work: impl FnMut()) -> Duration {
        let span = timed(work);
        self.note(name, each(span, times));
        span
    }

    /// All of one name, round by round.
    pub fn of(&self, name: &str) -> &[f64] {
        let found = self.0.iter().find(|(known, _)| *known == name);
        &found.unwrap().1
    }

    /// In every round, one over the sum of others: a figure that is made of them.
    pub fn ratio(&self, id: &str, what: impl Into<String>, one: &str, over: &[&str]) -> Figure {
        let sum = |round: usize| over.iter().map(|name| self.of(name)[round]).sum::<f64>();
        let ones = self.of(one).iter().enumerate();
        let ratios: Vec<f64> = ones.map(|(round, one)| one / sum(round)).collect();
        self.parts(
            Figure::ratio(id, what, &ratios).part(one, self.of(one)),
            over,
        )
    }

    /// A figure with these as its parts.
    pub fn parts(&self, figure: Figure, names: &[&str]) -> Figure {
        names
            .iter()
            .fold(figure, |figure, name| figure.part(name, self.of(name)))
    }
}

/// What a bench of figures is asked for: `--quick`, `--full`, and how many.
pub struct Size {
    /// Whether few and small rounds are enough.
    pub quick: bool,
    /// Whether the largest sizes are wanted too.
    pub full: bool,
    /// How many tokens or sessions.
    pub count: usize,
}

impl Size {
    /// As the arguments have it; without a number among them, `count`, or a tenth where quick.
    pub fn asked(count: usize) -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let given = arguments.iter().find_map(|argument| argument.parse().ok());
        let quick = has("--quick");
        Self {
            quick,
            full: has("--full"),
            count: given.unwrap_or(if quick { count / 10 } else { count }),
        }
    }

    /// How many rounds: so many, or a third where quick.
    pub const fn rounds(&self, rounds: usize) -> usize {
        if self.quick { rounds / 3 } else { rounds }
    }
}
