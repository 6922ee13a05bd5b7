//! P11, the half that is a count: how often one commit makes the disk sync.

use crate::files::{self, engine};
use countersign::core::Keyring;
use countersign::core::{Deployment, Record, ServerId, SystemRecord, Timestamp};
use countersign_benches::limits::Size;
use countersign_benches::report::{Figure, Unit};
use countersign_benches::{keys, request};
use countersign_core::Key;
use countersign_testkit::{Faults, Op};
use std::sync::Arc;

/// Issues one after another: each is a commit of its own.
///
/// Counted where redb asks its file to sync, by the testkit's backend, which fails nothing here.
/// The median leaves out the few that found the file too short, which is synced when it grows.
pub(crate) fn syncs(size: &Size) {
    let dir = tempfile::tempdir().unwrap();
    let counted = Faults::new();
    let deployment = Deployment {
        word: None,
        server_id: ServerId::new("bench").unwrap(),
        created_at: Timestamp::ZERO,
    };
    let system = Record::System(SystemRecord::new(deployment));
    let keyring = Arc::new(Keyring::new(&keys()));
    let options = files::options().backend(counted.hook());
    let path = dir.path().join("counted.redb");
    let store = options.create(path, keyring, [7; 16], vec![(Key::SYSTEM, system)]);
    let engine = engine(&Arc::new(store.unwrap()), 1000);
    let (mut syncs, mut writes) = (Vec::new(), Vec::new());
    for n in 0..size.rounds(201) {
        let before = [Op::Sync, Op::Write].map(|op| counted.count(op));
        engine.access().issue(request(10 * n)).wait().unwrap();
        syncs.push((counted.count(Op::Sync) - before[0]) as f64);
        writes.push((counted.count(Op::Write) - before[1]) as f64);
    }
    Figure::of("P11", "syncs of the file per commit", Unit::Count, &syncs)
        .at_most(2.0)
        .part("writes (count)", &writes)
        .tell();
}
