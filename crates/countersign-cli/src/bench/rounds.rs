//! Parsing, hashing and verdicts, measured in turn, round by round.

use super::Measure;
use super::chain::Chain;
use super::world::{World, nanos_each};
use crate::clock::Stopwatch;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::stop;
use countersign::core::{Key, SplitToken};
use countersign::{CredentialKind, Engine};
use std::hint::black_box;

const ROUNDS: u32 = 15;
/// How often each thing is done in a round.
const TIMES: u32 = 10_000;
/// How often where a page of the store is read.
const SLOW_TIMES: u32 = 1000;

const PARSE: &str = "parse";
const HASH: &str = "hash";
const MISS: &str = "miss";
const CACHED: &str = "verify, cached";
const READ: &str = "read one record";
const UNCACHED: &str = "verify, uncached";

/// What a thing took in each round, by its name.
#[derive(Debug, Default)]
struct Taken(Vec<(&'static str, Vec<f64>)>);

impl Taken {
    fn note(&mut self, name: &'static str, nanos: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rounds)) => rounds.push(nanos),
            None => self.0.push((name, vec![nanos])),
        }
    }

    fn rounds(&self, name: &str) -> &[f64] {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(&[], |(_, rounds)| rounds)
    }

    fn median(&self, name: &str) -> f64 {
        median(self.rounds(name).to_vec())
    }

    /// The median over the rounds of one thing against the sum of others in the same round.
    fn ratio(&self, name: &str, others: &[&str]) -> f64 {
        let ratios = self.rounds(name).iter().enumerate().map(|(round, nanos)| {
            let other = |other: &&str| self.rounds(other).get(round).copied().unwrap_or(0.0);
            let sum: f64 = others.iter().map(other).sum();
            nanos / sum
        });
        median(ratios.collect())
    }
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len().div_euclid(2);
    values.get(middle).copied().unwrap_or(0.0)
}

pub(super) fn run(world: &World) -> Result<Vec<Measure>, Failure> {
    let progress = Progress::new("measuring", Some(u64::from(ROUNDS)));
    let mut taken = Taken::default();
    let mut chain = Chain::new(u32::try_from(world.live.len()).unwrap_or(u32::MAX));
    let tokens = parsed(world)?;
    // Once without being measured, so that every record is in memory where it can be.
    verify(
        &world.cached,
        &world.live,
        u32::try_from(world.live.len()).unwrap_or(u32::MAX),
    )?;
    for round in 0..ROUNDS {
        stop::check()?;
        one(world, &tokens, &mut chain, &mut taken)?;
        progress.at(u64::from(round));
    }
    Ok(report(world, &taken))
}

fn one(
    world: &World,
    tokens: &[SplitToken],
    chain: &mut Chain,
    taken: &mut Taken,
) -> Result<(), Failure> {
    let format = world.cached.format();
    let mut measure = |name, times: u32, work: &mut dyn FnMut() -> Result<(), Failure>| {
        let started = Stopwatch::start();
        let done = work();
        taken.note(name, nanos_each(started.elapsed(), times));
        done
    };
    measure(PARSE, TIMES, &mut || {
        for text in some(&world.live, TIMES) {
            let _ = black_box(format.parse(CredentialKind::Access, black_box(text)));
        }
        Ok(())
    })?;
    measure(HASH, TIMES, &mut || {
        for token in some(tokens, TIMES) {
            let (selector, verifier) = (token.selector(), token.verifier());
            let kind = CredentialKind::Access;
            black_box(
                world
                    .keyring
                    .digest(None, kind, black_box(selector), verifier),
            );
        }
        Ok(())
    })?;
    measure(MISS, TIMES, &mut || {
        chain.walk(TIMES);
        Ok(())
    })?;
    measure(CACHED, TIMES, &mut || {
        verify(&world.cached, &world.live, TIMES)
    })?;
    for (reason, text) in &world.refused {
        let texts = std::slice::from_ref(text);
        measure(reason, TIMES, &mut || verify(&world.cached, texts, TIMES))?;
    }
    measure(READ, SLOW_TIMES, &mut || {
        for token in some(tokens, SLOW_TIMES) {
            black_box(world.store.load_one(Key::grant(token.selector()))?);
        }
        Ok(())
    })?;
    measure(UNCACHED, SLOW_TIMES, &mut || {
        verify(&world.uncached, &world.live, SLOW_TIMES)
    })
}

fn verify(engine: &Engine, texts: &[Vec<u8>], times: u32) -> Result<(), Failure> {
    for text in some(texts, times) {
        let _ = black_box(engine.access().verify(black_box(text)).wait()?);
    }
    Ok(())
}

/// So many of them, from the beginning again where they run out.
fn some<T>(all: &[T], times: u32) -> impl Iterator<Item = &T> {
    all.iter()
        .cycle()
        .take(usize::try_from(times).unwrap_or(usize::MAX))
}

fn parsed(world: &World) -> Result<Vec<SplitToken>, Failure> {
    let parse = |text: &Vec<u8>| {
        let token = world.cached.format().parse(CredentialKind::Access, text);
        token
            .map_err(|fault| Failure::usage(format_args!("a token of this command's own: {fault}")))
    };
    some(&world.live, TIMES).map(parse).collect()
}

fn report(world: &World, taken: &Taken) -> Vec<Measure> {
    let mut measures: Vec<Measure> = [PARSE, HASH, MISS]
        .map(|name| Measure::plain(name, taken.median(name)))
        .into();
    let mut against = |name: &'static str, others: &[&str], of| {
        measures.push(Measure::against(
            name,
            taken.median(name),
            taken.ratio(name, others),
            of,
        ));
    };
    against(CACHED, &[PARSE, HASH, MISS], "(parse + hash + miss)");
    for (reason, _) in &world.refused {
        match *reason {
            "checksum" => against(reason, &[HASH], "hash"),
            _ => against(reason, &[PARSE, HASH], "(parse + hash)"),
        }
    }
    against(READ, &[PARSE, HASH], "(parse + hash)");
    against(
        UNCACHED,
        &[READ, PARSE, HASH],
        "(read one record + parse + hash)",
    );
    measures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut taken = Taken::default();
        for (a, b) in [(2.0, 1.0), (40.0, 20.0), (6.0, 2.0)] {
            taken.note("a", a);
            taken.note("b", b);
        }
        assert!((taken.ratio("a", &["b"]) - 2.0).abs() < 1e-9);
        assert!((taken.median("a") - 6.0).abs() < 1e-9);
        assert!((taken.ratio("a", &["b", "b"]) - 1.0).abs() < 1e-9);
    }
}
