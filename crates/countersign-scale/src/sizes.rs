//! Sizes that plans are made with, measured: of rows, of the log and of the feed in a real
//! PostgreSQL, and of a token in a node's memory.
//!
//! Rows are filled in through the real store, so they are what an application's would be; how they
//! come to be one by one, as an application makes them, is measured on top of that.

mod fill;
mod memory;
mod relay;

use crate::people::{People, name};
use countersign::{Engine, Expiry, NewToken, Recall, ScopeSet, TokenName};
use countersign_core::Keyring;
use countersign_postgres::PostgresOptions;
use countersign_testkit::ManualClock;
use countersign_testkit::postgres::{Cluster, Options, Server};
use fill::fill;
pub use memory::{PerToken, per_cached_token};
use relay::Relay;
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// One measured number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Size {
    /// Of what.
    pub what: String,
    /// How much.
    pub value: f64,
    /// In which unit.
    pub unit: &'static str,
}

impl Size {
    pub(crate) fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            value,
            unit,
        }
    }
}

/// For how long nothing but the feed is at work.
const IDLE: Duration = Duration::from_secs(10);

/// Measures with so many tokens in the database, and so many operations one at a time; nothing
/// where there is no PostgreSQL, which is said loudly.
#[must_use]
pub fn measure(tokens: usize, operations: usize, mut tell: impl FnMut(&Size)) -> Option<Vec<Size>> {
    let options = Options::new()
        .fsync(false)
        .setting("full_page_writes", "on")
        .setting("max_wal_size", "16GB")
        .setting("checkpoint_timeout", "1h")
        .setting("autovacuum", "off");
    let cluster = Cluster::start_or_skip(&options)?;
    let mut sizes = Vec::new();
    let mut add = |size: Size| {
        tell(&size);
        sizes.push(size);
    };
    let people = People::new(tokens / 5, 5);
    let server = cluster.primary();
    let node = Node::open(&cluster.connection_string());
    fill(&people, &*node.store, server, &mut add);
    one_by_one(&node, server, &people, operations, &mut add);
    idle(&node, server, &mut add);
    drop(node);
    feed(server, operations, &mut add);
    Some(sizes)
}

/// The sizes as a table in Markdown.
#[must_use]
pub fn markdown(sizes: &[Size]) -> String {
    let mut text = String::from("| what | size |\n|---|---|\n");
    for size in sizes {
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {} | {:.1} {} |", size.what, size.value, size.unit);
    }
    text
}

struct Node {
    engine: Engine,
    clock: ManualClock,
    store: Arc<countersign_postgres::PostgresStore>,
}

impl Node {
    fn open(connection: &str) -> Self {
        let keys = People::keys();
        let store = PostgresOptions::new(connection)
            .unwrap()
            .allow_lossy_crash()
            .open(Arc::new(Keyring::new(&keys)));
        let store = Arc::new(store.unwrap());
        let clock = ManualClock::default();
        let engine = Engine::builder()
            .clock(clock.clone())
            .maintenance(countersign::Maintenance::HostDriven)
            .open_store(Arc::clone(&store) as _, &keys)
            .unwrap();
        Self {
            engine,
            clock,
            store,
        }
    }

    fn issue(&self, user: usize) -> countersign::IssuedToken {
        let request = NewToken {
            principal: name(user),
            name: TokenName::new("deploy key").unwrap(),
            scopes: ScopeSet::new(["repo:read".parse().unwrap()]).unwrap(),
            expiry: Expiry::Never,
        };
        self.engine.access().issue(request).wait().unwrap()
    }
}

/// What the server has written to its log of writes, and what lies in tables.
#[derive(Clone, Copy, Debug)]
struct Written {
    wal: f64,
    records: f64,
    entries: f64,
    entry_index: f64,
}

impl Written {
    fn now(server: &Server) -> Self {
        Self {
            wal: number(server, "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"),
            records: number(server, "select pg_relation_size('countersign.record')"),
            entries: number(server, "select pg_relation_size('countersign.change_log')"),
            entry_index: number(
                server,
                "select pg_relation_size('countersign.change_log_pkey')",
            ),
        }
    }
}

fn number(server: &Server, statement: &str) -> f64 {
    server.sql(statement).trim().parse().unwrap()
}

