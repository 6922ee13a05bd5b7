//! What form tokens are judged with: whose session a hint leads to, living or recently ended, and
//! the secrets that it has had.
//!
//! The tokens themselves are the core's. A hint is no proof: a verdict about the session that it
//! leads to is given only when the token's MAC under one of that session's secrets proves it.
//!
//! # Why the secrets are derived
//!
//! A session's csrf secret is a keyed hash, under a key that is derived from the root key, of its
//! selector and of the number of times that its privilege has changed. A random secret would have
//! to be kept: in the snapshot, which then held secrets, or else every page that was open during a
//! restart would lose its work; and with ended sessions, to tell a stale form of theirs from a
//! forged one. Derived, it takes no memory, the snapshot holds none, a log-in and a change of
//! privilege still have a new one each, and the earlier ones can be asked for as long as anybody
//! remembers the session. The selector is no secret, but without the root key it yields nothing;
//! whoever has the root key can forge the store's records as well.

use crate::ended::{Done, Gone};
use crate::moment::Moment;
use crate::owner::Owner;
use crate::refusal::Denied;
use crate::shard::Found;
use crate::table::SessionTable;
use crate::tail::Tail;
use countersign_core::{Keyring, SecretKey, Selector};

/// How many earlier secrets of a session are worth asking for.
const EARLIER_MAX: u32 = 8;

/// The session that a form token's hint leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormSession {
    /// Which it is.
    pub selector: Selector,
    /// Whose it is or was; `None` for an anonymous one.
    pub owner: Option<Owner>,
    /// What became of it, if it has ended.
    pub gone: Option<Gone>,
    /// The session that took its place, if a log-in ended it.
    pub successor: Option<Selector>,
    /// How often its privilege has changed, or had when it ended.
    pub generation: u32,
}

impl FormSession {
    /// The secret that its form tokens are made under, or were when it ended.
    #[must_use]
    pub fn csrf_secret(&self, keyring: &Keyring) -> SecretKey {
        keyring.csrf_secret(self.selector, self.generation)
    }

    /// Its secrets before its privilege changed, the latest first, at most eight.
    ///
    /// A token that one of them proves is the session's own, but from before the change.
    pub fn earlier_csrf_secrets<'a>(
        &'a self,
        keyring: &'a Keyring,
    ) -> impl Iterator<Item = SecretKey> + 'a {
        let oldest = self.generation.saturating_sub(EARLIER_MAX);
        let earlier = (oldest..self.generation).rev();
        earlier.map(|generation| keyring.csrf_secret(self.selector, generation))
    }
}

impl SessionTable {
    /// The session that `hint`, the last eight bytes of its selector, leads to, living or recently
    /// ended.
    pub fn form_session(&self, moment: &Moment<'_>, hint: [u8; 8]) -> Done<Option<FormSession>> {
        let tail = Tail::from_hint(hint);
        Done::of(|ended| {
            let reader = self.shard_of(tail).read();
            let (mut session, due) = match reader.find_tail(tail)? {
                Found::Dead(grave) => {
                    let session = FormSession {
                        selector: grave.selector,
                        owner: grave.owner.clone(),
                        gone: Some(grave.gone()),
                        successor: grave.successor,
                        generation: grave.generation,
                    };
                    (session, None)
                }
                Found::Living(_, slot) => {
                    let session = FormSession {
                        selector: slot.selector,
                        owner: slot.owner.clone(),
                        gone: None,
                        successor: None,
                        generation: slot.generation,
                    };
                    (session, slot.due(moment))
                }
            };
            drop(reader);
            if let Some(by) = due {
                let ending = self.with_living(moment, session.selector, ended, |_, _, _| Ok(()));
                session.gone = match ending {
                    // Somebody used it just now.
                    Ok(()) => None,
                    Err(Denied::Gone(gone)) => Some(gone),
                    Err(_) => Some(Gone { by, at: moment.now }),
                };
            }
            Some(session)
        })
    }
}
