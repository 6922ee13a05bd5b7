//! Presenting a session token: the path that every request takes.
//!
//! With the records in memory it is answered at once. The table proves the token first; then what
//! was noted of the records, or they themselves, judge whether the session stands; only then is
//! the use counted, so that a request that is refused keeps nothing alive. Who does not know a
//! session's secret is refused by the table, with the same work whether or not there is such a
//! session (E4); the records are looked at only for who has proven it.

use crate::denials::Asked;
use crate::error::Error;
use crate::inner::Inner;
use crate::observer::Refused as Refusal;
use crate::trust::{ROUNDS, lapsed};
use countersign_core::logins::{Holder, stands};
use countersign_core::policy::Policy;
use countersign_core::{
    CredentialKind, PrincipalKey, PrincipalRecord, PrincipalState, Rejection, Selector, SplitToken,
    Subsystem, SystemRecord,
};
use countersign_sessions::{
    Candidate, Denied, Done, EndWord, EndedBy, Live, Moment, Proven, Refused,
};
use countersign_store::pending::Pending;
use std::net::IpAddr;
use std::sync::Arc;

/// The outcome of checking a session token.
#[derive(Clone, Debug)]
pub enum SessionVerdict {
    /// It lets its bearer in.
    In(Live),
    /// It does not. The reason is for logs; a stranger is told only that it was refused.
    Refused(Refused),
}

impl SessionVerdict {
    /// The session, if its token lets its bearer in.
    #[must_use]
    pub fn live(self) -> Option<Live> {
        match self {
            Self::In(live) => Some(live),
            Self::Refused(_) => None,
        }
    }

    /// Why it was refused, if it was.
    #[must_use]
    pub fn rejection(&self) -> Option<Rejection> {
        match self {
            Self::In(_) => None,
            Self::Refused(refused) => Some(rejection_of(refused)),
        }
    }

    /// Whether it lets its bearer in.
    #[must_use]
    pub const fn is_in(&self) -> bool {
        matches!(self, Self::In(_))
    }
}

/// Whether presenting a token counts as use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionUse {
    Active,
    Passive,
    /// It was presented before, by the request that is still under way: its verdict was counted.
    Again,
}

/// What the records say of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Stands,
    /// The records refuse it.
    Fallen(Rejection),
    /// A denial that waits for the disk does.
    Denied(Rejection),
}

/// The reason of a session's refusal among those that all kinds share.
const fn rejection_of(refused: &Refused) -> Rejection {
    match refused {
        Refused::Rejected(rejection) => *rejection,
        Refused::Gone(gone) => match gone.by.word() {
            EndWord::Expire => Rejection::Expired,
            EndWord::End | EndWord::Revoke | EndWord::Evict => Rejection::Revoked,
        },
        _ => Rejection::Unknown,
    }
}

impl Inner {
    /// Checks a presented session token.
    pub(crate) fn session(
        self: &Arc<Self>,
        presented: &[u8],
        usage: SessionUse,
        address: Option<IpAddr>,
    ) -> Pending<Result<SessionVerdict, Error>> {
        if let Err(closed) = self.open() {
            return Pending::ready(Err(closed));
        }
        // Before the policy is loaded: one that is read anew says so last.
        let trusted = self.trust.term();
        let in_force = self.policy_in_force();
        let policy = self.policy.load();
        let token = match self.parse_session(&policy, presented) {
            Ok(token) => token,
            Err(rejection) => {
                let refused = Refused::Rejected(rejection);
                return Pending::ready(Ok(self.refuse_session(&policy, None, refused, address)));
            }
        };
        // Out of the lease it is judged once more: a use that is counted twice does no harm.
        if in_force
            && let Some(verdict) = self.session_from_memory(&policy, &token, usage, address)
            && trusted.holds()
        {
            return Pending::ready(Ok(verdict));
        }
        drop(policy);
        self.session_slowly(token, usage, address)
    }

    fn parse_session(&self, policy: &Policy, presented: &[u8]) -> Result<SplitToken, Rejection> {
        // Before anything is decoded, whatever its length.
        if presented.len() > policy.input().max_credential_bytes as usize {
            return Err(Rejection::TooLong);
        }
        Ok(self.format.parse(CredentialKind::Session, presented)?)
    }

