//! Presenting a session's token: what every request does.
//!
//! The lock is taken for readers, and not while hashing. With one pepper the token is hashed while
//! the session is on its way from memory, and a single look compares, reads and notes the use. With
//! several the session has to tell which it is under: a first look asks that, and a second, with
//! the token hashed, does the rest; the session may have been ended or renewed between them, and
//! the second decides.
//!
//! A miss looks like a hit (E4, I5): an unknown selector, a wrong secret and an ended session cost
//! the same hash, the same comparison and the same looks. A wrong secret changes nothing (E3), not
//! even when the session's time is over.

use crate::ended::{Done, Ended};
use crate::live::Live;
use crate::moment::Moment;
use crate::refusal::{Denied, Refused};
use crate::shard::{Found, Shard};
use crate::slot::Slot;
use crate::table::SessionTable;
use crate::tail::Tail;
use countersign_core::{
    CredentialKind, Digest, EpochStamp, KeyId, Rejection, Selector, SplitToken,
};

/// What a token is proven against.
#[derive(Clone, Copy)]
struct Claim {
    digest: Digest,
    key_id: Option<KeyId>,
    note: Note,
}

/// What a caller has noted with a session of its owner's record, so that it need not look for the
/// record on every request.
///
/// The table does not know what it means; it forgets it with the session. It is a copy of a part
/// of a record, and it is the caller's to know whether the record has changed since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// What was noted; zero for nothing.
    pub value: u64,
    /// The first two bytes of the key of the owner's record; zero for an anonymous session.
    pub bucket: u16,
}

/// What a caller who judges more than the table knows gets to see of a session, once its token is
/// proven and before that counts as a use.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The epochs that it was opened under.
    pub stamp: EpochStamp,
    /// Whether it is somebody's, and not anonymous.
    pub is_owned: bool,
    /// What was noted of its owner's record.
    pub note: Note,
}

/// A session whose token has been proven.
#[derive(Debug)]
pub struct Proven {
    /// The session.
    pub live: Live,
    /// What was noted of its owner's record.
    pub note: Note,
    /// Whether this counted as a use.
    pub is_used: bool,
}

/// Stands in where there is no session: nothing hashes to it.
const NO_CLAIM: Claim = Claim {
    digest: Digest::from_bytes([0; 32]),
    key_id: None,
    note: Note {
        value: 0,
        bucket: 0,
    },
};

impl SessionTable {
    /// Whether the token lets its bearer in, as a use of the session: its idle time begins anew.
    #[inline]
    pub fn touch(&self, moment: &Moment<'_>, token: &SplitToken) -> Done<Result<Live, Refused>> {
        Done::of(|ended| {
            let presented = self.present(moment, token, &|_| true, ended);
            presented.map(|proven| proven.live)
        })
    }

    /// The same, but not as a use: a page that asks by itself now and then need not keep alive the
    /// session of somebody who has left (E12).
    #[inline]
    pub fn peek(&self, moment: &Moment<'_>, token: &SplitToken) -> Done<Result<Live, Refused>> {
        self.prove(moment, token, |_| false)
            .map(|proven| proven.live)
    }

    /// Proves a token, and counts that as a use where `counts` says so: for callers who judge more
    /// than the table knows, since a request that is refused must not keep the session alive.
    ///
    /// `counts` is asked once at most, of a session whose token is proven and whose time is not
    /// over. It is called under the lock of the session's shard for readers, so it must not wait
    /// for anything, nor call into this table.
    #[inline]
    pub fn prove(
        &self,
        moment: &Moment<'_>,
        token: &SplitToken,
        counts: impl Fn(Candidate) -> bool,
    ) -> Done<Result<Proven, Refused>> {
        Done::of(|ended| self.present(moment, token, &counts, ended))
    }

    /// Notes something of a session, if it is still there.
    pub fn note(&self, selector: Selector, value: u64) {
        let shard = self.shard_of(Tail::of(selector)).read();
        if let Some(Found::Living(row, _)) = shard.find(selector) {
            shard.set_note(row, value);
        }
    }

    /// Notes a use of a session that was proven just now, where it could not be judged under the
    /// lock.
    #[inline]
    pub fn seen(&self, moment: &Moment<'_>, live: &Live) -> Done<Result<Live, Refused>> {
        Done::of(|ended| self.again(moment, live, true, ended))
    }

    /// Whether a session whose token was proven before is still there under the same token, its
    /// time not over, and `judge` says yes of it. It is no use of it, and nothing is settled: who
    /// wants to know why not, looks again.
    ///
    /// `judge` is called as `counts` is by [`SessionTable::prove`].
    pub fn stands(
        &self,
        moment: &Moment<'_>,
        live: &Live,
        judge: impl FnOnce(Candidate) -> bool,
    ) -> bool {
        let shard = self.shard_of(Tail::of(live.selector())).read();
        let found = shard.find(live.selector());
        let judged = |row, slot: &Slot| {
            slot.digest == live.digest()
                && slot.due(moment).is_none()
                && judge(candidate(&shard, row, slot))
        };
        matches!(found, Some(Found::Living(row, slot)) if judged(row, slot))
    }

