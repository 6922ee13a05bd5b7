//! P13: how large the file is, and of what.

use crate::files::{engine, open};
use countersign::store::{RedbStore, Store as _};
use countersign_benches::report::{Figure, Unit};
use countersign_benches::{issue_together, store_at};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Fills a store with tokens, and answers their texts.
pub(crate) fn filled(path: &Path, tokens: usize) -> Vec<String> {
    let store = store_at(path, crate::files::CACHE_BYTES);
    let engine = engine(&store, tokens);
    let issued = issue_together(&engine, tokens, 512);
    engine.flush().wait().unwrap();
    tell(path, tokens, "after the issues", &store, None);
    engine.close().wait().unwrap();
    drop(engine);
    store.close().wait().unwrap();
    drop(store);
    let store = open(path);
    tell(path, tokens, "closed and opened again", &store, Some(420.0));
    issued.into_iter().map(|(text, _)| text).collect()
}

/// The length of the file, and as its parts what it is made of; all for each token.
fn tell(path: &Path, tokens: usize, when: &str, store: &RedbStore, reach: Option<f64>) {
    let each = |bytes: u64| [bytes as f64 / tokens as f64];
    let metadata = path.metadata().unwrap();
    let stats = store.stats().unwrap();
    let what = format!("file bytes per token at {tokens}, {when}");
    let figure = Figure::of("P13", what, Unit::Bytes, &each(metadata.len()));
    let figure = figure
        // What is past the end of what was written takes no room.
        .part("on disk (bytes)", &each(512 * metadata.blocks()))
        .part("records (bytes)", &each(stats.stored_bytes))
        .part("trees (bytes)", &each(stats.metadata_bytes))
        .part("gaps (bytes)", &each(stats.fragmented_bytes));
    let tables = stats.tables.iter().filter(|table| table.records > 1);
    let figure = tables.fold(figure, |figure, table| {
        let name = format!("{} (bytes)", table.table.name());
        figure.part(&name, &each(table.stored_bytes))
    });
    match reach {
        Some(bytes) => figure.at_most(bytes).tell(),
        None => figure.tell(),
    }
}
