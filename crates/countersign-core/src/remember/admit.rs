//! What follows from a secret that a series knows: a way in, a new secret, or the end.

use super::event;
use super::life::{Fate, apart, by_time, end_of};
use super::present::{Admitted, Handed, only};
use super::proof::{Place, Proof};
use crate::decision::{Decision, Refusal};
use crate::event::EventKind;
use crate::keys::Keyring;
use crate::kind::CredentialKind;
use crate::policy::Policy;
use crate::principal::PrincipalRecord;
use crate::principals::rewrite_list;
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::{Fresh, Verifier};
use crate::selector::Selector;
use crate::series::{OLDER_MAX, SeriesEnd, SeriesEndCause, SeriesRecord};
use crate::system::SystemRecord;
use crate::time::Timestamp;
use crate::token::SplitToken;
use crate::verdict::Rejection;

type Answer = Result<Decision<Result<Admitted, Rejection>>, Refusal>;

/// A series, one of whose secrets was presented, with everything that is decided upon.
#[derive(Clone, Copy, Debug)]
pub(super) struct Desk<'a> {
    pub(super) now: Timestamp,
    pub(super) keyring: &'a Keyring,
    pub(super) policy: &'a Policy,
    pub(super) selector: Selector,
    pub(super) series: &'a Versioned<SeriesRecord>,
    pub(super) principal: &'a Versioned<PrincipalRecord>,
    pub(super) system: &'a Versioned<SystemRecord>,
}

impl Desk<'_> {
    /// The end that this presentation brings or finds, if it has not been noted yet.
    pub(super) fn end_to_note(&self, proof: &Proof, fate: Fate) -> Option<SeriesEnd> {
        if !fate.open {
            return None;
        }
        if fate.expired {
            let at = by_time(self.policy, &self.series.record);
            let cause = SeriesEndCause::Expired;
            return Some(SeriesEnd { at, cause });
        }
        let is_reuse = match proof.place {
            Place::Current | Place::Nowhere => false,
            Place::Previous => self.is_seen() && !self.is_in_grace(),
            Place::Older => true,
        };
        is_reuse.then_some(SeriesEnd {
            at: self.now,
            cause: SeriesEndCause::Reused,
        })
    }

    /// Ends the series, and no other.
    pub(super) fn end(
        self,
        fresh: &mut Fresh,
        end: SeriesEnd,
        refused: Option<Rejection>,
    ) -> Answer {
        let (kind, reason) = match end.cause {
            SeriesEndCause::Expired => (EventKind::Expired, Rejection::Expired),
            _ => (EventKind::Reused, Rejection::Reused),
        };
        let mut batch = Batch::deny();
        rewrite_list(self.keyring, &mut batch, self.principal, |record| {
            record.note_end(self.selector, end.at);
        });
        let mut series = self.series.record.clone();
        batch.record_event(event(self.now, fresh, kind, self.selector, &series)?);
        series.end = Some(end);
        self.file(&mut batch, series);
        Ok(Decision {
            outcome: Err(refused.unwrap_or(reason)),
            batch,
        })
    }

    /// Lets the device in.
    pub(super) fn admit(self, fresh: &mut Fresh, proof: Proof, salt: [u8; 16]) -> Answer {
        match proof.place {
            Place::Current if self.is_due() => self.rotate(fresh, proof, salt),
            Place::Current => Ok(self.let_in(Handed::Nothing, self.first_sight())),
            // What a lost answer held is handed out again, or nothing is.
            Place::Previous if proof.leads_to_current => {
                let again = Handed::Again(self.token(proof.successor));
                Ok(self.let_in(again, self.handed_out_anew()))
            }
            _ => Ok(only(Rejection::Mismatch)),
        }
    }

    /// Replaces the current secret by its successor.
    fn rotate(self, fresh: &mut Fresh, proof: Proof, salt: [u8; 16]) -> Answer {
        let mut series = self.series.record.clone();
        let Some(generation) = series.generation.checked_add(1) else {
            return Ok(only(Rejection::Expired));
        };
        let told = event(self.now, fresh, EventKind::Rotated, self.selector, &series)?;
        series.older.insert(0, series.current);
        series.older.truncate(OLDER_MAX);
        (series.generation, series.salt) = (generation, salt);
        series.current = proof.digest;
        (series.rotated_at, series.successor_seen_at) = (self.now, None);

        let successor = Handed::Successor(self.token(proof.successor));
        let mut decision = self.let_in(successor, Some(series));
        decision.batch.record_event(told);
        Ok(decision)
    }

    /// Whether the current secret is to be replaced: not while the previous one is in its grace,
    /// nor while a grace could still begin because its answer is on the way.
    fn is_due(&self) -> bool {
        let series = &self.series.record;
        let policy = self.policy.remember_me();
        let age = apart(self.now, series.rotated_at);
        let late = policy.rotate_after.saturating_add(policy.grace);
        let grace_is_over = match series.successor_seen_at {
            _ if series.generation == 0 => true,
            Some(_) => !self.is_in_grace(),
            None => age >= late,
        };
        age >= policy.rotate_after && grace_is_over
    }

    const fn is_seen(&self) -> bool {
        self.series.record.successor_seen_at.is_some()
    }

    /// Whether the current secret was first seen so shortly ago that the previous one is a race.
    fn is_in_grace(&self) -> bool {
        let grace = self.policy.remember_me().grace;
        let seen_at = self.series.record.successor_seen_at;
        seen_at.is_some_and(|seen_at| apart(self.now, seen_at) < grace)
    }

    /// The first sight of a successor begins the grace of the secret that it replaced.
    fn first_sight(&self) -> Option<SeriesRecord> {
        if self.is_seen() || self.series.record.generation == 0 {
            return None;
        }
        let mut series = self.series.record.clone();
        series.successor_seen_at = Some(self.now);
        Some(series)
    }

    /// A successor that was lost long ago is young again when it is handed out again, or its
    /// first use would replace it while others still have to learn of it.
    fn handed_out_anew(&self) -> Option<SeriesRecord> {
        let age = apart(self.now, self.series.record.rotated_at);
        if self.is_seen() || age < self.policy.remember_me().rotate_after {
            return None;
        }
        let mut series = self.series.record.clone();
        series.rotated_at = self.now;
        Some(series)
    }

    /// What lets the device in, and the record that is written for it, if one is.
    fn let_in(
        &self,
        handed: Handed,
        changed: Option<SeriesRecord>,
    ) -> Decision<Result<Admitted, Rejection>> {
        let mut batch = Batch::grow();
        let admitted = Admitted {
            principal: self.series.record.principal.clone(),
            handed,
            expires_at: end_of(self.policy, &self.series.record),
        };
        if let Some(series) = changed {
            // Nobody is handed a secret when switch or principal have changed meanwhile.
            let owner = Key::principal(self.keyring.principal_key(&series.principal));
            batch.keep(Key::SYSTEM, Expect::Version(self.system.version));
            batch.keep(owner, Expect::Version(self.principal.version));
            self.file(&mut batch, series);
        }
        Decision {
            outcome: Ok(admitted),
            batch,
        }
    }

    fn file(&self, batch: &mut Batch, series: SeriesRecord) {
        let expect = Expect::Version(self.series.version);
        batch.put(Key::series(self.selector), expect, Record::Series(series));
    }

    fn token(&self, verifier: Verifier) -> Box<SplitToken> {
        let kind = CredentialKind::Remember;
        Box::new(SplitToken::new(kind, self.selector, verifier))
    }
}
