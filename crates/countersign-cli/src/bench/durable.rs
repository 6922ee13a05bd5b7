//! Durable issues: one after the other, and from many at once, who share the commits.

use super::Measure;
use super::rounds::median;
use super::world::{World, nanos_each, request};
use crate::clock::Stopwatch;
use crate::failure::Failure;
use crate::stop;
use countersign::{Engine, Expiry};
use std::thread;

const ROUNDS: u32 = 5;
/// Issues of a round that wait for one another.
const ALONE: u32 = 20;
const ISSUERS: u32 = 64;
/// Issues of each issuer in a round.
const EACH: u32 = 8;

pub(super) fn run(world: &World) -> Result<Vec<Measure>, Failure> {
    let (mut alone, mut shared, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        stop::check()?;
        let started = Stopwatch::start();
        issue(&world.cached, ALONE, &format!("alone-{round}"))?;
        let one = nanos_each(started.elapsed(), ALONE);
        let started = Stopwatch::start();
        together(&world.cached, round)?;
        let of_many = nanos_each(started.elapsed(), ISSUERS.saturating_mul(EACH));
        alone.push(one);
        shared.push(of_many);
        ratios.push(one / of_many);
    }
    Ok(vec![
        Measure::plain("durable issue, alone", median(alone)),
        Measure::against(
            "durable issue, of 64 issuers",
            median(shared),
            median(ratios),
            "as many in the same time",
        ),
    ])
}

fn together(engine: &Engine, round: u32) -> Result<(), Failure> {
    thread::scope(|scope| {
        let issuers: Vec<_> = (0..ISSUERS)
            .map(|issuer| {
                scope.spawn(move || issue(engine, EACH, &format!("issuer-{round}-{issuer}")))
            })
            .collect();
        issuers.into_iter().try_for_each(|issuer| {
            let lost = || Failure::usage("an issuer of this command's own ended");
            issuer.join().unwrap_or_else(|_| Err(lost()))
        })
    })
}

fn issue(engine: &Engine, count: u32, name: &str) -> Result<(), Failure> {
    for number in 0..count {
        let request = request(&format!("{name}-{number}"), Expiry::Never)?;
        engine.access().issue(request).wait()?;
    }
    Ok(())
}