    /// Looks again at a session whose token was proven before, such as when the request that
    /// brought it began: whether it is still there under the same token. It is no use of it.
    pub fn look_again(&self, moment: &Moment<'_>, live: &Live) -> Done<Result<Live, Refused>> {
        Done::of(|ended| self.again(moment, live, false, ended))
    }

    #[inline]
    fn again(
        &self,
        moment: &Moment<'_>,
        live: &Live,
        is_use: bool,
        ended: &mut Vec<Ended>,
    ) -> Result<Live, Refused> {
        let (selector, digest) = (live.selector(), live.digest());
        let looked = {
            let shard = self.shard_of(Tail::of(selector)).read();
            self.look(&shard, shard.find(selector), moment, digest, |_| is_use)
        };
        match looked {
            Looked::Unsettled => self.settle(moment, selector, ended),
            Looked::Seen(outcome) => outcome.map(|(live, _)| live),
        }
    }

    #[inline]
    fn present(
        &self,
        moment: &Moment<'_>,
        token: &SplitToken,
        counts: &impl Fn(Candidate) -> bool,
        ended: &mut Vec<Ended>,
    ) -> Result<Proven, Refused> {
        let tried = match moment.keyring.only() {
            Some(_) => self.present_hashed(moment, token, counts, ended),
            None => self.present_under(moment, token, counts, ended),
        };
        tried.unwrap_or_else(|| {
            // The digest has changed between two looks: another request has renewed the session,
            // or presented the same token and put its digest under the current pepper. That is
            // done once at most, so who meets a change again has been overtaken by a renewal.
            let again = self.present_under(moment, token, counts, ended);
            again.unwrap_or(Err(Refused::Rejected(Rejection::Mismatch)))
        })
    }

    /// With one pepper: nothing of the session is needed to hash the token.
    #[inline]
    fn present_hashed(
        &self,
        moment: &Moment<'_>,
        token: &SplitToken,
        counts: &impl Fn(Candidate) -> bool,
        ended: &mut Vec<Ended>,
    ) -> Option<Result<Proven, Refused>> {
        let selector = token.selector();
        let shard = self.shard_of(Tail::of(selector));
        shard.read().start_loading(selector);
        let digest = digest_of(moment, token, None);
        let (claim, is_proven, looked) = {
            let shard = shard.read();
            let found = shard.find(selector);
            let claim = claim_of(&shard, found);
            let is_proven = is_proven(moment, token, claim, digest);
            let counts = |standing| is_proven && counts(standing);
            let looked = self.look(&shard, found, moment, claim.digest, counts);
            (claim, is_proven, looked)
        };
        self.conclude(moment, token, claim, is_proven, looked, ended)
    }

    /// With several peppers; nothing where a proven token found another digest at the second look.
    #[cold]
    fn present_under(
        &self,
        moment: &Moment<'_>,
        token: &SplitToken,
        counts: &impl Fn(Candidate) -> bool,
        ended: &mut Vec<Ended>,
    ) -> Option<Result<Proven, Refused>> {
        let selector = token.selector();
        let shard = self.shard_of(Tail::of(selector));
        let claim = {
            let shard = shard.read();
            claim_of(&shard, shard.find(selector))
        };
        let digest = digest_of(moment, token, claim.key_id);
        // Looked at whether or not it is proven; what is not proven is no use.
        let is_proven = is_proven(moment, token, claim, digest);
        let counts = |standing| is_proven && counts(standing);
        let looked = {
            let shard = shard.read();
            self.look(&shard, shard.find(selector), moment, claim.digest, counts)
        };
        self.conclude(moment, token, claim, is_proven, looked, ended)
    }

    /// What comes of both, in the order in which reasons take precedence.
    #[inline]
    fn conclude(
        &self,
        moment: &Moment<'_>,
        token: &SplitToken,
        claim: Claim,
        is_proven: bool,
        looked: Looked,
        ended: &mut Vec<Ended>,
    ) -> Option<Result<Proven, Refused>> {
        let Some(key_id) = claim.key_id else {
            return Some(Err(Refused::Rejected(Rejection::Unknown)));
        };
        if !is_proven {
            return Some(Err(Refused::Rejected(Rejection::Mismatch)));
        }
        let seen = match looked {
            Looked::Seen(Err(Refused::Rejected(Rejection::Mismatch))) => return None,
            Looked::Seen(seen) => seen,
            // It is left to the caller to count it: what it was asked of has changed.
            Looked::Unsettled => self
                .settle(moment, token.selector(), ended)
                .map(|live| (live, false)),
        };
        Some(seen.map(|(live, is_used)| {
            let live = match key_id == moment.keyring.current() {
                true => live,
                false => self.digest_anew(moment, token, claim, live, ended),
            };
            let note = claim.note;
            Proven {
                live,
                note,
                is_used,
            }
        }))
    }

