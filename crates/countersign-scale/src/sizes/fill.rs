//! Records of each kind in bulk, and what they take in the table and in its index.

use super::{Size, number};
use crate::people::{People, name};
use countersign::core::{Batch, Expect, Key, Record};
use countersign::{Selector, Timestamp};
use countersign_core::{ShardTag, Usage};
use countersign_store::Store;
use countersign_testkit::postgres::Server;
use countersign_testkit::samples;

/// As many writes as a batch may have.
const AT_ONCE: usize = 4096;

pub(super) fn fill(
    people: &People,
    store: &dyn Store,
    server: &Server,
    add: &mut impl FnMut(Size),
) {
    let tokens = people.tokens();
    let principals = (0..people.users).map(|user| people.key_of(user));
    let grants = (0..tokens).map(|token| Key::grant(people.selector(token)));
    let known = |key: Key| (key, people.record(key).unwrap().record);
    kind(
        store,
        server,
        add,
        "principal of five tokens",
        principals.map(known),
    );
    kind(store, server, add, "grant", grants.map(known));
    let used = Usage {
        last_used_at: Timestamp::from_millis(1_795_392_000_000),
        ..Usage::default()
    };
    let usages = (0..tokens).map(|token| {
        let key = Key::usage(people.selector(token));
        (key, Record::Usage(used.clone()))
    });
    kind(store, server, add, "last use", usages);
    let devices = (0..people.users).filter_map(|user| {
        let at = Timestamp::from_millis(1_795_392_000_000 + user as u64);
        let selector = Selector::mint(at, ShardTag::NONE, (user as u64).to_be_bytes());
        let Record::Series(mut series) = samples::series(user as u64) else {
            return None;
        };
        series.principal = name(user);
        Some((Key::series(selector), Record::Series(series)))
    });
    kind(store, server, add, "device", devices);
}

/// One kind: what the table and its index have grown by, for each.
fn kind(
    store: &dyn Store,
    server: &Server,
    add: &mut impl FnMut(Size),
    what: &str,
    records: impl Iterator<Item = (Key, Record)>,
) {
    let size = |of: &str| {
        number(
            server,
            &format!("select pg_relation_size('countersign.{of}')"),
        )
    };
    let wal = || number(server, "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn");
    let (table, index, before) = (size("record"), size("record_pkey"), wal());
    let mut count = 0usize;
    let mut batch = Batch::grow();
    for (key, record) in records {
        batch.put(key, Expect::Absent, record);
        count += 1;
        if batch.writes.len() == AT_ONCE {
            store.commit(std::mem::take(&mut batch)).wait().unwrap();
        }
    }
    if !batch.writes.is_empty() {
        store.commit(batch).wait().unwrap();
    }
    let per = |bytes: f64| bytes / count as f64;
    add(Size::new(
        format!("record table for a {what}, of {count} in bulk"),
        per(size("record") - table),
        "bytes",
    ));
    add(Size::new(
        format!("record_pkey for a {what}, in bulk"),
        per(size("record_pkey") - index),
        "bytes",
    ));
    add(Size::new(
        format!("WAL for a {what}, in bulk"),
        per(wal() - before),
        "bytes",
    ));
}
