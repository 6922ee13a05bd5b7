//! P20: issues per second with 64 issuers, over plain inserts of the same rows.

use crate::nodes;
use crate::raw::{self, Record};
use countersign::Engine;
use countersign::core::Table;
use countersign_benches::limits::{Rounds, Size};
use countersign_benches::report::{Figure, Unit};
use countersign_benches::{engine_on, request, roomy_policy, timed};
use countersign_testkit::postgres::Cluster;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

const ISSUERS: usize = 64;
/// How many each of them issues in a round.
const EACH: usize = 40;
const ROUNDS: usize = 31;
/// How many connections an application may have for it: about as many as the store has, which is
/// what a pool has by default, or one for each issuer.
const POOLS: [(usize, &str); 2] = [(10, "pool of 10"), (ISSUERS, "pool of 64")];

/// Connections of an application's own, lent to one issuer at a time.
struct Pool {
    free: Mutex<Vec<(Client, Statement)>>,
    lent: Semaphore,
}

impl Pool {
    async fn open(connection: &str, count: usize, insert: &str) -> Self {
        let mut free = Vec::with_capacity(count);
        for _ in 0..count {
            let client = raw::connect(connection).await.unwrap();
            let statement = client.prepare(insert).await.unwrap();
            free.push((client, statement));
        }
        Self {
            lent: Semaphore::new(count),
            free: Mutex::new(free),
        }
    }

    /// One statement, and so one commit, for the rows of one issue.
    async fn insert(&self, rows: &[Record]) {
        let permit = self.lent.acquire().await.unwrap();
        let lent = self.free.lock().await.pop().unwrap();
        let (client, statement) = &lent;
        let put = client.execute(statement, &raw::parameters(rows)).await;
        assert_eq!(put.unwrap(), rows.len() as u64);
        self.free.lock().await.push(lent);
        drop(permit);
    }
}

/// Each issue is for a principal that is new, so that it leaves as many rows as the one before.
pub(crate) fn together(cluster: &Cluster, size: &Size) {
    let host = raw::runtime();
    let connection = cluster.primary().connection_string();
    let store = nodes::store(&connection, "issues");
    let engine = engine_on(Arc::clone(&store) as _, roomy_policy(0));
    issue(&host, &engine, 0, 1);
    let rows: Arc<[Record]> = host.block_on(async {
        let client = raw::connect(&connection).await.unwrap();
        let table = "CREATE TABLE plain (LIKE issues.record INCLUDING ALL)";
        client.batch_execute(table).await.unwrap();
        Record::newest(&client, "issues").await.into()
    });
    let insert = raw::insert("plain", rows.len());
    let pools = POOLS.map(|(count, name)| {
        let pool = host.block_on(Pool::open(&connection, count, &insert));
        (Arc::new(pool), name)
    });

    let (mut rounds, mut next) = (Rounds::default(), ISSUERS);
    for round in 0..=size.rounds(ROUNDS) {
        let before = store.status();
        let ours = timed(|| issue(&host, &engine, next, EACH));
        next += ISSUERS * EACH;
        let after = store.status();
        let plain = pools.each_ref().map(|(pool, name)| {
            let span = timed(|| insert_together(&host, pool, &rows, next));
            next += ISSUERS * EACH;
            (*name, span)
        });
        // Once for what is cold.
        if round == 0 {
            continue;
        }
        let rate = |span: std::time::Duration| (ISSUERS * EACH) as f64 / span.as_secs_f64();
        rounds.note("ours", rate(ours));
        let groups = (after.transactions - before.transactions) as f64;
        rounds.note("group", (ISSUERS * EACH) as f64 / groups);
        let fastest = plain.into_iter().map(|(name, span)| {
            rounds.note(name, rate(span));
            rate(span)
        });
        let fastest = fastest.fold(0.0, f64::max);
        rounds.note("the fastest", fastest);
    }
    tell(&rounds, &rows);
}

fn tell(rounds: &Rounds, rows: &[Record]) {
    let bytes: usize = rows.iter().map(Record::len).sum();
    let what = format!(
        "issues per second, {ISSUERS} issuers, over plain inserts of the same {} rows, whichever \
         pool is the fastest",
        rows.len()
    );
    let names = POOLS.map(|(_, name)| name);
    let over = |over: &str| -> Vec<f64> {
        let pairs = rounds.of("ours").iter().zip(rounds.of(over));
        pairs.map(|(ours, plain)| ours / plain).collect()
    };
    let figure = Figure::ratio("P20", what, &over("the fastest")).at_least(0.5);
    let figure = figure.part("ours (per second)", rounds.of("ours"));
    let figure = names.iter().fold(figure, |figure, name| {
        figure.part(&format!("{name} (per second)"), rounds.of(name))
    });
    figure.tell();
    for name in names {
        let what = format!("the same over a {name}");
        Figure::ratio("P20", what, &over(name)).tell();
    }
    Figure::of("P20", "issues per commit", Unit::Count, rounds.of("group"))
        .part("envelopes of one issue (bytes)", &[bytes as f64])
        .tell();
}

/// Issues from 64 tasks at once, the first of them for the principal of that number.
fn issue(host: &Runtime, engine: &Engine, first: usize, each: usize) {
    all_at_once(host, |issuer| {
        let engine = engine.clone();
        async move {
            for n in 0..each {
                // Ten numbers have the same principal.
                let request = request(10 * (first + issuer * each + n));
                engine.access().issue(request).await.unwrap();
            }
        }
    });
}

fn insert_together(host: &Runtime, pool: &Arc<Pool>, rows: &Arc<[Record]>, first: usize) {
    all_at_once(host, |issuer| {
        let (pool, mut rows) = (Arc::clone(pool), rows.to_vec());
        async move {
            for n in 0..EACH {
                let number = first + issuer + n * ISSUERS;
                for row in &mut rows {
                    row.id = id(row.kind, number);
                }
                pool.insert(&rows).await;
            }
        }
    });
}

/// An id that is new: in the order of time as ours are, but for those that are hashes of names.
fn id(kind: i16, number: usize) -> Uuid {
    let number = number as u64;
    if kind == i16::from(Table::Principals.code()) {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
        return Uuid::from_u64_pair(mixed.wrapping_mul(0xd6e8_feb8_6659_fd93), number);
    }
    Uuid::from_u64_pair(number, 0)
}

fn all_at_once<F: Future<Output = ()> + Send + 'static>(host: &Runtime, work: impl Fn(usize) -> F) {
    host.block_on(async {
        let mut tasks: JoinSet<()> = JoinSet::new();
        for issuer in 0..ISSUERS {
            tasks.spawn(work(issuer));
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
}
