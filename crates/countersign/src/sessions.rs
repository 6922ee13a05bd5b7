//! Sessions as a host uses them: the table with the engine's clock, keys, policy and epochs.
//!
//! What the table cannot know is judged here on every request: whether sessions are switched on,
//! whether the principal may come in, and whether an epoch has moved on since the log-in. Nothing
//! of a session is written to the store; a restart is outlived by a file of its own (`restart`).

mod bare;
mod judge;
mod kept;
mod open;
mod renewed;
mod restart;
mod snapshot_file;
mod told;

pub use bare::NewBareSession;
pub(crate) use judge::SessionUse;
pub use judge::SessionVerdict;
pub(crate) use kept::Kept;
pub use open::{NewLogIn, OpenedSession};
pub(crate) use renewed::{Renewed, is_on_its_way, may_overtake};
pub(crate) use restart::Restart;
pub use restart::{RestoreFault, RestoreReport, SnapshotStats};
pub(crate) use snapshot_file::FilePlace;
pub use snapshot_file::snapshot_beside;
pub use told::{SessionChange, SessionEvent};

use crate::error::Error;
use crate::inner::Inner;
use countersign_core::policy::Policy;
use countersign_core::{Principal, Selector};
use countersign_sessions::{
    AttributeChange, Attributes, Denied, Description, Ended, EndedBy, Live, Method, Moment,
    Privilege, Timeouts,
};
use countersign_store::error::StoreError;
use countersign_store::pending::Pending;
use countersign_store::place::SnapshotPlace;
use countersign_store::store::Health;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// Sessions. Made by [`Engine::sessions`](crate::Engine::sessions).
///
/// A call that is given a [`Live`] asks for what only a presented token yields. A session that has
/// ended stays ended: a request that is still in flight is told so and brings nothing back (E10).
#[derive(Clone, Copy, Debug)]
pub struct Sessions<'a>(pub(crate) &'a Arc<Inner>);

/// A session that was logged out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// The remembered device that it was linked to. It is not forgotten by this.
    pub series: Option<Selector>,
    /// Whether the session had ended before.
    pub already: bool,
}

/// Some sessions of all there are.
#[derive(Clone, Debug, Default)]
pub struct SessionPage {
    /// The sessions, oldest first within the page.
    pub sessions: Vec<Description>,
    /// How many pages there are; pages may be empty.
    pub pages: usize,
}

/// How many sessions there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionCounts {
    /// All of them, those included whose time is over and that nobody has come across.
    pub all: u64,
    /// Those of nobody.
    pub anonymous: u64,
    /// Ended ones that are remembered.
    pub remembered: usize,
}

