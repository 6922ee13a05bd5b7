//! Presenting a session's token: what every request does.
//!
//! The lock is taken for readers, and not while hashing: first what is needed to hash and compare
//! is read, then, with the token proven, the session is read and its use noted. It may have been
//! ended or renewed between the two; the second look decides.
//!
//! A miss looks like a hit (E4, I5): an unknown selector, a wrong secret and an ended session cost
//! the same hash, the same comparison and the same two looks. A wrong secret changes nothing (E3),
//! not even when the session's time is over.

use crate::ended::{Done, Ended};
use crate::live::Live;
use crate::moment::Moment;
use crate::refusal::{Denied, Refused};
use crate::shard::{Found, Shard};
use crate::table::SessionTable;
use crate::tail::Tail;
use countersign_core::{CredentialKind, Digest, KeyId, Rejection, Selector, SplitToken};

/// Whether a call counts as use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Active,
    Passive,
}

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
            let presented = self.present(moment, token, Use::Active, ended);
            presented.map(|(live, _)| live)
        })
    }

    /// The same, but not as a use: a page that asks by itself now and then need not keep alive the
    /// session of somebody who has left (E12).
    #[inline]
    pub fn peek(&self, moment: &Moment<'_>, token: &SplitToken) -> Done<Result<Live, Refused>> {
        Done::of(|ended| {
            let presented = self.present(moment, token, Use::Passive, ended);
            presented.map(|(live, _)| live)
        })
    }

    /// As [`SessionTable::peek`], with what was noted of the session.
    #[inline]
    pub fn prove(
        &self,
        moment: &Moment<'_>,
        token: &SplitToken,
    ) -> Done<Result<(Live, Note), Refused>> {
        Done::of(|ended| self.present(moment, token, Use::Passive, ended))
    }

    /// Notes something of a session, if it is still there.
    pub fn note(&self, selector: Selector, value: u64) {
        let shard = self.shard_of(Tail::of(selector)).read();
        if let Some(Found::Living(row, _)) = shard.find(selector) {
            shard.set_note(row, value);
        }
    }

    /// Notes a use of a session that was proven by [`SessionTable::peek`] just now.
    ///
    /// For callers who judge more than the table knows before a request counts as use: one that
    /// is refused must not keep the session alive.
    #[inline]
    pub fn seen(&self, moment: &Moment<'_>, live: &Live) -> Done<Result<Live, Refused>> {
        Done::of(|ended| {
            let selector = live.selector();
            let claim = Claim {
                digest: live.digest(),
                key_id: None,
                note: Note::default(),
            };
            let shard = self.shard_of(Tail::of(selector));
            let mut unsettled = false;
            let seen = look(
                &shard.read(),
                moment,
                selector,
                claim,
                Use::Active,
                &mut unsettled,
            );
            if unsettled {
                return self.settle(moment, selector, ended);
            }
            seen
        })
    }

    #[inline]
    fn present(
        &self,
        moment: &Moment<'_>,
        token: &SplitToken,
        usage: Use,
        ended: &mut Vec<Ended>,
    ) -> Result<(Live, Note), Refused> {
        let tried = self.try_present(moment, token, usage, ended);
        tried.unwrap_or_else(|| self.present_again(moment, token, usage, ended))
    }

    /// The digest has changed between the two looks: another request has renewed the session, or
    /// presented the same token and put its digest under the current pepper. That is done once at
    /// most, so who meets a change again has been overtaken by a renewal.
    #[cold]
    fn present_again(
        &self,
        moment: &Moment<'_>,
        token: &SplitToken,
        usage: Use,
        ended: &mut Vec<Ended>,
    ) -> Result<(Live, Note), Refused> {
        let tried = self.try_present(moment, token, usage, ended);
        tried.unwrap_or(Err(Refused::Rejected(Rejection::Mismatch)))
    }

    /// Nothing where a proven token found another digest at the second look.
    #[inline]
    fn try_present(
        &self,
        moment: &Moment<'_>,
        token: &SplitToken,
        usage: Use,
        ended: &mut Vec<Ended>,
    ) -> Option<Result<(Live, Note), Refused>> {
        let selector = token.selector();
        let shard = self.shard_of(Tail::of(selector));
        let claim = claim_of(&shard.read(), selector);
        let proven = is_proven(moment, token, claim);
        // Looked at whether or not it is proven; what is not proven is no use.
        let usage = if proven { usage } else { Use::Passive };
        let mut unsettled = false;
        let seen = look(
            &shard.read(),
            moment,
            selector,
            claim,
            usage,
            &mut unsettled,
        );
        let Some(key_id) = claim.key_id else {
            return Some(Err(Refused::Rejected(Rejection::Unknown)));
        };
        if !proven {
            return Some(Err(Refused::Rejected(Rejection::Mismatch)));
        }
        let seen = match seen {
            Err(Refused::Rejected(Rejection::Mismatch)) => return None,
            _ if unsettled => self.settle(moment, selector, ended),
            seen => seen,
        };
        Some(seen.map(|live| match key_id == moment.keyring.current() {
            true => (live, claim.note),
            false => (
                self.digest_anew(moment, token, claim, live, ended),
                claim.note,
            ),
        }))
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

/// What has to be proven.
#[inline]
fn claim_of(shard: &Shard, selector: Selector) -> Claim {
    match shard.find(selector) {
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

/// Hashes what was presented and compares.
#[inline]
fn is_proven(moment: &Moment<'_>, token: &SplitToken, claim: Claim) -> bool {
    let (keyring, kind) = (moment.keyring, CredentialKind::Session);
    let presented = keyring.digest(claim.key_id, kind, token.selector(), token.verifier());
    // Where the pepper is gone, the current one stood in for it, and must not match.
    (presented == claim.digest)
        & claim.key_id.is_some_and(|id| keyring.holds(id))
        & (token.kind() == kind)
}

/// The second look. What takes the lock for writers, because the session's time is over or the
/// clock has stepped back, is noted in `unsettled`.
#[inline]
fn look(
    shard: &Shard,
    moment: &Moment<'_>,
    selector: Selector,
    claim: Claim,
    usage: Use,
    unsettled: &mut bool,
) -> Result<Live, Refused> {
    let slot = match shard.find(selector) {
        None => return Err(Refused::Rejected(Rejection::Unknown)),
        Some(Found::Dead(grave)) => return Err(Refused::Gone(grave.gone())),
        Some(Found::Living(_, slot)) => slot,
    };
    if slot.digest != claim.digest {
        // It has got a new token since the first look.
        return Err(Refused::Rejected(Rejection::Mismatch));
    }
    // A use counts only while its time is not over.
    let due = slot.due(moment).is_some();
    let stepped_back = !due && usage == Use::Active && slot.see(moment.now);
    *unsettled = due | stepped_back;
    Ok(Live::of(slot, moment))
}
