//! P19: a record that is only in the database, over a plain read of the same row.

use crate::cached::Full;
use crate::raw;
use countersign::store::{Loaded, Steady, Store as _};
use countersign_benches::limits::{Rounds, Size};
use countersign_benches::report::{each, median};
use countersign_benches::{Shuffle, timed};
use countersign_core::Key;
use countersign_postgres::PostgresStore;
use countersign_testkit::postgres::Cluster;
use std::hint::black_box;
use std::sync::Arc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

const ROUNDS: usize = 201;
const EACH: usize = 200;

/// A connection of an application's own, with the one statement prepared.
struct Plain {
    client: Client,
    select: Statement,
}

/// Who reads a record that is there.
trait Read: Send + Sync + 'static {
    fn read(&self, key: Key) -> impl Future<Output = ()> + Send;
}

impl Plain {
    async fn open(connection: &str) -> Self {
        let client = raw::connect(connection).await.unwrap();
        let text = "SELECT version, envelope FROM cached.record WHERE kind = $1 AND id = $2";
        let select = client.prepare(text).await.unwrap();
        Self { client, select }
    }
}

impl Read for Plain {
    async fn read(&self, key: Key) {
        let (kind, id) = raw::place(key);
        let parameters: [&(dyn ToSql + Sync); 2] = [&kind, &id];
        let row = self.client.query_one(&self.select, &parameters).await;
        let row = row.unwrap();
        black_box((row.get::<_, i64>(0), row.get::<_, Vec<u8>>(1)));
    }
}

impl Read for PostgresStore {
    async fn read(&self, key: Key) {
        believe(&self.load(&[key]).await.unwrap());
    }
}

/// One key after another, by either side in turn: by a thread that blocks, and by a task of an
/// application's runtime.
///
/// The store's connections are carried by threads of its own, so theirs are too. An application
/// that has its connection on the very runtime which asks is shown beside them.
pub(crate) fn one_by_one(cluster: &Cluster, size: &Size, full: &Full) {
    let connection = cluster.primary().connection_string();
    let (host, apart) = (raw::runtime(), raw::runtime());
    let plain = Arc::new(apart.block_on(Plain::open(&connection)));
    let at_home = Arc::new(host.block_on(Plain::open(&connection)));
    let (mut rounds, mut shuffle) = (Rounds::default(), Shuffle::new());
    for _ in 0..size.rounds(ROUNDS) {
        let keys: Vec<Key> = (0..EACH)
            .map(|_| Key::grant(full.selectors[shuffle.below(full.selectors.len())]))
            .collect();
        let [mut load, mut select] = [const { Vec::new() }; 2];
        for key in &keys {
            load.push(took(|| believe(&full.store.load(&[*key]).wait().unwrap())));
            select.push(took(|| apart.block_on(plain.read(*key))));
        }
        rounds.note("load", median(&load));
        rounds.note("select", median(&select));
        let task = host.spawn(awaited(
            keys,
            Arc::clone(&full.store),
            [&plain, &at_home].map(Arc::clone),
        ));
        let [load, apart, at_home] = host.block_on(task).unwrap();
        rounds.note("load, awaited", median(&load));
        rounds.note("select, awaited", median(&apart));
        rounds.note("select, at home", median(&at_home));
    }
    let what = "a missed record over one prepared SELECT, waited for by a thread";
    let figure = rounds.ratio("P19", what, "load", &["select"]);
    figure.at_most(1.2).tell();
    let what = "the same, awaited by a task of another runtime than the connection's";
    let figure = rounds.ratio("P19", what, "load, awaited", &["select, awaited"]);
    figure.at_most(1.2).tell();
    let what = "the same over a connection that is carried by the task's own runtime";
    rounds
        .ratio("P19", what, "load, awaited", &["select, at home"])
        .tell();
}

/// What each call takes by the store, and by either connection.
async fn awaited(
    keys: Vec<Key>,
    store: Arc<PostgresStore>,
    plain: [Arc<Plain>; 2],
) -> [Vec<f64>; 3] {
    let mut all = [const { Vec::new() }; 3];
    let [load, apart, at_home] = &mut all;
    for key in keys {
        load.push(awaited_for(store.read(key)).await);
        apart.push(awaited_for(plain[0].read(key)).await);
        at_home.push(awaited_for(plain[1].read(key)).await);
    }
    all
}

/// The nanoseconds of one call. Each is timed by itself, and the usual one of a round counts: where
/// the machine has other work, a thread that is woken may wait for longer than the call takes.
fn took(call: impl FnMut()) -> f64 {
    each(timed(call), 1)
}

async fn awaited_for(call: impl Future<Output = ()>) -> f64 {
    let began = Steady::now();
    call.await;
    each(Steady::now().since(began), 1)
}

fn believe(found: &Loaded) {
    assert!(matches!(black_box(&found[..]), [Some(_)]));
}