impl Sessions<'_> {
    /// Opens an anonymous session.
    ///
    /// # Errors
    /// When sessions are switched off, or there are as many as there may be.
    pub fn start(&self, timeouts: Timeouts) -> Pending<Result<OpenedSession, Error>> {
        self.0.start_session(timeouts)
    }

    /// Opens a session of a principal whom the host has authenticated, and ends the one that it
    /// came from.
    ///
    /// A principal without a record gets one. Resolves once that is durable; for one who has a
    /// record nothing is written.
    ///
    /// # Errors
    /// When sessions are switched off, the principal is disabled or has as many as one may have.
    pub fn log_in(
        &self,
        from: Option<Live>,
        login: NewLogIn,
    ) -> Pending<Result<OpenedSession, Error>> {
        self.0
            .run(|inner| async move { inner.log_in(from.as_ref(), &login).await })
    }

    /// Takes in the sessions whose snapshot lies in `place`: those of a node that is gone, or that
    /// has no sessions any more from now on. Those that stand are this node's, and in that place no
    /// longer; those for which there is no room here are over.
    ///
    /// A remembered device signs in on any node meanwhile; this is for the sessions as they were.
    /// What ended after that snapshot was written stands again, as after a kill, unless an epoch
    /// has moved on or its device was revoked. Done on a thread of its own, for the place may be
    /// slow.
    ///
    /// # Errors
    /// When the place cannot be had, read, or emptied, or is this engine's own. Nothing was taken
    /// in then, and it may be tried again.
    pub fn take_over(
        &self,
        place: Arc<dyn SnapshotPlace>,
    ) -> Pending<Result<RestoreReport, Error>> {
        let (answer, pending) = Pending::waiting(|| Err(Error::Closed));
        let inner = Arc::clone(self.0);
        let thread = thread::Builder::new().name("countersign-take-over".to_owned());
        let work = move || answer.send(futures_executor::block_on(inner.take_over(place)));
        match thread.spawn(work) {
            Ok(_) => pending,
            Err(error) => Pending::ready(Err(Error::Io(error.to_string()))),
        }
    }

    /// Checks a presented session token, as a use of the session: its idle time begins anew.
    ///
    /// A request that is refused, for whatever reason, is no use.
    pub fn touch(
        &self,
        presented: impl AsRef<[u8]>,
        address: Option<IpAddr>,
    ) -> Pending<Result<SessionVerdict, Error>> {
        let presented = presented.as_ref();
        self.0.session(presented, SessionUse::Active, address)
    }

    /// The same, but not as a use: a page that asks by itself need not keep a session alive (E12).
    pub fn peek(
        &self,
        presented: impl AsRef<[u8]>,
        address: Option<IpAddr>,
    ) -> Pending<Result<SessionVerdict, Error>> {
        let presented = presented.as_ref();
        self.0.session(presented, SessionUse::Passive, address)
    }

    /// Makes all of `changes` to the session's attributes, or none; answers what they are then.
    ///
    /// # Errors
    /// When the session has ended, or the attributes would be over the policy's bounds.
    pub fn update(
        &self,
        session: &Live,
        changes: Vec<AttributeChange>,
    ) -> Pending<Result<Attributes, Error>> {
        let selector = session.selector();
        self.0.on_table(move |inner, moment| {
            let done = inner.sessions.update(moment, selector, &changes);
            inner.settled(done)
        })
    }

    /// Gives the session a new token; the one before is worth nothing any more.
    ///
    /// # Errors
    /// When the session has ended, or another request has renewed it.
    pub fn renew(&self, session: &Live) -> Pending<Result<OpenedSession, Error>> {
        let live = session.clone();
        self.0.on_table(move |inner, moment| {
            let mut fresh = inner.fresh()?;
            let privilege = Privilege::Same;
            let done = inner.sessions.renew(moment, &mut fresh, &live, privilege);
            inner.reopened(done, SessionChange::Renewed)
        })
    }

    /// Notes that the session's principal has been authenticated again, fresh for `fresh_for`,
    /// and gives the session a new token and a new csrf secret (invariant I10).
    ///
    /// # Errors
    /// When the session is anonymous or has ended, or `method` is no presence.
    pub fn elevate(
        &self,
        session: &Live,
        method: Method,
        fresh_for: Duration,
    ) -> Pending<Result<OpenedSession, Error>> {
        let live = session.clone();
        self.0.on_table(move |inner, moment| {
            let (mut fresh, table) = (inner.fresh()?, &inner.sessions);
            let done = table.elevate(moment, &mut fresh, &live, method, fresh_for);
            inner.reopened(done, SessionChange::Elevated(method))
        })
    }

    /// Gives the session timeouts of its own, or those of the policy again.
    ///
    /// One that a remembered device opened may end sooner by them, and not later: the device was
    /// promised to be forgotten at a time, and what it opened goes with it.
    ///
    /// # Errors
    /// When the session has ended.
    pub fn set_timeouts(&self, session: &Live, timeouts: Timeouts) -> Pending<Result<(), Error>> {
        let selector = session.selector();
        self.0.on_table(move |inner, moment| {
            let done = inner.sessions.set_timeouts(moment, selector, timeouts);
            inner.settled(done)
        })
    }

    /// Ends the session because its principal signed out. Whatever the store does, it is over when
    /// this returns.
    ///
    /// # Errors
    /// Where another node has taken over this one's sessions.
    pub fn log_out(&self, session: &Live) -> Pending<Result<LoggedOut, Error>> {
        let (selector, series) = (session.selector(), session.series());
        Pending::ready(self.0.has_sessions().and_then(|()| {
            match self.0.end_session(selector, EndedBy::Principal) {
                Ok(()) => Ok(false),
                Err(Denied::Gone(_) | Denied::Unknown) => Ok(true),
                Err(denied) => Err(denied.into()),
            }
            .map(|already| LoggedOut { series, already })
        }))
    }

    /// The sessions of a principal, oldest first.
    pub fn list(&self, principal: Principal) -> Pending<Result<Vec<Description>, Error>> {
        self.0.on_table(move |inner, moment| {
            let done = inner.sessions.list(moment, &principal);
            inner.tell_ended(done.ended);
            Ok(done.outcome)
        })
    }

    /// One session.
    ///
    /// # Errors
    /// When there is none of this selector, or it has ended.
    pub fn describe(&self, selector: Selector) -> Pending<Result<Description, Error>> {
        self.0.on_table(move |inner, moment| {
            let done = inner.sessions.describe(moment, selector);
            inner.settled(done)
        })
    }

    /// One page of all sessions, counted from zero, and how many pages there are. A session that
    /// is there all along is on one page all along.
    pub fn page(&self, page: usize) -> Pending<Result<SessionPage, Error>> {
        self.0.on_table(move |inner, moment| {
            let done = inner.sessions.page(moment, page);
            inner.tell_ended(done.ended);
            Ok(SessionPage {
                sessions: done.outcome,
                pages: inner.sessions.pages(),
            })
        })
    }

    /// Ends one session. Whatever the store does, it is over when this returns.
    ///
    /// Its device, if it is remembered, opens another one with its next request: to keep a browser
    /// out, revoke [`Description::series`] as well ([`Remember::revoke`](crate::Remember::revoke)).
    ///
    /// # Errors
    /// When there is none of this selector, or it had ended before.
    pub fn end(&self, selector: Selector, by: EndedBy) -> Pending<Result<(), Error>> {
        Pending::ready(self.0.has_sessions().and_then(|()| {
            let ended = self.0.end_session(selector, by);
            ended.map_err(Error::from)
        }))
    }

    /// Ends a principal's sessions but one; answers how many they were.
    pub fn end_others(
        &self,
        principal: &Principal,
        keep: Selector,
        by: EndedBy,
    ) -> Pending<Result<u64, Error>> {
        let ended = || self.0.end_sessions_of(principal, Some(keep), by);
        Pending::ready(self.0.has_sessions().map(|()| ended()))
    }

    /// Ends all of a principal's sessions; answers how many they were.
    pub fn end_all(&self, principal: &Principal, by: EndedBy) -> Pending<Result<u64, Error>> {
        let ended = || self.0.end_sessions_of(principal, None, by);
        Pending::ready(self.0.has_sessions().map(|()| ended()))
    }

    /// Ends every session there is; answers how many they were. One that is opened meanwhile may
    /// be missed: to end all for certain, revoke the subsystem.
    pub fn end_everything(&self, by: EndedBy) -> Pending<Result<u64, Error>> {
        Pending::ready(self.0.has_sessions().map(|()| self.0.end_every_session(by)))
    }

    /// How many sessions there are.
    #[must_use]
    pub fn counts(&self) -> SessionCounts {
        self.0.session_counts()
    }
}