    /// The verdict, unless a record has to be read for it.
    pub(super) fn session_from_memory(
        &self,
        policy: &Policy,
        token: &SplitToken,
        usage: SessionUse,
        address: Option<IpAddr>,
    ) -> Option<SessionVerdict> {
        let moment = self.moment(policy);
        // A use is counted under the table's lock, if the session stands as it was noted.
        let is_use = usage == SessionUse::Active;
        let proven = self.prove_session(&moment, token, |candidate| {
            is_use && self.stands_as_noted(candidate)
        });
        let Proven {
            live,
            note,
            is_used,
        } = match proven {
            Ok(proven) => proven,
            Err(refused) => {
                let refused = match refused {
                    Refused::Gone(_) => {
                        let system = self.cache.system_guard();
                        self.widest(&system.as_ref()?.record, refused)
                    }
                    refused => refused,
                };
                let selector = Some(token.selector());
                return Some(self.refuse_session(policy, selector, refused, address));
            }
        };
        if is_used {
            self.counters.count(None);
            return Some(SessionVerdict::In(live));
        }
        let candidate = Candidate {
            stamp: live.stamp(),
            is_owned: live.owner().is_some(),
            note,
        };
        let standing = match self.stands_as_noted(candidate) {
            true => Standing::Stands,
            false => {
                let key = live.owner().map(|owner| owner.key(&self.keyring));
                let denied = self.session_denied(key);
                let changes = self.cache.principal_changes(note.bucket);
                let system = self.cache.system_guard();
                let system = &system.as_ref()?.record;
                let entry = match key {
                    None => None,
                    Some(key) => Some(self.cache.principal(key)?),
                };
                let record = entry.as_ref().map(|entry| &entry.record);
                self.note_record(&live, changes, record);
                self.standing(system, record, &live, denied)
            }
        };
        Some(self.admit_session(policy, &moment, live, standing, usage, address))
    }

    /// With something to be read first. The embedded store reads at once; another may take time.
    #[cold]
    pub(super) fn session_slowly(
        self: &Arc<Self>,
        token: SplitToken,
        usage: SessionUse,
        address: Option<IpAddr>,
    ) -> Pending<Result<SessionVerdict, Error>> {
        // What waits is moved about, and would leave copies of a secret that lay in it.
        let (selector, token) = (token.selector(), Box::new(token));
        self.session_by_records(selector, usage, address, move |inner, moment| {
            let proven = inner.prove_session(moment, &token, |_| false);
            proven.map(|proven| proven.live)
        })
    }

