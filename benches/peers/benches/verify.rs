//! Verification of an access token (P7): the engine's, its record in memory, beside what a user
//! would take instead.
//!
//! Arguments: how many tokens (default 1 000 000), `--quick` for a tenth and fewer rounds, and a
//! word that names the peers to run.

use countersign::Engine;
use countersign_benches::report::HEADER;
use countersign_benches::{Filled, filled};
use countersign_peers::passwords::Passwords;
use countersign_peers::postgres::Postgres;
use countersign_peers::redis::Redis;
use countersign_peers::sealed::{Biscuits, Jwt, Macaroons, Paseto, Sealed};
use countersign_peers::server::Missing;
use countersign_peers::sqlite::{self, Sqlite};
use countersign_peers::{Comparison, Options, Side};
use std::hint::black_box;

/// How many of ours in a round: few enough that their texts stay near, as in a server that has
/// just received them.
const EACH: usize = 2000;
/// How many tokens a peer has that asks no store: far more than its caches hold.
const SEALED: usize = 100_000;
/// How many keys are hashed as passwords are; one takes as long as a million of ours.
const PASSWORDS: usize = 8;

fn main() {
    let options = Options::parse();
    println!("{HEADER}");
    let ours = filled(options.entries);
    ours.warm();
    redis(&options, &ours);
    sqlite(&options, &ours);
    postgres(&options, &ours);
    sealed::<Jwt>(&options, &ours, "jsonwebtoken", 5.0, EACH);
    sealed::<Paseto>(&options, &ours, "pasetors", 12.0, EACH);
    sealed::<Macaroons>(&options, &ours, "macaroon", 10.0, EACH);
    sealed::<Biscuits>(&options, &ours, "biscuit", 150.0, EACH / 10);
    passwords(&options, &ours);
}

/// Runs both sides and tells the figure.
fn against(options: &Options, ours: &Filled, peer: &str, at_least: f64, theirs: &mut Side<'_>) {
    let comparison = Comparison {
        id: "P7",
        what: format!("verify, {} tokens, {peer}", options.entries),
        peer,
        at_least: Some(at_least),
        rounds: options.rounds(101),
    };
    let engine = &ours.engine;
    let mut our = Side::new(&ours.texts, EACH, |texts| verify(engine, texts));
    comparison.run(&mut our, theirs);
}

fn verify(engine: &Engine, texts: &[String]) -> usize {
    let accepted = texts.iter().filter(|text| {
        let verdict = engine.access().verify(black_box(text)).wait();
        verdict.is_ok_and(|verdict| verdict.is_in())
    });
    accepted.count()
}

fn redis(options: &Options, ours: &Filled) {
    let [single, pipelined] = ["redis, one by one", "redis, pipelined by 64"];
    if !options.wants(single) && !options.wants(pipelined) {
        return;
    }
    let Some(mut redis) = Redis::start().map_or_else(Missing::tell, Some) else {
        return;
    };
    let texts = redis.fill(options.entries);
    if options.wants(single) {
        let work = |texts: &[String]| redis.verify(texts);
        let mut theirs = Side::new(&texts, options.each(EACH), work);
        against(options, ours, single, 60.0, &mut theirs);
    }
    if options.wants(pipelined) {
        let work = |texts: &[String]| redis.verify_pipelined(texts, 64);
        let mut theirs = Side::new(&texts, options.each(EACH), work);
        against(options, ours, pipelined, 10.0, &mut theirs);
    }
}

fn sqlite(options: &Options, ours: &Filled) {
    if options.wants("sqlite") {
        let (sqlite, texts) = Sqlite::with_tokens(options.entries);
        let mut select = sqlite.select();
        let work = |texts: &[String]| sqlite::verify(&mut select, texts);
        let mut theirs = Side::new(&texts, EACH, work);
        against(options, ours, "sqlite", 12.0, &mut theirs);
    }
}

fn postgres(options: &Options, ours: &Filled) {
    if !options.wants("postgres") {
        return;
    }
    let Some(mut postgres) = Postgres::start().map_or_else(Missing::tell, Some) else {
        return;
    };
    let texts = postgres.fill(options.entries);
    let work = |texts: &[String]| postgres.verify(texts);
    let mut theirs = Side::new(&texts, options.each(EACH), work);
    against(options, ours, "postgres", 100.0, &mut theirs);
}

fn sealed<T: Sealed>(options: &Options, ours: &Filled, name: &str, at_least: f64, each: usize) {
    if options.wants(name) {
        let peer = T::new();
        let texts: Vec<String> = (0..SEALED).map(|n| peer.issue(n)).collect();
        let work = |texts: &[String]| texts.iter().filter(|text| peer.verify(text)).count();
        let mut theirs = Side::new(&texts, options.each(each), work);
        against(options, ours, name, at_least, &mut theirs);
    }
}

fn passwords(options: &Options, ours: &Filled) {
    if options.wants("argon2id") {
        let (passwords, texts) = Passwords::with_keys(PASSWORDS);
        let work = |texts: &[String]| passwords.verify(texts);
        let mut theirs = Side::new(&texts, options.each(8), work);
        against(options, ours, "argon2id", 40_000.0, &mut theirs);
    }
}
