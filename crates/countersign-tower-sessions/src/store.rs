//! The store: what both versions of the trait come to, in terms that are neither's.

use crate::data::{Data, Known};
use crate::fault::Fault;
use crate::loads::Loads;
use crate::principal::{NoPrincipal, axum_login};
use countersign::{
    AttributeChange, BareId, Denied, Engine, Error, Live, NewBareSession, Principal, Timestamp,
};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use time::{OffsetDateTime, PrimitiveDateTime};

/// Work for one call of `delete_expired`.
const SWEEP_BUDGET: usize = 4096;
const NANOS_PER_MS: i128 = 1_000_000;

/// Tells whose a session is by what it holds.
type PrincipalOf =
    dyn Fn(&HashMap<String, Value>) -> Result<Option<Principal>, NoPrincipal> + Send + Sync;

/// The engine as a `SessionStore` of tower-sessions 0.14 and 0.15. A copy is another handle on the
/// same.
///
/// # Saves at the same time
///
/// The trait's save brings a whole record, and other stores keep it: of two requests that loaded
/// the same session and changed different keys, the second undoes what the first one did. Here a
/// save is taken as the changes that were made to what was loaded: keys that are the same as then
/// are left as they are now, others are set or removed, all of them at once. Of two that change
/// the same key the later one wins.
///
/// What was loaded is remembered for the 8 192 latest loads, and found again by the record itself.
/// Where it is not, as after that many others or for a record that was made by hand, the record is
/// kept whole.
///
/// # What is told by a save, and what is not
///
/// Saving to a session that has ended, or that never was, does nothing and succeeds: the request
/// that does so is as a rule one that was in flight while its session ended, and nothing is wrong
/// with it. The browser's cookie then leads to no session, and the next request begins another.
/// An error is what does not fit, or what the engine failed at.
#[derive(Clone)]
pub struct CountersignStore(Arc<Shared>);

/// What the copies of a store share.
#[derive(Clone)]
pub(crate) struct Shared {
    engine: Engine,
    principal: Arc<PrincipalOf>,
    loads: Arc<Loads>,
    late: Arc<AtomicU64>,
}

