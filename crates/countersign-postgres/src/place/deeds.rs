//! What is done with places, each in one transaction that may be done twice.

use super::{Place, Right, whole_millis};
use crate::error::Fault;
use crate::hub::Role;
use crate::line::Line;
use core::time::Duration;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// The bytes of one part of a snapshot.
const PART_BYTES: usize = 1 << 20;

/// For how long whoever takes sessions over may not be heard of before they are claimed back.
const TAKER_SILENT: Duration = Duration::from_secs(10);

/// Held against being struck off until the transaction is over, and not against its own beats.
const ON_LIST: &str = "SELECT 1 FROM node WHERE id = $1 FOR KEY SHARE";
const ENTER: &str = "INSERT INTO session_place (name) VALUES ($1) ON CONFLICT (name) DO NOTHING";
const HOLD: &str = "SELECT owner, busy_ms, taken FROM session_place WHERE name = $1 FOR UPDATE";
/// Strikes a node off, where it matters only if it was not heard of for so long.
const STRIKE: &str = "DELETE FROM node WHERE id = $1
    AND ($2::bigint IS NULL OR seen_at <= now() - $2::bigint * interval '1 millisecond')
    RETURNING bound_ms";
const IS_THERE: &str = "SELECT 1 FROM node WHERE id = $1";
/// Everything that a struck node had is nobody's, and has to be waited for.
const FREE: &str = "UPDATE session_place SET owner = NULL, busy_ms = greatest(busy_ms, $2)
    WHERE owner = $1";
const OWN: &str = "UPDATE session_place SET owner = $2, taken = $3 WHERE name = $1";
const WAITED: &str = "UPDATE session_place SET busy_ms = 0 WHERE name = $1 AND owner = $2";
const SIZE: &str =
    "SELECT coalesce(sum(length(bytes)), 0)::bigint FROM session_part WHERE place = $1";
const READ: &str = "SELECT bytes FROM session_part WHERE place = $1 ORDER BY part";
const CLEAR: &str = "DELETE FROM session_part WHERE place = $1";
const PUT: &str = "INSERT INTO session_part (place, part, bytes) VALUES ($1, $2, $3)";
const WRITTEN: &str = "UPDATE session_place SET written_at = now() WHERE name = $1";
const LET_GO: &str = "UPDATE session_place SET owner = NULL, taken = false WHERE name = $1";
/// What has nothing in it need not be remembered.
const FORGET: &str = "DELETE FROM session_place p WHERE p.name = $1 AND p.owner IS NULL
    AND p.busy_ms = 0 AND NOT EXISTS (SELECT 1 FROM session_part s WHERE s.place = p.name)";
const ASIDE: &str = "UPDATE session_part SET place = $2 WHERE place = $1";
/// Places with something in them that are nobody's, or whose node was not heard of, for so long.
pub(crate) const SILENT: &str = "SELECT p.name FROM session_place p
    LEFT JOIN node n ON n.id = p.owner
    WHERE coalesce(n.seen_at, p.written_at, '-infinity'::timestamptz)
            <= now() - $1::bigint * interval '1 millisecond'
        AND EXISTS (SELECT 1 FROM session_part s WHERE s.place = p.name)
    ORDER BY p.name";
/// What the name of a place has behind it when what lies there cannot be used.
const DAMAGED: &str = " (damaged)";

/// The connection for places.
pub(super) struct Filing {
    pub(super) line: Line,
    clear: Statement,
    put: Statement,
    written: Statement,
}

impl Role for Filing {
    const WRITES: bool = true;

    async fn prepare(line: Line) -> Result<Self, Fault> {
        let client = &line.client;
        Ok(Self {
            clear: client.prepare(CLEAR).await?,
            put: client.prepare(PUT).await?,
            written: client.prepare(WRITTEN).await?,
            line,
        })
    }

    fn line(&self) -> &Line {
        &self.line
    }
}

/// Something that is done with a place.
pub(super) trait Deed: Send + Sync {
    type Done: Send + 'static;

    fn on(
        &self,
        place: &Place,
        filing: &Filing,
    ) -> impl Future<Output = Result<Self::Done, Fault>> + Send;
}

/// Makes it this node's.
pub(super) struct Claim;

/// What came of one try to claim.
pub(super) enum Claimed {
    /// It is this node's, once the lease of whoever had it is over.
    After(Duration),
    /// Another node is about to take its sessions over.
    BeingTaken,
}

impl Deed for Claim {
    type Done = Claimed;

