//! What an application would do without the engine: the same client library, on a runtime of as
//! many threads as the store has.

use countersign_core::Key;
use std::time::SystemTime;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row};
use uuid::Uuid;

/// The runtime of an application.
pub(crate) fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// A connection, carried by the runtime on which this is called.
pub(crate) async fn connect(connection: &str) -> Result<Client, tokio_postgres::Error> {
    connect_by(&connection.parse()?).await
}

/// The same, by what was parsed already.
pub(crate) async fn connect_by(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, carried) = config.connect(NoTls).await?;
    tokio::spawn(carried);
    Ok(client)
}

/// A key as it is named in the database.
pub(crate) fn place(key: Key) -> (i16, Uuid) {
    (i16::from(key.table.code()), Uuid::from_bytes(key.id))
}

/// The columns of a record, in their order.
const COLUMNS: &str = "kind, id, version, envelope, principal, name, created_at, expires_at, \
                       ended_at, used_at";
const COUNT: usize = 10;

/// A record as it lies in the database.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) kind: i16,
    pub(crate) id: Uuid,
    version: i64,
    envelope: Vec<u8>,
    texts: [Option<String>; 2],
    times: [Option<SystemTime>; 4],
}

impl Record {
    /// Every record of a schema that was filed by the newest commit of it.
    pub(crate) async fn newest(client: &Client, schema: &str) -> Vec<Self> {
        let text = format!(
            "SELECT {COLUMNS} FROM {schema}.record
            WHERE version = (SELECT max(version) FROM {schema}.record)"
        );
        let rows = client.query(&text, &[]).await.unwrap();
        rows.iter().map(Self::of).collect()
    }

    fn of(row: &Row) -> Self {
        Self {
            kind: row.get(0),
            id: row.get(1),
            version: row.get(2),
            envelope: row.get(3),
            texts: [row.get(4), row.get(5)],
            times: [row.get(6), row.get(7), row.get(8), row.get(9)],
        }
    }

    /// How many bytes its envelope has.
    pub(crate) fn len(&self) -> usize {
        self.envelope.len()
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); COUNT] {
        let ([principal, name], [created, expires, ended, used]) = (&self.texts, &self.times);
        [
            &self.kind,
            &self.id,
            &self.version,
            &self.envelope,
            principal,
            name,
            created,
            expires,
            ended,
            used,
        ]
    }
}

/// One statement that inserts so many records into a table.
pub(crate) fn insert(table: &str, records: usize) -> String {
    let row = |row: usize| {
        let numbers: Vec<String> = (1..=COUNT)
            .map(|column| format!("${}", row * COUNT + column))
            .collect();
        format!("({})", numbers.join(", "))
    };
    let rows: Vec<String> = (0..records).map(row).collect();
    format!("INSERT INTO {table} ({COLUMNS}) VALUES {}", rows.join(", "))
}

/// The parameters of such a statement.
pub(crate) fn parameters(records: &[Record]) -> Vec<&(dyn ToSql + Sync)> {
    records.iter().flat_map(Record::parameters).collect()
}
