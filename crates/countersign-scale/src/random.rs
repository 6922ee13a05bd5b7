//! Chance, repeatable from a seed.

use crate::hand::Nanos;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A stream of chance.
#[derive(Debug)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of a seed that is used for one purpose.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose);
        Self(rng)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// From zero up to one.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of so many.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Whether something happens that does so with this probability.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A time of which `mean` is the mean, as waiting for something unrelated takes.
    pub(crate) fn around(&mut self, mean: f64) -> Nanos {
        let nanos = -mean * (1.0 - self.unit()).ln();
        nanos as Nanos
    }
}

/// Ranks by Zipf's law: the k-th is asked for in proportion to `1 / k^s`.
///
/// Drawn by inverting the integral of that density, which is within a few percent of the sum for
/// all but the first ranks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zipf {
    count: f64,
    exponent: f64,
}

impl Zipf {
    pub(crate) const fn new(count: usize, exponent: f64) -> Self {
        Self {
            count: count as f64,
            exponent,
        }
    }

    /// A rank, from zero.
    pub(crate) fn draw(&self, chance: &mut Chance) -> usize {
        let (unit, s) = (chance.unit(), self.exponent);
        let last = self.count + 1.0;
        let drawn = match (s - 1.0).abs() < 1e-9 {
            true => last.powf(unit),
            false => {
                let power = 1.0 - s;
                (1.0 + unit * (last.powf(power) - 1.0)).powf(1.0 / power)
            }
        };
        ((drawn - 1.0).max(0.0) as usize).min((self.count as usize).saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ranks_are_asked_for_most_and_the_last_are_reached() {
        let (zipf, mut chance) = (Zipf::new(1000, 1.0), Chance::new(1, 1));
        let mut seen = vec![0u32; 1000];
        for _ in 0..100_000 {
            seen[zipf.draw(&mut chance)] += 1;
        }
        assert!(seen[0] > 5 * seen[9] && seen[9] > 5 * seen[99], "{seen:?}");
        assert!(seen[900..].iter().sum::<u32>() > 500);
    }

    #[test]
    fn a_seed_repeats_and_purposes_differ() {
        let bits = |seed, purpose| Chance::new(seed, purpose).bits();
        assert_eq!(bits(1, 2), bits(1, 2));
        assert_ne!(bits(1, 2), bits(1, 3));
        assert_ne!(bits(1, 2), bits(2, 2));
    }

    #[test]
    fn waits_have_their_mean() {
        let mut chance = Chance::new(3, 3);
        let sum: u64 = (0..100_000).map(|_| chance.around(1000.0)).sum();
        let mean = sum / 100_000;
        assert!((980..1020).contains(&mean), "{mean}");
    }
}