impl Inner {
    /// Whether sessions are this node's to end: not where another one has taken them over, which is
    /// to be told to whoever believes to have ended one.
    fn has_sessions(&self) -> Result<(), Error> {
        self.open()?;
        match self.store.health() {
            Health::Fenced => Err(Error::Store(StoreError::Unavailable(
                "the sessions of this node are another one's now: end them there".to_owned(),
            ))),
            _ => Ok(()),
        }
    }

    /// What calls on the session table are made in.
    pub(crate) fn moment<'a>(&'a self, policy: &'a Policy) -> Moment<'a> {
        Moment {
            now: self.now(),
            keyring: &self.keyring,
            policy: policy.sessions(),
        }
    }

    /// Whether the policy in memory is the one in force.
    pub(crate) fn policy_in_force(&self) -> bool {
        self.pinned.load(Ordering::Relaxed) || self.cache.policy_is_current()
    }

    /// Works on the session table under the policy in force: at once, unless it has to be read.
    fn on_table<T, W>(self: &Arc<Self>, work: W) -> Pending<Result<T, Error>>
    where
        T: Send + 'static,
        W: FnOnce(&Self, &Moment<'_>) -> Result<T, Error> + Send + 'static,
    {
        if let Err(closed) = self.open() {
            return Pending::ready(Err(closed));
        }
        if self.policy_in_force() {
            let policy = self.policy.load();
            return Pending::ready(work(self, &self.moment(&policy)));
        }
        self.run(|inner| async move {
            let policy = inner.policy_now().await?;
            work(&inner, &inner.moment(&policy))
        })
    }

    /// Ends one session under the policy in memory: no store is asked.
    pub(crate) fn end_session(&self, selector: Selector, by: EndedBy) -> Result<(), Denied> {
        let policy = self.policy.load();
        let done = self.sessions.end(&self.moment(&policy), selector, by);
        self.tell_ended(done.ended);
        done.outcome
    }

    /// Ends a principal's sessions, perhaps but one. In force when it returns; no store is asked.
    pub(crate) fn end_sessions_of(
        &self,
        principal: &Principal,
        keep: Option<Selector>,
        by: EndedBy,
    ) -> u64 {
        let policy = self.policy.load();
        let (moment, table) = (self.moment(&policy), &self.sessions);
        let ended = match keep {
            Some(keep) => table.end_others(&moment, principal, keep, by),
            None => table.end_all(&moment, principal, by),
        };
        let count = u64::try_from(ended.len()).unwrap_or(u64::MAX);
        self.tell_shut_out(ended);
        count
    }

    /// Ends the sessions that a remembered device has opened, or was remembered with. In force when
    /// it returns; no store is asked.
    pub(crate) fn end_sessions_of_device(
        &self,
        principal: &Principal,
        series: Selector,
        by: EndedBy,
    ) {
        let policy = self.policy.load();
        let (moment, table) = (self.moment(&policy), &self.sessions);
        let ended = table.end_of_series(&moment, principal, series, by);
        self.tell_shut_out(ended);
    }

    /// Ends the sessions of a remembered device that is revoked, whosever it is. In force when it
    /// returns; no store is asked.
    pub(crate) fn end_sessions_of_revoked(&self, series: Selector) {
        let policy = self.policy.load();
        let (moment, table) = (self.moment(&policy), &self.sessions);
        let ended = table.end_of_device(&moment, series, EndedBy::Operator);
        self.tell_shut_out(ended);
    }

    /// Ends the sessions of a principal's remembered devices but for `kept`'s. In force when it
    /// returns; no store is asked.
    pub(crate) fn end_sessions_of_devices(&self, principal: &Principal, kept: Option<Selector>) {
        let policy = self.policy.load();
        let (moment, table) = (self.moment(&policy), &self.sessions);
        let ended = table.end_of_devices(&moment, principal, kept, EndedBy::Operator);
        self.tell_shut_out(ended);
    }

    /// Ends the sessions of every remembered device. In force when it returns; no store is asked.
    pub(crate) fn end_sessions_of_every_device(&self) {
        let policy = self.policy.load();
        let (moment, by) = (self.moment(&policy), EndedBy::Operator);
        let told = |end| self.tell_ended(vec![end]);
        if self.sessions.end_of_every_device(&moment, by, told) > 0 {
            self.restart.write_soon();
        }
    }

    /// Ends every session there is. In force when it returns; no store is asked.
    pub(crate) fn end_every_session(&self, by: EndedBy) -> u64 {
        let policy = self.policy.load();
        let moment = self.moment(&policy);
        let count = self
            .sessions
            .end_everything(&moment, by, |end| self.tell_ended(vec![end]));
        if count > 0 {
            self.restart.write_soon();
        }
        count
    }

    /// Tells of sessions that were ended to shut somebody out.
    fn tell_shut_out(&self, ended: Vec<Ended>) {
        if !ended.is_empty() {
            // What a kill would bring back is to be as little as can be.
            self.restart.write_soon();
            self.tell_ended(ended);
        }
    }

    /// Ends sessions whose time is over, with a bounded piece of work; answers how many they were.
    pub(crate) fn sweep_sessions(&self, policy: &Policy, budget: usize) -> usize {
        let swept = self.sessions.sweep(&self.moment(policy), budget);
        let count = swept.ended.len();
        self.tell_ended(swept.ended);
        count
    }

    pub(crate) fn session_counts(&self) -> SessionCounts {
        let (all, anonymous) = self.sessions.len();
        SessionCounts {
            all,
            anonymous,
            remembered: self.sessions.remembered(),
        }
    }
}
