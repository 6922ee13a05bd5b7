//! The figures of the store on disk: reading (P6), commits (P11, P12), size (P13), opening (P14).
//!
//! Both sides of each ratio are run in turn, round after round, in one directory. Arguments: how
//! many tokens (default 1 000 000), `--quick` for a tenth of that and fewer rounds, and which parts
//! to run where not all are wanted: `commit`, `groups`, `queued`, `file`.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench may stop, and its table is the point"
)]

mod commit;
mod concurrency;
mod crash;
mod files;
mod queued;
mod read;
mod size;

use countersign_benches::limits::Size;
use countersign_benches::report::HEADER;

fn main() {
    if crash::is_the_victim() {
        return crash::write_until_killed();
    }
    let size = Size::asked(1_000_000);
    println!("{HEADER}");
    if wanted("commit") {
        commit::syncs(&size);
    }
    if wanted("groups") {
        concurrency::groups(&size);
    }
    if wanted("queued") {
        queued::at_once(&size);
    }
    if wanted("file") {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        let texts = size::filled(&path, size.count);
        read::uncached(&path, &size, &texts);
        crash::open_again(&path, &size);
    }
}

/// Whether a part is asked for: all of them, unless some are named.
fn wanted(part: &str) -> bool {
    let parts = ["commit", "groups", "queued", "file"];
    let arguments: Vec<String> = std::env::args().collect();
    let named = |part: &str| arguments.iter().any(|argument| argument == part);
    named(part) || !parts.into_iter().any(named)
}
