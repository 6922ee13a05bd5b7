//! Two sides in turn, round after round, and the figure that comes of it.

use crate::Options;
use countersign_benches::report::{Figure, each};
use countersign_benches::{Shuffle, mistyped, timed};

/// Does the work for every text, and answers for how many it was accepted.
pub type Work<'a> = dyn FnMut(&[String]) -> usize + 'a;

/// One side of a comparison.
pub struct Side<'a> {
    texts: &'a [String],
    each: usize,
    work: Box<Work<'a>>,
    shuffle: Shuffle,
}

impl<'a> Side<'a> {
    /// A side that works on `each` of the texts in a round, picked in no order.
    pub fn new(
        texts: &'a [String],
        each: usize,
        work: impl FnMut(&[String]) -> usize + 'a,
    ) -> Self {
        Self {
            texts,
            each,
            work: Box::new(work),
            shuffle: Shuffle::new(),
        }
    }

    /// Nanoseconds for one text, all of which must be accepted.
    fn round(&mut self) -> f64 {
        // Copied beforehand, so that every side finds its texts in cache, as a server would.
        let picked: Vec<String> = (0..self.each)
            .map(|_| self.texts[self.shuffle.below(self.texts.len())].clone())
            .collect();
        let mut accepted = 0;
        let took = timed(|| accepted = (self.work)(&picked));
        assert_eq!(accepted, picked.len());
        each(took, self.each)
    }

    /// Whether a text is refused that differs in its last place alone.
    fn refuses(&mut self) -> bool {
        let picked = self.shuffle.below(self.texts.len());
        (self.work)(&[mistyped(&self.texts[picked])]) == 0
    }
}

/// What is compared with what.
pub struct Comparison<'a> {
    /// The figure's number.
    pub id: &'a str,
    /// The work, as the table names it.
    pub what: String,
    /// The peer's name.
    pub peer: &'a str,
    /// How many times as fast ours has to be; nothing where it stands for comparison alone.
    pub at_least: Option<f64>,
    /// How many rounds are measured, after one that is not.
    pub rounds: usize,
}

impl Comparison<'_> {
    /// Runs both sides and tells the figure: their time over ours.
    pub fn run(&self, ours: &mut Side<'_>, theirs: &mut Side<'_>) {
        assert!(ours.refuses() && theirs.refuses());
        // Once for what is cold.
        ours.round();
        theirs.round();
        let (mut our, mut their) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            // Neither is always the one who finds the caches as the other left them.
            if round % 2 == 0 {
                our.push(ours.round());
                their.push(theirs.round());
            } else {
                their.push(theirs.round());
                our.push(ours.round());
            }
        }
        self.tell(&our, &their);
    }

    /// Tells the figure of rounds that were run elsewhere.
    pub fn tell(&self, our: &[f64], their: &[f64]) {
        let ratios: Vec<f64> = their
            .iter()
            .zip(our)
            .map(|(their, our)| their / our)
            .collect();
        let figure = Figure::ratio(self.id, self.what.as_str(), &ratios);
        let figure = match self.at_least {
            Some(bound) => figure.at_least(bound),
            None => figure,
        };
        figure.part("ours", our).part(self.peer, their).tell();
    }
}

impl Options {
    /// A side's number of texts in a round: `full`, or fewer where it is to be quick.
    pub fn each(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(4) } else { full }
    }
}
