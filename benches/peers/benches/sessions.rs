//! Sessions: a request with its use noted (P8), and what the end of a session costs (P10), beside
//! what a user would take instead.
//!
//! Arguments: how many sessions (default 1 000 000), `--quick` for a tenth and fewer rounds, and a
//! word that names the peers to run; `eviction` is the second figure's.

use countersign_benches::report::{Figure, HEADER, Unit, each};
use countersign_benches::signed_in::SignedIn;
use countersign_benches::{Shuffle, timed};
use countersign_peers::kept::{now_ms, principal, secret};
use countersign_peers::redis::Redis;
use countersign_peers::server::Missing;
use countersign_peers::session_stores::{Memory, Moka};
use countersign_peers::sqlite::{self, Sqlite};
use countersign_peers::{Comparison, Options, Side};
use moka::sync::Cache;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

/// How many sessions are used in a round.
const EACH: usize = 2000;

fn main() {
    let options = Options::parse();
    println!("{HEADER}");
    requests(&options);
    if options.wants("eviction") {
        eviction(&options);
    }
}

fn requests(options: &Options) {
    let names = ["MemoryStore", "moka store", "redis GETEX", "sqlite UPDATE"];
    let [memory, moka, redis, sqlite] = names.map(|name| options.wants(name).then_some(name));
    if [memory, moka, redis, sqlite].iter().all(Option::is_none) {
        return;
    }
    let ours = SignedIn::filled(options.entries);
    if let Some(name) = memory {
        let store = Memory::empty();
        let texts = store.fill_texts(options.entries);
        let mut theirs = Side::new(&texts, EACH, |texts| store.touch(texts));
        against(options, &ours, name, 5.0, &mut theirs);
    }
    if let Some(name) = moka {
        let store = Moka::empty();
        let texts = store.fill_texts(options.entries);
        let mut theirs = Side::new(&texts, EACH, |texts| store.touch(texts));
        against(options, &ours, name, 15.0, &mut theirs);
    }
    let redis =
        redis.and_then(|name| Some((name, Redis::start().map_or_else(Missing::tell, Some)?)));
    if let Some((name, mut redis)) = redis {
        let texts = secrets(options.entries).collect::<Vec<_>>();
        redis.fill_sessions(&texts);
        let mut theirs = Side::new(&texts, options.each(EACH), |texts| redis.touch(texts));
        against(options, &ours, name, 60.0, &mut theirs);
    }
    if let Some(name) = sqlite {
        let (sqlite, texts) = Sqlite::with_sessions(secrets(options.entries));
        let mut update = sqlite.update();
        let work = |texts: &[String]| sqlite::touch(&mut update, texts, now_ms().cast_signed());
        let mut theirs = Side::new(&texts, options.each(EACH), work);
        against(options, &ours, name, 150.0, &mut theirs);
    }
}

/// As many ids as there are sessions, which nobody can guess.
fn secrets(many: usize) -> impl Iterator<Item = String> {
    let mut shuffle = Shuffle::new();
    (0..many).map(move |_| secret(&mut shuffle))
}

/// Runs both sides and tells the figure.
fn against(options: &Options, ours: &SignedIn, peer: &str, at_least: f64, theirs: &mut Side<'_>) {
    let comparison = Comparison {
        id: "P8",
        what: format!("load and touch, {} sessions, {peer}", options.entries),
        peer,
        at_least: Some(at_least),
        rounds: options.rounds(101),
    };
    let mut our = Side::new(&ours.texts, EACH, |texts| ours.touch(texts));
    comparison.run(&mut our, theirs);
}

/// What it costs to be rid of sessions whose time is over, and the longest that it takes at once:
/// of ours a round of maintenance, of moka whatever call happens to be the one that does it.
fn eviction(options: &Options) {
    let sessions = options.entries;
    // Long enough to fill it on a slow day.
    let idle = Duration::from_secs(if options.quick { 4 } else { 20 });
    let (mut ratios, mut stalls) = (Vec::new(), Vec::new());
    let mut parts: [Vec<f64>; 4] = Default::default();
    for _ in 0..options.rounds(5).min(if options.quick { 3 } else { 5 }) {
        let cache = moka(sessions, idle);
        let ours = SignedIn::filled(sessions);
        assert_eq!(
            usize::try_from(ours.engine.stats().sessions.all),
            Ok(sessions)
        );
        ours.clock.advance(Duration::from_secs(2 * 86_400));
        sleep(idle + Duration::from_millis(100));

        let their = spent(|| {
            cache.run_pending_tasks();
            cache.entry_count() == 0
        });
        let our = spent(|| {
            ours.engine.maintain().wait().unwrap();
            ours.engine.stats().sessions.all == 0
        });
        ratios.push(our.0.as_secs_f64() / their.0.as_secs_f64());
        stalls.push(their.1.as_secs_f64() / our.1.as_secs_f64());
        let told = [
            each(our.0, sessions),
            each(their.0, sessions),
            each(our.1, 1),
            each(their.1, 1),
        ];
        for (kept, part) in parts.iter_mut().zip(told) {
            kept.push(part);
        }
    }
    let [our, their, our_longest, their_longest] = &parts;
    Figure::ratio(
        "P10",
        format!("end of a session, {sessions}, over moka's eviction"),
        &ratios,
    )
    .at_most(0.1)
    .part("ours", our)
    .part("moka", their)
    .tell();
    Figure::of(
        "P10",
        "longest call that ends sessions, moka's over ours",
        Unit::Ratio,
        &stalls,
    )
    .part("ours", our_longest)
    .part("moka", their_longest)
    .tell();
}

/// How long it takes until `step` has come to its end, and its longest call.
fn spent(mut step: impl FnMut() -> bool) -> (Duration, Duration) {
    let (mut total, mut longest, mut done) = (Duration::ZERO, Duration::ZERO, false);
    while !done {
        let took = timed(|| done = step());
        total += took;
        longest = longest.max(took);
    }
    (total, longest)
}

/// A cache with an entry for each session: its number and its principal, less than a session is.
fn moka(sessions: usize, idle: Duration) -> Cache<u128, Arc<str>> {
    let cache = Cache::builder().time_to_idle(idle).build();
    let mut shuffle = Shuffle::new();
    let mut half = || shuffle.below(usize::MAX) as u128;
    for n in 0..sessions {
        cache.insert(half() << 64 | half(), principal(n).into());
    }
    cache.run_pending_tasks();
    assert_eq!(cache.entry_count(), sessions as u64);
    cache
}
