//! What comes of a presented device token.
//!
//! A refusal writes nothing but an end that it proved, and a device whose secret is current and
//! young writes nothing either (E5). Series are read from the store each time: they are presented
//! once a session, not once a request.

use crate::denials::{Asked, InForce, Intent, Target};
use crate::error::Error;
use crate::inner::{ATTEMPTS, Inner, principal_of, system_of};
use crate::observer::Refused;
use crate::trust::{ROUNDS, lapsed};
use countersign_core::policy::Policy;
use countersign_core::remember::{
    Admitted, Handed, Presented, SeriesState, is_usable, present, state_of,
};
use countersign_core::{
    Batch, CredentialKind, Decision, EventKind, Key, Label, Principal, PrincipalKey,
    PrincipalRecord, PrincipalState, Reason, Record, Rejection, SecretText, Selector, SeriesRecord,
    SplitToken, Subsystem, SystemRecord, Timestamp, Versioned,
};
use countersign_sessions::EndedBy;
use countersign_store::error::{CommitError, StoreError};
use std::net::IpAddr;
use std::sync::Arc;

/// Why a series ended whose reuse was proven while the disk could not take it.
const REUSE_PROVEN: &str = "a replaced secret came back";

/// What comes of a presented device token.
#[derive(Debug)]
pub enum Recall {
    /// The device is remembered.
    In(Recalled),
    /// It is not. The reason is for logs; a stranger is told only that it was refused.
    Refused(Rejection),
}

/// A device that is remembered, and what it is to be given.
#[derive(Debug)]
pub struct Recalled {
    /// Whose device it is, from the record and never from the request.
    pub principal: Principal,
    /// Which device it is.
    pub selector: Selector,
    /// What its owner calls it.
    pub label: Label,
    /// The token that it has to present from now on, where it is not the one that it presented.
    pub successor: Option<SecretText>,
    /// When the device is forgotten: a cookie need not live longer.
    pub expires_at: Timestamp,
}

impl Recall {
    /// The device, if it is remembered.
    #[must_use]
    pub fn recalled(self) -> Option<Recalled> {
        match self {
            Self::In(recalled) => Some(recalled),
            Self::Refused(_) => None,
        }
    }

    /// Why it was refused, if it was.
    #[must_use]
    pub const fn rejection(&self) -> Option<Rejection> {
        match self {
            Self::In(_) => None,
            Self::Refused(rejection) => Some(*rejection),
        }
    }

    /// Whether the device is remembered.
    #[must_use]
    pub const fn is_in(&self) -> bool {
        matches!(self, Self::In(_))
    }
}

/// What the store holds about a presented token.
struct Found {
    policy: Arc<Policy>,
    system: Option<Versioned<SystemRecord>>,
    series: Option<Versioned<SeriesRecord>>,
    principal: Option<Versioned<PrincipalRecord>>,
    /// Of the series' principal, or of the one that stands in.
    owner: PrincipalKey,
}

type Judged = Decision<Result<Admitted, Rejection>>;

impl Inner {
    /// The token that a text holds, before anything is looked up.
    pub(crate) fn parse_device(&self, presented: &[u8]) -> Result<Box<SplitToken>, Rejection> {
        // Before anything is decoded, whatever its length.
        if presented.len() > self.policy.load().input().max_credential_bytes as usize {
            return Err(Rejection::TooLong);
        }
        let token = self.format.parse(CredentialKind::Remember, presented)?;
        Ok(Box::new(token))
    }

