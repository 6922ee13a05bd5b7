//! What lies in the database: its tables, how they came about, and every statement but the set-up
//! of a session and those on places of sessions, which are with these.
//!
//! Plain SQL of the kind that every engine on this protocol speaks: no trigger, no stored
//! procedure, no extension, no sequence. `docs/POSTGRES.md` tells an operator what they see.

use crate::error::PostgresError;

/// How many counters of commits there are. Fixed for good: readers remember where they are in each.
pub(crate) const SHARDS: i16 = 64;

/// The steps from nothing to the present schema, each run once, in order. Never change one that
/// has been released: add another.
pub(crate) const MIGRATIONS: &[&str] = &[
    "CREATE TABLE record (
        kind smallint NOT NULL,
        id uuid NOT NULL,
        version bigint NOT NULL,
        envelope bytea NOT NULL,
        principal text,
        name text,
        created_at timestamptz,
        expires_at timestamptz,
        ended_at timestamptz,
        used_at timestamptz,
        PRIMARY KEY (kind, id)
    );
    CREATE TABLE head (
        shard smallint PRIMARY KEY,
        rev bigint NOT NULL,
        version bigint NOT NULL
    );
    INSERT INTO head (shard, rev, version) SELECT n, 0, 0 FROM generate_series(0, 63) AS g(n);
    CREATE TABLE change_log (
        shard smallint NOT NULL,
        rev bigint NOT NULL,
        version bigint NOT NULL,
        node uuid NOT NULL,
        keys bytea NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (shard, rev)
    );
    CREATE TABLE node (
        id uuid PRIMARY KEY,
        number bigint NOT NULL,
        shard smallint NOT NULL,
        beats bigint NOT NULL,
        applied bigint[] NOT NULL,
        opened_at timestamptz NOT NULL,
        seen_at timestamptz NOT NULL
    );
    CREATE TABLE pepper (
        id integer PRIMARY KEY,
        key_check bytea NOT NULL
    );
    CREATE TABLE turn (
        chore text PRIMARY KEY,
        node uuid NOT NULL,
        until timestamptz NOT NULL
    );
    CREATE VIEW access_tokens AS
        SELECT id AS selector, principal, name, created_at, expires_at, ended_at
        FROM record WHERE kind = 3;
    CREATE VIEW remembered_devices AS
        SELECT id AS selector, principal, name AS label, created_at, expires_at, ended_at
        FROM record WHERE kind = 6;
    CREATE VIEW last_uses AS SELECT id AS selector, used_at FROM record WHERE kind = 4;
    CREATE VIEW principals AS SELECT id AS key, principal, ended_at AS disabled_since
        FROM record WHERE kind = 2;
    CREATE VIEW audit_log AS SELECT id, created_at AS at, name AS event, principal
        FROM record WHERE kind = 5",
    "CREATE TABLE session_place (
        name text PRIMARY KEY,
        owner uuid NOT NULL,
        written_at timestamptz
    );
    CREATE TABLE session_part (
        place text NOT NULL,
        part integer NOT NULL,
        bytes bytea NOT NULL,
        PRIMARY KEY (place, part)
    )",
    "ALTER TABLE session_place ALTER COLUMN owner DROP NOT NULL;
    ALTER TABLE session_place ADD COLUMN busy_ms bigint NOT NULL DEFAULT 0;
    ALTER TABLE session_place ADD COLUMN taken boolean NOT NULL DEFAULT false;
    ALTER TABLE node ADD COLUMN bound_ms bigint NOT NULL DEFAULT 60000",
];

/// The one row of the table that says which schema this is.
pub(crate) const BEGIN_META: &str = "CREATE TABLE IF NOT EXISTS meta (
        one smallint PRIMARY KEY,
        schema_version integer NOT NULL,
        nodes bigint NOT NULL,
        store_id uuid NOT NULL,
        root_check bytea
    );
    INSERT INTO meta (one, schema_version, nodes, store_id)
        VALUES (1, 0, 0, gen_random_uuid()) ON CONFLICT (one) DO NOTHING";

/// A name in SQL that needs no quotes.
///
/// # Errors
/// [`PostgresError::Option`] with what is allowed.
pub(crate) fn check_name(name: &str) -> Result<(), PostgresError> {
    let bytes = name.as_bytes();
    let begins = bytes
        .first()
        .is_some_and(|byte| byte.is_ascii_lowercase() || *byte == b'_');
    let rest = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    if begins && bytes.len() <= 48 && bytes.iter().all(rest) && !name.starts_with("pg_") {
        return Ok(());
    }
    Err(PostgresError::Option {
        field: "schema",
        detail: format!(
            "`{}` is not 1 to 48 lower-case letters, digits and underscores, beginning with a \
             letter or an underscore and not with `pg_`",
            name.escape_debug()
        ),
    })
}

