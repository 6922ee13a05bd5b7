//! P19: a record that is only in the database, over a plain read of the same row.

use crate::cached::Full;
use crate::raw;
use countersign::store::{Loaded, Store as _};
use countersign_benches::Shuffle;
use countersign_benches::limits::{Rounds, Size};
use countersign_core::Key;
use countersign_postgres::PostgresStore;
use countersign_testkit::postgres::Cluster;
use std::hint::black_box;
use std::sync::Arc;
use tokio::runtime::Runtime;
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

/// One key after another: by a thread that blocks, and by a task of an application's runtime.
///
/// The store's connections are carried by threads of its own, so theirs are too. An application
/// that has its connection on the very runtime which asks is shown beside them.
pub(crate) fn one_by_one(cluster: &Cluster, size: &Size, full: &Full) {
    let connection = cluster.primary().connection_string();
    let (host, apart) = (raw::runtime(), raw::runtime());
    let plain = Arc::new(apart.block_on(Plain::open(&connection)));
    let at_home = Arc::new(host.block_on(Plain::open(&connection)));
    let (mut rounds, mut shuffle) = (Rounds::default(), Shuffle::new());
    for round in 0..size.rounds(ROUNDS) {
        let keys: Vec<Key> = (0..EACH)
            .map(|_| Key::grant(full.selectors[shuffle.below(full.selectors.len())]))
            .collect();
        let ours = |rounds: &mut Rounds| {
            rounds.time("load", EACH, || {
                for key in &keys {
                    believe(&full.store.load(&[*key]).wait().unwrap());
                }
            });
            rounds.time("load, awaited", EACH, || {
                awaited(&host, &keys, &full.store);
            });
        };
        if round % 2 == 0 {
            ours(&mut rounds);
        }
        rounds.time("select", EACH, || {
            for key in &keys {
                apart.block_on(plain.read(*key));
            }
        });
        for (name, plain) in [("select, awaited", &plain), ("select, at home", &at_home)] {
            rounds.time(name, EACH, || {
                awaited(&host, &keys, plain);
            });
        }
        if round % 2 == 1 {
            ours(&mut rounds);
        }
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

fn believe(found: &Loaded) {
    assert!(matches!(black_box(&found[..]), [Some(_)]));
}

/// All keys, one after another, by one task of a runtime.
fn awaited<T: Read>(host: &Runtime, keys: &[Key], by: &Arc<T>) {
    let (by, keys) = (Arc::clone(by), keys.to_vec());
    let task = host.spawn(async move {
        for key in keys {
            by.read(key).await;
        }
    });
    host.block_on(task).unwrap();
}