    /// Judges a presented token, and does what follows from it.
    pub(crate) async fn recall_device(
        &self,
        token: &SplitToken,
        address: Option<IpAddr>,
    ) -> Result<Recall, Error> {
        let selector = token.selector();
        for _ in 0..ATTEMPTS {
            self.open()?;
            let settled = self.cache.denials.settled();
            let found = self.load_device(selector).await?;
            let now = self.now();
            let Decision { outcome, batch } = self.judge_device(now, token, &found)?;
            if self.cache.denials.settled() != settled {
                // What was settled meanwhile may be in neither: the records are read anew.
                continue;
            }
            let writes = !batch.writes.is_empty();
            let is_theft = batch.events().any(|event| event.kind == EventKind::Reused);
            let committed = match writes {
                true => self.commit(batch).await,
                false => Ok(()),
            };
            let outcome = match (committed, outcome) {
                (Ok(()), outcome) => outcome,
                // Somebody else was first: the same token is decided upon anew.
                (Err(CommitError::Conflict(_)), _) => continue,
                // It lets nobody in, whether that could be noted or not.
                (Err(_), Err(rejection)) => {
                    if is_theft {
                        self.hold_off(selector)?;
                    }
                    Err(rejection)
                }
                // A full disk keeps secrets from being replaced, and no device from coming in. It
                // goes on with what it has, also where a successor was to be handed out again: one
                // whose age could not be noted would be replaced by its first use, while others
                // still have to learn of it.
                (Err(CommitError::NotApplied(StoreError::NoRoom(_))), Ok(admitted)) => {
                    Ok(Admitted {
                        handed: Handed::Nothing,
                        ..admitted
                    })
                }
                // Nobody is handed a secret that may not last: presented again, the one that the
                // device has gives the same successor, or a first one.
                (Err(error), Ok(_)) => return Err(error.into()),
            };
            if let (true, Some(series)) = (is_theft, &found.series) {
                // What the thief has opened with it goes with it.
                let owner = &series.record.principal;
                self.end_sessions_of_device(owner, selector, EndedBy::Theft);
            }
            // A denial may have been entered while the disk was written to.
            let denied = self.denied_device(selector, found.owner).filter(|_| writes);
            let outcome = outcome.and_then(|admitted| denied.map_or(Ok(admitted), Err));
            return match (outcome, found.series) {
                (Ok(admitted), Some(series)) => {
                    self.counters.count(None);
                    self.device_uses.note(selector, now, address);
                    self.recalled(selector, series.record.label, admitted)
                }
                (Ok(_), None) => {
                    Ok(self.turn_device_away(now, Some(selector), Rejection::Unknown, address))
                }
                (Err(reason), _) => Ok(self.turn_device_away(now, Some(selector), reason, address)),
            };
        }
        Err(Error::Contended { attempts: ATTEMPTS })
    }

    /// Judges a presented token, and leaves everything as it is.
    pub(crate) async fn check_device(&self, token: &SplitToken) -> Result<Recall, Error> {
        self.open()?;
        let found = self.load_device(token.selector()).await?;
        let Decision { outcome, .. } = self.judge_device(self.now(), token, &found)?;
        match (outcome, found.series) {
            (Ok(mut admitted), Some(series)) => {
                admitted.handed = Handed::Nothing;
                self.recalled(token.selector(), series.record.label, admitted)
            }
            (Ok(_), None) => Ok(Recall::Refused(Rejection::Unknown)),
            (Err(rejection), _) => Ok(Recall::Refused(rejection)),
        }
    }

    /// Why a device that was let in a moment ago would be so no more: asked once a session is open
    /// for it, which an end of the series that came in between did not find.
    pub(crate) async fn fallen_device(
        &self,
        selector: Selector,
    ) -> Result<Option<Rejection>, Error> {
        let found = self.load_device(selector).await?;
        if let Some(reason) = self.denied_device(selector, found.owner) {
            return Ok(Some(reason));
        }
        let (Some(system), Some(series), Some(principal)) =
            (found.system, found.series, found.principal)
        else {
            return Ok(Some(Rejection::Unknown));
        };
        let setting = self.setting(self.now(), &found.policy, &system);
        let (series, principal) = (series.record, principal.record);
        if is_usable(&setting, &series, &principal) {
            return Ok(None);
        }
        Ok(Some(match state_of(&setting, &series, Some(&principal)) {
            // What switched it off has ended them all, which says less.
            _ if !system.record.is_on(Subsystem::RememberMe) => Rejection::SwitchedOff,
            SeriesState::Live if principal.state == PrincipalState::Disabled => Rejection::Disabled,
            SeriesState::Reused => Rejection::Reused,
            SeriesState::Expired => Rejection::Expired,
            _ => Rejection::Revoked,
        }))
    }

