//! The figures of the store on disk: reading (P6), commits (P11, P12), size (P13), opening (P14).
//!
//! Both sides of each ratio are run in turn, round after round, in one directory. Arguments: how
//! many tokens (default 1 000 000), and `--quick` for a tenth of that and fewer rounds.
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
    commit::syncs(&size);
    concurrency::groups(&size);
    queued::at_once(&size);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    let texts = size::filled(&path, size.count);
    read::uncached(&path, &size, &texts);
    crash::open_again(&path, &size);
}
