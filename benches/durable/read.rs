//! P6: a verification whose record is only in the file, over a plain read of the same row.

use crate::files::{CACHE_BYTES, engine, open, rows_of};
use countersign::core::{CredentialKind, Table, TokenFormat};
use countersign_benches::Shuffle;
use countersign_benches::limits::{Limits, Rounds, Size};
use countersign_core::Key;
use redb::{Builder, ReadableDatabase as _};
use std::hint::black_box;
use std::path::Path;

const EACH: usize = 20_000;

/// Theirs is the file's copy, byte for byte, opened by redb alone: one snapshot and one table held
/// throughout, each row copied out.
pub(crate) fn uncached(path: &Path, size: &Size, texts: &[String]) {
    let copy = path.with_extension("copy");
    std::fs::copy(path, &copy).unwrap();
    let store = open(path);
    let engine = engine(&store, texts.len());
    let db = Builder::new()
        .set_cache_size(CACHE_BYTES)
        .open(&copy)
        .unwrap();
    let snapshot = db.begin_read().unwrap();
    let rows = snapshot.open_table(rows_of(Table::Grants)).unwrap();
    let format = TokenFormat::new(None).unwrap();
    let key = |text: &String| Key::grant(format.parse_any(text.as_bytes()).unwrap().selector());

    let verify = |texts: &[String]| {
        for text in texts {
            let verdict = engine.access().verify(black_box(text)).wait();
            assert!(verdict.is_ok_and(|verdict| verdict.is_in()));
        }
    };
    let mut row = [0; 1024];
    let mut read = |keys: &[Key]| {
        for key in keys {
            let found = rows.get(black_box(&key.id)).unwrap().unwrap();
            let bytes = found.value();
            row[..bytes.len()].copy_from_slice(bytes);
            black_box(&row);
        }
    };
    // So that each side has all of its pages in memory.
    verify(texts);
    read(&texts.iter().map(key).collect::<Vec<_>>());

    let mut limits = Limits::new(CredentialKind::Access, 0);
    let (mut rounds, mut shuffle) = (Rounds::default(), Shuffle::new());
    for round in 0..size.rounds(31) {
        let pick = |_| texts[shuffle.below(texts.len())].clone();
        let picked: Vec<String> = (0..EACH).map(pick).collect();
        let keys: Vec<Key> = picked.iter().map(key).collect();
        limits.note(&mut rounds, &picked);
        // In turn, so that neither always finds what the other has left in the caches.
        if round % 2 == 0 {
            rounds.time("read", EACH, || read(&keys));
        }
        rounds.time("ours", EACH, || verify(&picked));
        if round % 2 == 1 {
            rounds.time("read", EACH, || read(&keys));
        }
        rounds.time("our read", EACH, || {
            for key in &keys {
                black_box(store.load_one(*key).is_ok());
            }
        });
    }
    let what = format!(
        "verify, not cached, {} tokens, over (read + parse + hash)",
        texts.len()
    );
    let figure = rounds.ratio("P6", what, "ours", &["read", "parse", "hash"]);
    rounds.parts(figure.at_most(1.25), &["our read"]).tell();
    drop((rows, snapshot));
    std::fs::remove_file(&copy).unwrap();
}