    /// Counts and tells a refusal. Nothing is written.
    pub(crate) fn turn_device_away(
        &self,
        at: Timestamp,
        selector: Option<Selector>,
        rejection: Rejection,
        address: Option<IpAddr>,
    ) -> Recall {
        let refused = Refused {
            at,
            kind: CredentialKind::Remember,
            selector,
            rejection,
            address,
            suppressed: 0,
        };
        Recall::Refused(self.refuse(&self.policy.load(), refused))
    }

    /// The records of a presented token, and the policy in force. Those of a principal are read for
    /// an unknown one too, so that a miss costs the store as much as a hit (E4).
    async fn load_device(&self, selector: Selector) -> Result<Found, Error> {
        for _ in 0..ROUNDS {
            let trusted = self.renewed().await?;
            let found = self.read_device(selector).await?;
            if self.proven(trusted).await? {
                return Ok(found);
            }
        }
        Err(lapsed())
    }

    async fn read_device(&self, selector: Selector) -> Result<Found, Error> {
        let keys = [Key::SYSTEM, Key::series(selector)];
        let mut found = self.load(&keys).await?.into_iter();
        let system = system_of(found.next().flatten()).ok();
        let series = found.next().flatten().and_then(series_of);
        let owner = self.keyring.principal_key(match &series {
            Some(series) => &series.record.principal,
            None => self.no_device.principal(),
        });
        let found = self.load(&[Key::principal(owner)]).await?;
        let principal = found.into_iter().next().flatten().and_then(principal_of);
        Ok(Found {
            policy: self.policy_now().await?,
            system,
            series,
            principal,
            owner,
        })
    }

    fn judge_device(
        &self,
        now: Timestamp,
        token: &SplitToken,
        found: &Found,
    ) -> Result<Judged, Error> {
        let presented = Presented {
            token,
            series: found.series.as_ref(),
            principal: found.principal.as_ref(),
            system: found.system.as_ref(),
        };
        let (keyring, decoy, mut fresh) = (&*self.keyring, &self.no_device, self.fresh()?);
        let judged = present(now, keyring, &found.policy, decoy, &mut fresh, presented)?;
        // What is wrong with the credential itself comes first, and what it proves is written: a
        // denial must not tell a stranger with a wrong secret that there is something to deny.
        let denied = self.denied_device(token.selector(), found.owner);
        Ok(match (&judged.outcome, denied) {
            (Ok(_), Some(reason)) => Decision {
                outcome: Err(reason),
                batch: Batch::default(),
            },
            _ => judged,
        })
    }

    fn denied_device(&self, selector: Selector, owner: PrincipalKey) -> Option<Rejection> {
        let asked = Asked::credential(CredentialKind::Remember, selector, Some(owner));
        self.cache.denials.deny(asked)
    }

    /// Ends a series in memory whose reuse was proven and could not be written; maintenance writes
    /// it, as it does what an operator denied.
    fn hold_off(&self, selector: Selector) -> Result<(), Error> {
        let target = Target::Series(selector);
        // Once is enough, however often the thief comes back.
        if !self.cache.denials.is_orphaned(target) {
            let intent = Intent::Revoke(Some(Reason::new(REUSE_PROVEN)?));
            let number = self.deny(target, intent)?;
            drop(InForce::new(&self.cache.denials, target, number));
        }
        Ok(())
    }

    fn recalled(
        &self,
        selector: Selector,
        label: Label,
        admitted: Admitted,
    ) -> Result<Recall, Error> {
        let successor = match admitted.handed {
            Handed::Nothing => None,
            Handed::Successor(token) | Handed::Again(token) => Some(self.device_text(&token)?),
        };
        Ok(Recall::In(Recalled {
            principal: admitted.principal,
            selector,
            label,
            successor,
            expires_at: admitted.expires_at,
        }))
    }

    /// A token as its device gets to see it.
    pub(super) fn device_text(&self, token: &SplitToken) -> Result<SecretText, Error> {
        let text = self.format.text(token);
        text.ok_or(Error::Setup("this kind has no text"))
    }
}

pub(crate) fn series_of(found: Versioned) -> Option<Versioned<SeriesRecord>> {
    match found.record {
        Record::Series(record) => Some(Versioned {
            version: found.version,
            record,
        }),
        _ => None,
    }
}
