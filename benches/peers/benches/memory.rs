//! What a session takes in memory with others (P9): each holds its principal and nothing else.
//!
//! A bench of its own, since counting what is allocated slows down whoever allocates. Arguments:
//! how many sessions (default 1 000 000), `--quick` for a tenth, and a word that names the peers.

use countersign_benches::Shuffle;
use countersign_benches::report::{Figure, HEADER, Unit};
use countersign_peers::Options;
use countersign_peers::kept::secret;
use countersign_peers::redis::Redis;
use countersign_peers::server::Missing;
use countersign_peers::session_stores::{Memory, Moka};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

fn main() {
    let options = Options::parse();
    let sessions = options.entries;
    println!("{HEADER}");
    if options.wants("MemoryStore") {
        let store = Memory::empty();
        tell(
            &options,
            "MemoryStore",
            grown(|| store.fill(sessions, drop)),
        );
    }
    if options.wants("moka store") {
        let store = Moka::empty();
        tell(&options, "moka store", grown(|| store.fill(sessions, drop)));
    }
    if options.wants("redis") {
        let Some(mut redis) = Redis::start().map_or_else(Missing::tell, Some) else {
            return;
        };
        let mut shuffle = Shuffle::new();
        let ids: Vec<String> = (0..sessions).map(|_| secret(&mut shuffle)).collect();
        let before = redis.used_memory();
        redis.fill_sessions(&ids);
        tell(&options, "redis", redis.used_memory() - before);
    }
}

/// The bytes that are allocated after `work` and were not before.
fn grown(work: impl FnOnce()) -> usize {
    let before = ALLOCATOR.allocated();
    work();
    ALLOCATOR.allocated() - before
}

fn tell(options: &Options, peer: &str, bytes: usize) {
    let sessions = options.entries;
    let each = bytes as f64 / sessions as f64;
    Figure::of(
        "P9",
        format!("bytes of a session, {sessions}, {peer}"),
        Unit::Bytes,
        &[each],
    )
    .tell();
}