impl CountersignStore {
    /// A store of the sessions of `engine`, where what axum-login keeps in a session tells whose
    /// it is.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self(Arc::new(Shared {
            engine,
            principal: Arc::new(axum_login),
            loads: Arc::default(),
            late: Arc::default(),
        }))
    }

    /// The same with another way to tell whose a session is; by default it is [`axum_login`].
    ///
    /// A session that belongs to a principal is in the list of their sessions, ends when they are
    /// revoked or disabled or when their credentials change, counts to `max_per_principal`, and
    /// never makes way for visitors' sessions, however many come. A principal without a record
    /// gets one.
    ///
    /// Whose a session is, is settled when it is created. A save under which it would belong to
    /// somebody else is an error and changes nothing: whoever logs in gets another id
    /// (`Session::cycle_id`), or else whoever had planted the one before is logged in with them
    /// (invariant I10). axum-login does so, except where somebody logs in over another who has
    /// not logged out: log out first there. One of somebody whose id is no principal's name
    /// ([`NoPrincipal`]) is an error as well.
    ///
    /// ```
    /// # use countersign_tower_sessions::CountersignStore;
    /// use countersign::Principal;
    ///
    /// # fn store(engine: countersign::Engine) -> CountersignStore {
    /// CountersignStore::new(engine)
    ///     .with_principal(|data| match data.get("user").and_then(|user| user.as_str()) {
    ///         Some(name) => Ok(Some(Principal::new(name)?)),
    ///         None => Ok(None),
    ///     })
    /// # }
    /// ```
    #[must_use]
    pub fn with_principal(
        self,
        principal: impl Fn(&HashMap<String, Value>) -> Result<Option<Principal>, NoPrincipal>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let shared = Shared::clone(&self.0);
        Self(Arc::new(Shared {
            principal: Arc::new(principal),
            ..shared
        }))
    }

    /// The engine, for everything else that it does.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// How many saves came too late: their session had ended, or never was.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.0.late.load(Ordering::Relaxed)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    /// Opens a session; answers its id, and when it ends.
    pub(crate) async fn create(
        &self,
        data: &Data,
        expiry: OffsetDateTime,
    ) -> Result<(i128, OffsetDateTime), Fault> {
        let known = Known::written(data)?;
        let new = NewBareSession {
            principal: (self.principal)(data)?,
            attributes: known.changes_to_nothing(),
            ends_at: instant(expiry),
        };
        let opening = self
            .engine
            .off_thread(|engine| engine.sessions().open_bare(new));
        let opened = opening.await.map_err(Fault::of)?;
        let selector = opened.session.selector();
        self.loads.saved(selector, data, known);
        let id = i128::from_le_bytes(*opened.id.expose());
        Ok((id, date(opened.session.ends_at())))
    }

    /// Takes a record as the changes that its request made.
    pub(crate) async fn save(
        &self,
        id: i128,
        data: &Data,
        expiry: OffsetDateTime,
    ) -> Result<(), Fault> {
        let Some(live) = self.touch(id).await? else {
            self.too_late();
            return Ok(());
        };
        self.stays_theirs(&live, data)?;
        let known = Known::written(data)?;
        let changes = self.changes(&live, data, &known);
        let saving = self.engine.off_thread(|engine| {
            let sessions = engine.sessions();
            sessions.save_bare(&live, changes, instant(expiry))
        });
        match saving.await {
            Ok(_) => {
                self.loads.saved(live.selector(), data, known);
                Ok(())
            }
            Err(Error::Session(Denied::Gone(_) | Denied::Unknown)) => {
                self.too_late();
                Ok(())
            }
            Err(error) => Err(Fault::of(error)),
        }
    }

    /// What a session holds, and when it ends.
    pub(crate) async fn load(&self, id: i128) -> Result<Option<(Data, OffsetDateTime)>, Fault> {
        let Some(live) = self.touch(id).await? else {
            return Ok(None);
        };
        let known = Known::of(live.attributes());
        let data = known.read()?;
        self.loads.loaded(live.selector(), &data, known);
        Ok(Some((data, date(live.ends_at()))))
    }

    pub(crate) fn delete(&self, id: i128) -> Result<(), Fault> {
        self.engine.sessions().end_bare(&bare(id))?;
        Ok(())
    }

    pub(crate) async fn delete_expired(&self) -> Result<(), Fault> {
        let sweeping = self.engine.off_thread(|engine| engine.sweep(SWEEP_BUDGET));
        sweeping.await?;
        Ok(())
    }

    /// The session of an id, if there is one that its bearer may come in by.
    async fn touch(&self, id: i128) -> Result<Option<Live>, Fault> {
        let touching = self
            .engine
            .off_thread(|engine| engine.sessions().touch_bare(&bare(id), None));
        let verdict = touching.await?;
        Ok(verdict.live())
    }

    fn stays_theirs(&self, live: &Live, data: &Data) -> Result<(), Fault> {
        match ((self.principal)(data)?, live.owner()) {
            (None, _) => Ok(()),
            (Some(principal), Some(owner)) if *owner == principal => Ok(()),
            (Some(_), _) => Err(Fault::SameId),
        }
    }

    fn changes(&self, live: &Live, data: &Data, known: &Known) -> Vec<AttributeChange> {
        match self.loads.find(live.selector(), data) {
            Some(loaded) => known.changes_to(&loaded),
            None => known.instead(live.attributes()),
        }
    }

    /// Nothing is wrong with that: it is counted.
    fn too_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }
}

/// The bytes of an id, in the order in which the cookie has them.
fn bare(id: i128) -> BareId {
    BareId::from_bytes(id.to_le_bytes())
}

/// To the millisecond, which is never later.
fn instant(expiry: OffsetDateTime) -> Timestamp {
    let ms = expiry.unix_timestamp_nanos().div_euclid(NANOS_PER_MS);
    Timestamp::from_millis(u64::try_from(ms.max(0)).unwrap_or(u64::MAX))
}

fn date(instant: Timestamp) -> OffsetDateTime {
    let nanos = i128::from(instant.as_millis()).saturating_mul(NANOS_PER_MS);
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(PrimitiveDateTime::MAX.assume_utc())
}

/// Nothing of any session.
impl fmt::Debug for CountersignStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountersignStore")
            .field("late", &self.late())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_instants_are_one_another_within_their_ranges() {
        for (ms, nanos) in [
            (0, 0),
            (1, 1_999_999),
            (1_795_341_296_789, 1_795_341_296_789_000_000),
        ] {
            let expiry = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
            assert_eq!(instant(expiry), Timestamp::from_millis(ms));
            let whole = date(Timestamp::from_millis(ms));
            assert_eq!(instant(whole), Timestamp::from_millis(ms));
        }
        let before = OffsetDateTime::from_unix_timestamp(-5).unwrap();
        assert_eq!(instant(before), Timestamp::ZERO);
        let last = PrimitiveDateTime::MAX.assume_utc();
        assert_eq!(date(Timestamp::from_millis(u64::MAX)), last);
        assert!(date(instant(last)) <= last);
    }
}