/// Each kind of change, as often as was said, one after the other.
fn one_by_one(
    node: &Node,
    server: &Server,
    people: &People,
    count: usize,
    add: &mut impl FnMut(Size),
) {
    let users = people.users;
    // Spread over all of them, as people are.
    let user = |n: usize| n.wrapping_mul(7919) % users;
    let mut devices = Vec::new();
    let mut selectors = Vec::new();
    let first = Written::now(server);
    each(server, "issue", count, add, |n| {
        selectors.push(node.issue(user(n)).selector);
    });
    let after = Written::now(server);
    let per = |bytes: f64| bytes / count as f64;
    add(Size::new(
        "record table for each issue: grant, event, principal anew",
        per(after.records - first.records),
        "bytes",
    ));
    add(Size::new(
        "row of change_log, of an issue",
        per(after.entries - first.entries),
        "bytes",
    ));
    add(Size::new(
        "entry of change_log_pkey",
        per(after.entry_index - first.entry_index),
        "bytes",
    ));
    each(server, "new remembered device", count, add, |n| {
        let request = countersign::NewSeries {
            principal: name(user(n)),
            label: countersign::Label::new("Firefox on Linux").unwrap(),
        };
        let started = node.engine.remember().start(request).wait().unwrap();
        devices.push(started.token.expose().to_owned());
    });
    // A secret is not replaced while it is new.
    node.clock.advance(Duration::from_secs(3600));
    each(server, "rotation of a device's secret", count, add, |n| {
        let recalled = node.engine.remember().present(&devices[n], None).wait();
        let is_replaced = |recalled| matches!(recalled, Recall::In(it) if it.successor.is_some());
        assert!(recalled.is_ok_and(is_replaced));
    });
    each(server, "revocation of a token", count, add, |n| {
        node.engine
            .access()
            .revoke(selectors[n], None)
            .wait()
            .unwrap();
    });
    each(server, "end of a principal's everything", count, add, |n| {
        let ended = node
            .engine
            .principals()
            .revoke_everything(name(user(n)), None);
        ended.wait().unwrap();
    });
    let kinds = [
        (3, "grant"),
        (2, "principal"),
        (6, "device"),
        (5, "event"),
        (4, "last use"),
    ];
    for (kind, what) in kinds {
        for (column, of) in [
            ("pg_column_size(r.*)", "row"),
            ("length(envelope)", "envelope"),
        ] {
            let statement = format!(
                "select coalesce(avg({column}), 0) from countersign.record r where kind = {kind}"
            );
            add(Size::new(
                format!("{of} of a {what}, on average"),
                number(server, &statement),
                "bytes",
            ));
        }
    }
}

/// One kind of change, and what it wrote.
fn each(
    server: &Server,
    what: &str,
    count: usize,
    add: &mut impl FnMut(Size),
    mut change: impl FnMut(usize),
) {
    // The first change of a page after this writes all of it.
    server.sql("checkpoint");
    let first = Written::now(server);
    for n in 0..count / 2 {
        change(n);
    }
    let middle = Written::now(server);
    for n in count / 2..count {
        change(n);
    }
    let last = Written::now(server);
    let per = |bytes: f64| bytes / (count / 2) as f64;
    let half = [("first half", first, middle), ("second half", middle, last)];
    for (part, from, to) in half {
        add(Size::new(
            format!("WAL of: {what}, {part} after a checkpoint"),
            per(to.wal - from.wal),
            "bytes",
        ));
    }
}

/// What a node's renewals write while nobody does anything.
fn idle(node: &Node, server: &Server, add: &mut impl FnMut(Size)) {
    server.sql("checkpoint");
    let (first, beats) = (Written::now(server), node.store.status().renewals);
    thread::sleep(IDLE);
    let (last, later) = (Written::now(server), node.store.status().renewals);
    let renewals = (later - beats) as f64;
    add(Size::new(
        "renewals of a lease",
        renewals / IDLE.as_secs_f64(),
        "a second and node",
    ));
    add(Size::new(
        "WAL of a renewal",
        (last.wal - first.wal) / renewals,
        "bytes",
    ));
    let tuple = "select pg_column_size(n.*) from countersign.node n limit 1";
    add(Size::new("row of a node", number(server, tuple), "bytes"));
}

/// What a second node's feed takes in, at rest and for each change by the first.
fn feed(server: &Server, count: usize, add: &mut impl FnMut(Size)) {
    let first = Node::open(&server.connection_string());
    let relay = Relay::to(server.port());
    let second = Node::open(&relay.connection_string(&server.connection_string(), server.port()));
    let token = first.issue(0);
    assert!(
        second
            .engine
            .access()
            .verify(token.token.expose())
            .wait()
            .is_ok()
    );
    let before = relay.sent();
    thread::sleep(IDLE);
    let after = relay.sent();
    let seconds = IDLE.as_secs_f64();
    let rest = (after.0 - before.0) as f64 / seconds;
    add(Size::new(
        "feed at rest, to the node",
        rest,
        "bytes a second",
    ));
    let asked = (after.1 - before.1) as f64 / seconds;
    add(Size::new(
        "feed at rest, from the node",
        asked,
        "bytes a second",
    ));
    let (before, heard) = (relay.sent(), second.store.status().heard);
    for n in 0..count {
        first.issue(n);
    }
    thread::sleep(Duration::from_secs(1));
    let (after, heard_now) = (relay.sent(), second.store.status().heard);
    let bytes = (after.0 - before.0) as f64;
    add(Size::new(
        "feed for each issue elsewhere, one at a time, to the node",
        bytes / count as f64,
        "bytes",
    ));
    add(Size::new(
        "records that it hears of for each",
        (heard_now - heard) as f64 / count as f64,
        "records",
    ));
}