    /// Judges once more a session that was let in before, by the request that is still under way:
    /// why it stands no more, if that is so. It is no use of it.
    pub(crate) fn session_again(
        self: &Arc<Self>,
        live: &Live,
        address: Option<IpAddr>,
    ) -> Pending<Result<Option<Refused>, Error>> {
        if let Err(closed) = self.open() {
            return Pending::ready(Err(closed));
        }
        let trusted = self.trust.term();
        let in_force = self.policy_in_force();
        let policy = self.policy.load();
        let as_noted = |candidate| self.stands_as_noted(candidate);
        if in_force
            && self.sessions.stands(&self.moment(&policy), live, as_noted)
            && trusted.holds()
        {
            return Pending::ready(Ok(None));
        }
        let (selector, live) = (live.selector(), live.clone());
        let look = move |inner: &Self, moment: &Moment<'_>| {
            let Done { outcome, ended } = inner.sessions.look_again(moment, &live);
            inner.tell_ended(ended);
            outcome
        };
        let judged = self.session_by_records(selector, SessionUse::Again, address, look);
        self.run(|_| async move {
            Ok(match judged.await? {
                SessionVerdict::In(_) => None,
                SessionVerdict::Refused(refused) => Some(refused),
            })
        })
    }

    /// The verdict on the session that `prove` finds, with its records read.
    fn session_by_records(
        self: &Arc<Self>,
        selector: Selector,
        usage: SessionUse,
        address: Option<IpAddr>,
        prove: impl Fn(&Self, &Moment<'_>) -> Result<Live, Refused> + Send + Sync + 'static,
    ) -> Pending<Result<SessionVerdict, Error>> {
        self.run(move |inner| async move {
            for _ in 0..ROUNDS {
                let trusted = inner.renewed().await?;
                let policy = inner.policy_now().await?;
                let live = match prove(&inner, &inner.moment(&policy)) {
                    Ok(live) => live,
                    Err(refused) => {
                        return Ok(inner
                            .refuse_widely(&policy, selector, refused, address)
                            .await);
                    }
                };
                let standing = inner.standing_as_read(&live).await?;
                if !inner.proven(trusted).await? {
                    continue;
                }
                inner.open()?;
                // All that may have taken time: it may have ended, or is another one's by now.
                let moment = inner.moment(&policy);
                let again = match prove(&inner, &moment) {
                    Ok(live) => live,
                    Err(refused) => {
                        return Ok(inner
                            .refuse_widely(&policy, selector, refused, address)
                            .await);
                    }
                };
                if again.stamp() == live.stamp() {
                    return Ok(
                        inner.admit_session(&policy, &moment, again, standing, usage, address)
                    );
                }
            }
            Err(lapsed())
        })
    }

    /// Refuses what the table refused, by what says most of it.
    async fn refuse_widely(
        &self,
        policy: &Policy,
        selector: Selector,
        refused: Refused,
        address: Option<IpAddr>,
    ) -> SessionVerdict {
        let refused = match self.system().await {
            Ok(system) => self.widest(&system.record, refused),
            Err(_) => refused,
        };
        self.refuse_session(policy, Some(selector), refused, address)
    }

    /// Whose token it is, counting that as a use only where `counts` says so.
    #[inline]
    pub(super) fn prove_session(
        &self,
        moment: &Moment<'_>,
        token: &SplitToken,
        counts: impl Fn(Candidate) -> bool,
    ) -> Result<Proven, Refused> {
        let Done { outcome, ended } = self.sessions.prove(moment, token, counts);
        self.tell_ended(ended);
        outcome
    }

    /// Whether a session stands by what was copied of its owner's record, which lies with the
    /// session and spares the way to the record. Where it does not, the record itself is asked.
    ///
    /// It is a copy and no verdict (invariant I11): it is judged on every request, and good only
    /// as long as no record of its bucket has changed since before it was read.
    ///
    /// It waits for nothing: it is asked under a lock of the table's.
    fn stands_as_noted(&self, candidate: Candidate) -> bool {
        let Candidate {
            stamp,
            is_owned,
            note,
        } = candidate;
        // Denials before records, as in `session_denied`.
        if self.cache.denials.count() > 0 {
            return false;
        }
        if !is_owned {
            let system = self.cache.system_guard();
            let judged = |system| stands(stamp, system, Holder::Nobody).is_ok();
            return system.as_ref().is_some_and(|found| judged(&found.record));
        }
        if note.value == 0 {
            return false;
        }
        let [a, b, c, d, logins @ ..] = note.value.to_be_bytes();
        let changes = u32::from_be_bytes([a, b, c, d]);
        let holder = Holder::Enabled(u32::from_be_bytes(logins));
        let system = self.cache.system_guard();
        self.cache.principal_changes(note.bucket) == Some(changes)
            && system.as_ref().is_some_and(|found| {
                let judged = stands(stamp, &found.record, holder);
                judged.is_ok()
            })
    }

    /// Copies what `stands_as_noted` wants of a record that was read after `changes` was.
    fn note_record(&self, live: &Live, changes: Option<u32>, record: Option<&PrincipalRecord>) {
        let own = record.filter(|record| live.owner().is_some_and(|own| *own == record.principal));
        let enabled = own.filter(|record| record.state == PrincipalState::Enabled);
        if let (Some(changes), Some(record)) = (changes, enabled) {
            let [a, b, c, d] = changes.to_be_bytes();
            let [e, f, g, h] = record.logins.number().to_be_bytes();
            let value = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            self.sessions.note(live.selector(), value);
        }
    }

    /// Why the table refused a token, or that there are no sessions at all: what ended one says
    /// less.
    fn widest(&self, system: &SystemRecord, refused: Refused) -> Refused {
        let off = !system.is_on(Subsystem::Sessions)
            || self.session_denied(None) == Some(Rejection::SwitchedOff);
        match refused {
            Refused::Gone(_) if off => Refused::Rejected(Rejection::SwitchedOff),
            refused => refused,
        }
    }

    /// What the records that are in force now say of a session.
    pub(super) async fn standing_now(&self, live: &Live) -> Result<Standing, Error> {
        for _ in 0..ROUNDS {
            let trusted = self.renewed().await?;
            let standing = self.standing_as_read(live).await?;
            if self.proven(trusted).await? {
                return Ok(standing);
            }
        }
        Err(lapsed())
    }

    /// The same, whatever may have been revoked by another node meanwhile.
    async fn standing_as_read(&self, live: &Live) -> Result<Standing, Error> {
        let key = live.owner().map(|owner| owner.key(&self.keyring));
        let denied = self.session_denied(key);
        let system = match self.system().await {
            Ok(system) => system,
            Err(Error::NoSystemRecord) => return Ok(Standing::Fallen(Rejection::Unknown)),
            Err(error) => return Err(error),
        };
        let entry = match key {
            None => None,
            Some(key) => self.principal_entry_of(key).await?,
        };
        let record = entry.as_ref().map(|entry| &entry.record);
        Ok(self.standing(&system.record, record, live, denied))
    }

    /// The denial that waits for the disk and concerns the sessions of a principal, or all.
    ///
    /// To be asked for before the records are: one that is settled in between is in them.
    pub(super) fn session_denied(&self, principal: Option<PrincipalKey>) -> Option<Rejection> {
        self.cache.denials.deny(Asked {
            kind: CredentialKind::Session,
            own: None,
            principal,
            logs_in: false,
        })
    }

    /// What the records, of which the principal's is that of the session's owner, and a waiting
    /// denial say of a session.
    fn standing(
        &self,
        system: &SystemRecord,
        principal: Option<&PrincipalRecord>,
        live: &Live,
        denied: Option<Rejection>,
    ) -> Standing {
        let judge = |holder: Holder<'_>| stands(live.stamp(), system, holder);
        let judged = match live.owner() {
            None => judge(Holder::Nobody),
            Some(owner) => {
                // Keys are hashes of names: a record of another name would be a collision.
                let own = principal.filter(|record| *owner == record.principal);
                match judge(Holder::Principal(own)) {
                    Err(Rejection::Revoked) if self.kept.holds(live.selector()) => {
                        judge(Holder::Kept(own))
                    }
                    judged => judged,
                }
            }
        };
        match (judged, denied) {
            (Err(rejection), _) => Standing::Fallen(rejection),
            (Ok(()), Some(rejection)) => Standing::Denied(rejection),
            (Ok(()), None) => Standing::Stands,
        }
    }

    fn end_fallen(&self, moment: &Moment<'_>, live: &Live) -> Result<(), Denied> {
        let done = self.sessions.end_under(moment, live, EndedBy::Operator);
        self.tell_ended(done.ended);
        done.outcome
    }

    fn admit_session(
        &self,
        policy: &Policy,
        moment: &Moment<'_>,
        live: Live,
        standing: Standing,
        usage: SessionUse,
        address: Option<IpAddr>,
    ) -> SessionVerdict {
        let selector = live.selector();
        let refused = match standing {
            Standing::Stands => {
                let seen = match usage {
                    SessionUse::Passive | SessionUse::Again => Ok(live),
                    SessionUse::Active => {
                        let Done { outcome, ended } = self.sessions.seen(moment, &live);
                        self.tell_ended(ended);
                        outcome
                    }
                };
                match seen {
                    Ok(live) => {
                        if usage != SessionUse::Again {
                            self.counters.count(None);
                        }
                        return SessionVerdict::In(live);
                    }
                    Err(refused) => refused,
                }
            }
            Standing::Fallen(rejection) => {
                // It stays so: epochs only move on. One that is over by now is over.
                let over = rejection == Rejection::Revoked;
                match over.then(|| self.end_fallen(moment, &live)) {
                    // Kept while the others were ended, under a token that this one is not.
                    Some(Err(Denied::Renewed)) => Refused::Rejected(Rejection::Mismatch),
                    _ => Refused::Rejected(rejection),
                }
            }
            Standing::Denied(rejection) => Refused::Rejected(rejection),
        };
        self.refuse_session(policy, Some(selector), refused, address)
    }

    fn refuse_session(
        &self,
        policy: &Policy,
        selector: Option<Selector>,
        refused: Refused,
        address: Option<IpAddr>,
    ) -> SessionVerdict {
        let told = Refusal {
            at: self.now(),
            kind: CredentialKind::Session,
            selector,
            rejection: rejection_of(&refused),
            address,
            suppressed: 0,
        };
        self.refuse(policy, told);
        SessionVerdict::Refused(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewLogIn;
    use crate::engine::alone::with_engine;
    use core::time::Duration;
    use countersign_core::Principal;
    use countersign_sessions::Method;
    use std::cell::Cell;

    #[test]
    fn what_is_in_memory_is_judged_by_what_was_noted_of_the_records() {
        with_engine(|engine, inner| {
            let ann = Principal::new("ann").unwrap();
            let login = NewLogIn::new(ann, Method::Password, Duration::ZERO);
            let opened = engine.sessions().log_in(None, login).wait().unwrap();
            // The first use may have to look at the records, and notes what they say.
            let presented = opened.token.expose();
            engine.sessions().touch(presented, None).wait().unwrap();
            assert!(inner.policy_in_force());
            let policy = inner.policy.load();
            let token = inner.parse_session(&policy, presented.as_bytes()).unwrap();
            let as_noted = Cell::new(false);
            let proven = inner.prove_session(&inner.moment(&policy), &token, |candidate| {
                as_noted.set(inner.stands_as_noted(candidate));
                false
            });
            assert!(proven.is_ok() && as_noted.get());
            let verdict = inner.session_from_memory(&policy, &token, SessionUse::Active, None);
            assert!(verdict.unwrap().is_in());
        });
    }
}
