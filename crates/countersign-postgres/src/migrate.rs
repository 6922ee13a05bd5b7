//! Bringing the schema up to date: safe when several nodes do it at once.

use crate::error::{Fault, PostgresError};
use crate::history::Node;
use crate::hub::Hub;
use crate::line::Line;
use crate::place::whole_millis;
use crate::schema::{BEGIN_META, MIGRATIONS, SHARDS};
use core::time::Duration;
use countersign_core::Keyring;
use countersign_core::keys::KeyCheck;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

/// How often a step is tried when another node is at it too.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// What was found in the database, and who this opening of it is.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) node: Node,
    /// Random, made with the tables.
    pub(crate) store_id: Uuid,
    /// The newest version of any commit.
    pub(crate) newest: u64,
}

/// Makes the tables or brings them up to date, checks the keys, and enters this node.
pub(crate) async fn open(
    hub: &Hub,
    line: &Line,
    keyring: &Keyring,
) -> Result<Opened, PostgresError> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match try_open(hub, line, keyring).await {
            Ok(opened) => return Ok(opened),
            Err(Refusal::Final(error)) => return Err(error),
            Err(Refusal::Again(text)) => last = text,
        }
        // The transaction is over, whatever it was.
        let _ = line.client.batch_execute("ROLLBACK").await;
        tokio::time::sleep(PAUSE).await;
    }
    Err(PostgresError::Refused(last))
}

/// Why it did not go through.
enum Refusal {
    /// Another node was at it: the next try finds it done.
    Again(String),
    Final(PostgresError),
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        let text = crate::error::describe(&error);
        // Two that make the same table at once: the second finds half of it.
        let at_once = [
            SqlState::UNIQUE_VIOLATION,
            SqlState::DUPLICATE_TABLE,
            SqlState::DUPLICATE_SCHEMA,
            SqlState::DUPLICATE_OBJECT,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ];
        match error.code().is_some_and(|code| at_once.contains(code)) {
            true => Self::Again(text),
            false => Self::Final(Fault::of(&error).into()),
        }
    }
}

async fn try_open(hub: &Hub, line: &Line, keyring: &Keyring) -> Result<Opened, Refusal> {
    let client = &line.client;
    let schema = &hub.options.schema;
    let encoding: String = client
        .query_one("SELECT current_setting('server_encoding')", &[])
        .await?
        .try_get(0)?;
    if encoding != "UTF8" {
        // What one person's names cannot be written in would keep others' commits back.
        return Err(Refusal::Final(PostgresError::Option {
            field: "database",
            detail: format!("its encoding is {encoding}; make one with UTF8"),
        }));
    }
    let there = client
        .query_opt(
            "SELECT 1 FROM information_schema.tables
             WHERE table_schema = $1 AND table_name = 'meta'",
            &[schema],
        )
        .await?
        .is_some();
    if !there {
        if !hub.options.create {
            return Err(Refusal::Final(PostgresError::NotFound(schema.clone())));
        }
        let begin = format!("CREATE SCHEMA IF NOT EXISTS {schema}; {BEGIN_META}");
        client.batch_execute(&begin).await?;
    }
    client.batch_execute("BEGIN").await?;
    // Whoever has this row is alone; the others wait and find everything done.
    let meta = client
        .query_one(
            "SELECT schema_version, nodes, store_id, root_check FROM meta WHERE one = 1 FOR UPDATE",
            &[],
        )
        .await?;
    migrate(line, meta.try_get(0)?).await?;
    check_keys(line, meta.try_get(3)?, keyring).await?;
    let number: i64 = meta.try_get::<_, i64>(1)?.saturating_add(1);
    let shard = i16::try_from(number.rem_euclid(i64::from(SHARDS))).unwrap_or(0);
    let node = client
        .query_one(
            "INSERT INTO node (id, number, shard, beats, applied, opened_at, seen_at, bound_ms)
             VALUES (gen_random_uuid(), $1, $2, 0, ARRAY[]::bigint[], now(), now(), $3)
             RETURNING id",
            &[&number, &shard, &whole_millis(hub.options.staleness)],
        )
        .await?;
    client
        .execute("UPDATE meta SET nodes = $1 WHERE one = 1", &[&number])
        .await?;
    let newest: i64 = client
        .query_one("SELECT max(version) FROM head", &[])
        .await?
        .try_get(0)?;
    client.batch_execute("COMMIT").await?;
    Ok(Opened {
        node: Node {
            id: node.try_get(0)?,
            number,
            shard,
        },
        store_id: meta.try_get(2)?,
        newest: u64::try_from(newest).unwrap_or(0),
    })
}

async fn migrate(line: &Line, found: i32) -> Result<(), Refusal> {
    let known = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    if found > known {
        return Err(Refusal::Final(PostgresError::NewerSchema { found, known }));
    }
    let done = usize::try_from(found).unwrap_or(0);
    for step in MIGRATIONS.iter().skip(done) {
        line.client.batch_execute(step).await?;
    }
    if found < known {
        line.client
            .execute(
                "UPDATE meta SET schema_version = $1 WHERE one = 1",
                &[&known],
            )
            .await?;
    }
    Ok(())
}

/// Compares the keys with those that the store was made with, and notes new peppers.
async fn check_keys(line: &Line, root: Option<Vec<u8>>, keyring: &Keyring) -> Result<(), Refusal> {
    let wrong = |detail| Refusal::Final(PostgresError::WrongKeys(detail));
    let held = keyring.root_check();
    match root {
        Some(root) if root == held => {}
        Some(_) => return Err(wrong("the root key is another one")),
        None => {
            let held: &[u8] = &held;
            line.client
                .execute("UPDATE meta SET root_check = $1 WHERE one = 1", &[&held])
                .await?;
        }
    }
    let rows = line
        .client
        .query("SELECT id, key_check FROM pepper", &[])
        .await?;
    let mut noted: Vec<(i32, Vec<u8>)> = Vec::with_capacity(rows.len());
    for row in &rows {
        noted.push((row.try_get(0)?, row.try_get(1)?));
    }
    let held: Vec<(i32, KeyCheck)> = keyring
        .pepper_checks()
        .map(|(id, check)| (i32::from(id.number()), check))
        .collect();
    for (id, check) in &noted {
        match held.iter().find(|(known, _)| known == id) {
            None => return Err(wrong("a pepper is missing that records were made under")),
            Some((_, known)) if known[..] != check[..] => {
                return Err(wrong(
                    "a pepper is another one than records were made under",
                ));
            }
            Some(_) => {}
        }
    }
    for (id, check) in held {
        if noted.iter().all(|(known, _)| *known != id) {
            let check: &[u8] = &check;
            line.client
                .execute(
                    "INSERT INTO pepper (id, key_check) VALUES ($1, $2)",
                    &[&id, &check],
                )
                .await?;
        }
    }
    Ok(())
}