    /// The look that decides. It counts as a use where `counts` says so, and only while the
    /// session's time is not over.
    #[inline]
    fn look(
        &self,
        shard: &Shard,
        found: Option<Found<'_>>,
        moment: &Moment<'_>,
        digest: Digest,
        counts: impl FnOnce(Candidate) -> bool,
    ) -> Looked {
        let (is_there, row, slot) = match found {
            Some(Found::Dead(grave)) => return Looked::Seen(Err(Refused::Gone(grave.gone()))),
            Some(Found::Living(row, slot)) => (true, row, slot),
            None => (false, 0, &self.decoy),
        };
        if slot.digest != digest {
            // It has got a new token since the first look.
            let rejection = match is_there {
                true => Rejection::Mismatch,
                false => Rejection::Unknown,
            };
            return Looked::Seen(Err(Refused::Rejected(rejection)));
        }
        if slot.due(moment).is_some() {
            return Looked::Unsettled;
        }
        let is_used = counts(candidate(shard, row, slot));
        if is_used && slot.see(moment.now) {
            return Looked::Unsettled;
        }
        let live = Live::of(slot, moment);
        Looked::Seen(match is_there {
            true => Ok((live, is_used)),
            false => Err(Refused::Rejected(Rejection::Unknown)),
        })
    }

    /// Ends a session whose time is over, or pulls in the ends of one after the clock stepped back.
    #[cold]
    fn settle(
        &self,
        moment: &Moment<'_>,
        selector: Selector,
        ended: &mut Vec<Ended>,
    ) -> Result<Live, Refused> {
        let settled = self.with_living(moment, selector, ended, |shard, row, _| {
            let slot = shard.slot_mut(row).ok_or(Denied::Unknown)?;
            slot.pull_in(moment);
            let live = Live::of(slot, moment);
            shard.restate_deadline(row, moment);
            Ok(live)
        });
        settled.map_err(|denied| match denied {
            Denied::Gone(gone) => Refused::Gone(gone),
            _ => Refused::Rejected(Rejection::Unknown),
        })
    }

    /// Keeps the digest under the current pepper from now on.
    #[cold]
    fn digest_anew(
        &self,
        moment: &Moment<'_>,
        token: &SplitToken,
        claim: Claim,
        live: Live,
        ended: &mut Vec<Ended>,
    ) -> Live {
        let (kind, selector) = (CredentialKind::Session, token.selector());
        let id = moment.keyring.current();
        let digest = moment
            .keyring
            .digest(Some(id), kind, selector, token.verifier());
        let anew = self.with_living(moment, selector, ended, |shard, row, _| {
            let slot = shard.slot_mut(row).ok_or(Denied::Unknown)?;
            // Of several that present it at once the first has done it for all.
            if slot.digest != claim.digest && slot.digest != digest {
                return Err(Denied::Renewed);
            }
            (slot.digest, slot.key_id) = (digest, id);
            Ok(Live::of(slot, moment))
        });
        anew.unwrap_or(live)
    }
}

/// What is judged of a session beside its token.
#[inline]
fn candidate(shard: &Shard, row: usize, slot: &Slot) -> Candidate {
    Candidate {
        stamp: slot.stamp,
        is_owned: slot.owner.is_some(),
        note: shard.note(row),
    }
}

/// What has to be proven.
#[inline]
fn claim_of(shard: &Shard, found: Option<Found<'_>>) -> Claim {
    match found {
        Some(Found::Living(row, slot)) => Claim {
            digest: slot.digest,
            key_id: Some(slot.key_id),
            note: shard.note(row),
        },
        Some(Found::Dead(grave)) => Claim {
            digest: grave.digest,
            key_id: Some(grave.key_id),
            note: Note::default(),
        },
        None => NO_CLAIM,
    }
}

/// Hashes what was presented, under the pepper that it is claimed to be under.
#[inline]
fn digest_of(moment: &Moment<'_>, token: &SplitToken, id: Option<KeyId>) -> Digest {
    let (kind, selector) = (CredentialKind::Session, token.selector());
    moment.keyring.digest(id, kind, selector, token.verifier())
}

/// Compares what was presented with what is claimed.
#[inline]
fn is_proven(moment: &Moment<'_>, token: &SplitToken, claim: Claim, digest: Digest) -> bool {
    // Where the pepper is gone, the current one stood in for it, and must not match.
    (digest == claim.digest)
        & claim.key_id.is_some_and(|id| moment.keyring.holds(id))
        & (token.kind() == CredentialKind::Session)
}

/// What a look at a session found.
enum Looked {
    /// What is so, and whether that counted as a use.
    Seen(Result<(Live, bool), Refused>),
    /// The session's time is over or the clock has stepped back: that takes the lock for writers.
    Unsettled,
}