/// One record.
pub(crate) const LOAD_ONE: &str =
    "SELECT version, envelope FROM record WHERE kind = $1 AND id = $2";

/// Several, in no order.
pub(crate) const LOAD_MANY: &str = "SELECT r.kind, r.id, r.version, r.envelope
    FROM unnest($1::smallint[], $2::uuid[]) AS w(kind, id)
    JOIN record r ON r.kind = w.kind AND r.id = w.id";

/// A page of a range.
pub(crate) const PAGE: &str = "SELECT id, version, envelope FROM record
    WHERE kind = $1 AND id >= $2 AND id <= $3 ORDER BY id LIMIT $4";

/// Holds records against every other commit, always in the same order.
pub(crate) const HOLD: &str = "SELECT r.kind, r.id, r.version
    FROM record r JOIN unnest($1::smallint[], $2::uuid[]) AS w(kind, id)
        ON r.kind = w.kind AND r.id = w.id
    ORDER BY r.kind, r.id FOR UPDATE OF r";

/// Holds records against those who change them, but not against those who only keep them.
pub(crate) const SHARE: &str = "SELECT r.kind, r.id, r.version
    FROM record r JOIN unnest($1::smallint[], $2::uuid[]) AS w(kind, id)
        ON r.kind = w.kind AND r.id = w.id
    ORDER BY r.kind, r.id FOR SHARE OF r";

/// Takes places in which nothing must be, so that nobody fills them before this commit is done.
pub(crate) const RESERVE: &str = "INSERT INTO record (kind, id, version, envelope)
    SELECT w.kind, w.id, 0, ''::bytea FROM unnest($1::smallint[], $2::uuid[]) AS w(kind, id)
    ORDER BY w.kind, w.id ON CONFLICT (kind, id) DO NOTHING";

/// Gives them back.
pub(crate) const RELEASE: &str = "DELETE FROM record r
    USING unnest($1::smallint[], $2::uuid[]) AS w(kind, id)
    WHERE r.kind = w.kind AND r.id = w.id AND r.version = 0";

/// Enters in the log those of the batches whose every expectation holds, numbered without a gap:
/// the counter is locked from here to the commit. Tells of both: what was entered, and which
/// expectations did not hold.
pub(crate) const ENTER: &str = "WITH wanted AS (
        SELECT * FROM unnest($1::integer[], $2::smallint[], $3::uuid[], $4::bigint[])
            WITH ORDINALITY AS w(batch, kind, id, expected, place)
    ), failed AS (
        SELECT w.batch, w.place FROM wanted w
        LEFT JOIN record r ON r.kind = w.kind AND r.id = w.id
        WHERE coalesce(r.version, 0) <> w.expected
    ), good AS (
        SELECT b.version, b.keys, row_number() OVER (ORDER BY b.version) AS n,
            count(*) OVER () AS total
        FROM unnest($5::integer[], $6::bigint[], $7::bytea[]) AS b(batch, version, keys)
        WHERE b.batch NOT IN (SELECT batch FROM failed)
    ), counted AS (
        UPDATE head SET rev = rev + (SELECT count(*) FROM good),
            version = coalesce((SELECT max(version) FROM good), version)
        WHERE shard = $8 RETURNING rev
    ), entered AS (
        INSERT INTO change_log (shard, rev, version, node, keys, at)
        SELECT $8, counted.rev - good.total + good.n, good.version, $9, good.keys, now()
        FROM good, counted
        RETURNING version
    )
    SELECT NULL::integer AS batch, NULL::bigint AS place, version FROM entered
    UNION ALL SELECT batch, place, NULL::bigint FROM failed";

/// Which of the last `$2` entries of a counter there are: those of this commit.
const ENTERED: &str = "SELECT l.version FROM change_log l
    WHERE l.shard = $1 AND l.rev > (SELECT h.rev FROM head h WHERE h.shard = $1) - $2";

/// The columns of what is put.
const PUT: &str = "INSERT INTO record (kind, id, version, envelope, principal, name, created_at,
        expires_at, ended_at, used_at)
    SELECT p.kind, p.id, p.version, p.envelope, p.principal, p.name, p.created_at,
        p.expires_at, p.ended_at, p.used_at
    FROM unnest($3::smallint[], $4::uuid[], $5::bigint[], $6::bytea[], $7::text[], $8::text[],
        $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[])
        AS p(kind, id, version, envelope, principal, name, created_at, expires_at, ended_at,
            used_at)
    WHERE p.version IN ";

