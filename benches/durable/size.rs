//! P13: how large the file is, and of what.

use crate::files::{CACHE_BYTES, engine, open, options};
use countersign::core::Keyring;
use countersign::store::{RedbStore, Store as _};
use countersign_benches::report::{Figure, Unit};
use countersign_benches::{issue_together, keys, store_at};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

/// Fills a store with tokens, and answers their texts.
pub(crate) fn filled(path: &Path, tokens: usize) -> Vec<String> {
    let store = store_at(path, CACHE_BYTES);
    let engine = engine(&store, tokens);
    let issued = issue_together(&engine, tokens, 512);
    engine.flush().wait().unwrap();
    tell(path, tokens, "after the issues", &store);
    engine.close().wait().unwrap();
    drop(engine);
    store.close().wait().unwrap();
    drop(store);
    tell(path, tokens, "closed and opened again", &open(path));
    let keyring = Arc::new(Keyring::new(&keys()));
    options().compact(path, keyring).unwrap();
    tell(path, tokens, "compacted", &open(path));
    issued.into_iter().map(|(text, _)| text).collect()
}

/// What the file takes of the disk, and its parts; all for each token.
///
/// It is longer than that: redb doubles a file that is full, and cuts off only what is more than
/// half of it. That tail was never written, and takes no room until it is.
fn tell(path: &Path, tokens: usize, when: &str, store: &RedbStore) {
    let each = |bytes: u64| [bytes as f64 / tokens as f64];
    let metadata = path.metadata().unwrap();
    let stats = store.stats().unwrap();
    let what = format!("bytes on disk per token at {tokens}, {when}");
    let figure = Figure::of("P13", what, Unit::Bytes, &each(512 * metadata.blocks()));
    let figure = figure
        .at_most(420.0)
        .part("records (bytes)", &each(stats.stored_bytes))
        .part("trees (bytes)", &each(stats.metadata_bytes))
        .part("gaps (bytes)", &each(stats.fragmented_bytes));
    let tables = stats.tables.iter().filter(|table| table.records > 1);
    let figure = tables.fold(figure, |figure, table| {
        let name = format!("{} (bytes)", table.table.name());
        figure.part(&name, &each(table.stored_bytes))
    });
    figure.tell();
    let what = format!("length of the file per token at {tokens}, {when}");
    Figure::of("P13", what, Unit::Bytes, &each(metadata.len())).tell();
}