    async fn on(&self, place: &Place, filing: &Filing) -> Result<Claimed, Fault> {
        let client = &filing.line.client;
        let own = place.shared.history.node.id;
        is_on_list(place, filing).await?;
        let silent = match place.right {
            Right::Name => {
                client.execute(ENTER, &[&place.name]).await?;
                None
            }
            Right::Silence(silent) if place.shared.heard_since() < silent => {
                return Err(Fault::Refused(
                    "this node was cut off itself lately, and cannot tell who is gone".to_owned(),
                ));
            }
            Right::Silence(silent) => Some(silent),
        };
        let Some(row) = client.query_opt(HOLD, &[&place.name]).await? else {
            return Err(Fault::Refused("nothing lies there any more".to_owned()));
        };
        let (owner, mut busy): (Option<Uuid>, i64) = (row.try_get(0)?, row.try_get(1)?);
        let by_name = place.right == Right::Name;
        if let Some(owner) = owner.filter(|owner| *owner != own) {
            // Who takes over from this name has not become this node.
            let taken = by_name && row.try_get(2)?;
            let silent = silent.or(taken.then_some(TAKER_SILENT)).map(whole_millis);
            let strike: [&(dyn ToSql + Sync); 2] = [&owner, &silent];
            match client.query_opt(STRIKE, &strike).await? {
                Some(struck) => {
                    busy = busy.max(struck.try_get(0)?);
                    client.execute(FREE, &[&owner, &busy]).await?;
                }
                // It has closed, or has been forgotten since.
                None if client.query_opt(IS_THERE, &[&owner]).await?.is_none() => {}
                None if taken => return Ok(Claimed::BeingTaken),
                None => {
                    return Err(Fault::Refused(
                        "its node is there: it was heard of lately".to_owned(),
                    ));
                }
            }
        }
        let own: [&(dyn ToSql + Sync); 3] = [&place.name, &own, &!by_name];
        client.execute(OWN, &own).await?;
        let wait = u64::try_from(busy).unwrap_or(0);
        Ok(Claimed::After(Duration::from_millis(wait)))
    }
}

/// Notes that nobody has to be waited for any more.
pub(super) struct Waited;

impl Deed for Waited {
    type Done = ();

    async fn on(&self, place: &Place, filing: &Filing) -> Result<(), Fault> {
        let waited: [&(dyn ToSql + Sync); 2] = [&place.name, &place.shared.history.node.id];
        match filing.line.client.execute(WAITED, &waited).await? {
            0 => Err(not_ours()),
            _ => Ok(()),
        }
    }
}

/// What lies there, if anything does; nothing at all where that is more than so many bytes.
pub(super) struct Read(pub(super) u64);

impl Deed for Read {
    type Done = Option<Option<Vec<u8>>>;

    async fn on(&self, place: &Place, filing: &Filing) -> Result<Self::Done, Fault> {
        let client = &filing.line.client;
        let name: [&(dyn ToSql + Sync); 1] = [&place.name];
        let size: i64 = client.query_one(SIZE, &name).await?.try_get(0)?;
        if u64::try_from(size).is_ok_and(|size| size > self.0) {
            return Ok(None);
        }
        let rows = client.query(READ, &name).await?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        for row in &rows {
            bytes.extend_from_slice(row.try_get::<_, &[u8]>(0)?);
        }
        Ok(Some((!rows.is_empty()).then_some(bytes)))
    }
}

/// Puts bytes in the place of what is there, or nothing.
pub(super) struct Put(pub(super) Vec<u8>);

impl Deed for Put {
    type Done = ();

    async fn on(&self, place: &Place, filing: &Filing) -> Result<(), Fault> {
        if !is_own(place, filing).await? {
            return Err(not_ours());
        }
        let client = &filing.line.client;
        client.execute(&filing.clear, &[&place.name]).await?;
        for (part, number) in self.0.chunks(PART_BYTES).zip(0i32..) {
            let part: [&(dyn ToSql + Sync); 3] = [&place.name, &number, &part];
            client.execute(&filing.put, &part).await?;
        }
        client.execute(&filing.written, &[&place.name]).await?;
        Ok(())
    }
}

/// Lets go of it, with what lies there or without.
pub(super) struct LetGo {
    pub(super) empties: bool,
}

impl Deed for LetGo {
    type Done = ();

    async fn on(&self, place: &Place, filing: &Filing) -> Result<(), Fault> {
        let client = &filing.line.client;
        if self.empties {
            // Or whoever struck this node off has it.
            is_on_list(place, filing).await?;
        }
        if !is_own(place, filing).await? {
            // An earlier try has done it, or it was never this node's.
            return Ok(());
        }
        if self.empties {
            client.execute(&filing.clear, &[&place.name]).await?;
        }
        client.execute(LET_GO, &[&place.name]).await?;
        client.execute(FORGET, &[&place.name]).await?;
        Ok(())
    }
}

/// Puts what lies there out of the way, under a name of nobody's; answers which.
pub(super) struct SetAside;

impl Deed for SetAside {
    type Done = String;

    async fn on(&self, place: &Place, filing: &Filing) -> Result<String, Fault> {
        let aside = format!("{}{DAMAGED}", place.name);
        if !is_own(place, filing).await? {
            return Err(not_ours());
        }
        let client = &filing.line.client;
        client.execute(&filing.clear, &[&aside]).await?;
        client.execute(ASIDE, &[&place.name, &aside]).await?;
        Ok(aside)
    }
}

/// Makes sure that this node was not struck off, and is not before the transaction is over.
async fn is_on_list(place: &Place, filing: &Filing) -> Result<(), Fault> {
    let own = place.shared.history.node.id;
    match filing.line.client.query_opt(ON_LIST, &[&own]).await? {
        Some(_) => Ok(()),
        None => Err(Fault::Refused(
            "this node is not known to the database any more".to_owned(),
        )),
    }
}

/// Whether it is this node's, until the transaction is over.
async fn is_own(place: &Place, filing: &Filing) -> Result<bool, Fault> {
    let held = filing.line.client.query_opt(HOLD, &[&place.name]).await?;
    let owner: Option<Uuid> = held.map(|row| row.try_get(0)).transpose()?.flatten();
    Ok(owner == Some(place.shared.history.node.id))
}

fn not_ours() -> Fault {
    Fault::Refused(
        "this place of sessions is not this node's: nobody has claimed it, or another one has"
            .to_owned(),
    )
}