/// Files records where nothing is, and fails where something has come meanwhile.
pub(crate) fn make() -> String {
    format!("{PUT}({ENTERED}) ORDER BY p.kind, p.id")
}

/// Files records in the place of what is there.
pub(crate) fn set() -> String {
    format!(
        "{PUT}({ENTERED}) ORDER BY p.kind, p.id ON CONFLICT (kind, id) DO UPDATE SET
            version = excluded.version, envelope = excluded.envelope,
            principal = excluded.principal, name = excluded.name,
            created_at = excluded.created_at, expires_at = excluded.expires_at,
            ended_at = excluded.ended_at, used_at = excluded.used_at"
    )
}

/// Removes records.
pub(crate) fn remove() -> String {
    format!(
        "DELETE FROM record r
        USING unnest($3::smallint[], $4::uuid[], $5::bigint[]) AS d(kind, id, version)
        WHERE r.kind = d.kind AND r.id = d.id AND d.version IN ({ENTERED})"
    )
}

/// Waits until no commit of this counter is under way.
pub(crate) const WAIT_FOR_COUNTER: &str = "SELECT rev FROM head WHERE shard = $1 FOR UPDATE";

/// The same of every counter, each waited for in turn and held from then on.
pub(crate) const WAIT_FOR_ALL: &str = "SELECT rev FROM head ORDER BY shard FOR UPDATE";

/// Which of this node's batches have been committed.
pub(crate) const OUTCOME: &str = "SELECT version FROM change_log
    WHERE shard = $1 AND node = $2 AND version = ANY($3)";

/// Where every counter is, in the order in which the log is read.
pub(crate) const HEADS: &str = "SELECT shard, rev, version FROM head ORDER BY shard";

/// What was entered after a place, in the counters that have moved.
pub(crate) const LOG: &str = "SELECT l.shard, l.rev, l.version, l.node, l.keys
    FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS c(shard, since, upto)
    JOIN change_log l ON l.shard = c.shard AND l.rev >= c.since AND l.rev <= c.upto
    ORDER BY l.shard, l.rev LIMIT $4";

/// A write of this node alone, which is acknowledged only where every other write would be. It says
/// for how long the lease may be trusted that it renews.
pub(crate) const BEAT: &str = "UPDATE node SET beats = beats + 1, applied = $2, seen_at = now(),
    bound_ms = $3 WHERE id = $1";

/// The same, where nothing is said of what was heard.
pub(crate) const WITNESS: &str = "UPDATE node SET beats = beats + 1 WHERE id = $1";

/// Forgets what was entered long ago, but for the last entry of each counter: of the oldest entries
/// those that are old enough, so that no young ones are looked through.
pub(crate) const PRUNE: &str = "DELETE FROM change_log l USING head h
    WHERE l.shard = h.shard AND l.shard = $1 AND l.rev < h.rev
        AND l.rev IN (SELECT o.rev FROM (SELECT e.rev, e.at FROM change_log e
                WHERE e.shard = $1 ORDER BY e.rev LIMIT 10000) o
            WHERE o.at < now() - $2::bigint * interval '1 second')";

/// Strikes this node off the list when it closes.
pub(crate) const LEAVE: &str = "DELETE FROM node WHERE id = $1";

/// Strikes off nodes that have not been heard of for so long that nobody waits for them.
pub(crate) const FORGET_NODES: &str =
    "DELETE FROM node WHERE seen_at < now() - $1::bigint * interval '1 millisecond'";

/// Takes a chore for a while, unless another node has it.
pub(crate) const TAKE_TURN: &str = "INSERT INTO turn (chore, node, until)
    VALUES ($1, $2, now() + $3::bigint * interval '1 millisecond')
    ON CONFLICT (chore) DO UPDATE SET node = excluded.node, until = excluded.until
    WHERE turn.node = excluded.node OR turn.until < now()";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_needs_no_quotes() {
        for good in ["countersign", "_a", "a1_b", &"x".repeat(48)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "1a",
            "A",
            "a-b",
            "a b",
            "a;drop",
            "pg_temp",
            "\u{e9}",
            &"x".repeat(49),
        ] {
            let error = check_name(bad).unwrap_err().to_string();
            assert!(error.contains("schema"), "{error}");
        }
    }

    /// The views name kinds by number.
    #[test]
    fn the_views_name_the_tables_as_they_are_numbered() {
        use countersign_core::Table;
        let codes = [
            Table::Principals,
            Table::Grants,
            Table::Usage,
            Table::Events,
            Table::Series,
        ];
        assert_eq!(codes.map(Table::code), [2, 3, 4, 5, 6]);
    }
}
