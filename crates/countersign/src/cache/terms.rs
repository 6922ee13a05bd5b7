//! What verification wants of the policy and of the system's record, copied where it is read
//! without a write: taking a share of either would cost two locked instructions a call.

use super::seqlock::SeqLock;
use crate::sync::AtomicU64;
use countersign_core::policy::{Lifetimes, Policy};
use countersign_core::{Subsystem, SystemRecord, millis};
use std::time::Duration;

/// Copies of a policy and of a system record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The longest text that is looked at, in bytes.
    pub(crate) max_credential_bytes: u64,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) switched_off: bool,
    /// The number of the epoch of access tokens.
    pub(crate) epoch: u32,
}

/// Written under the gate of the system's record.
#[derive(Debug)]
pub(super) struct TermsLock {
    number: AtomicU64,
    words: [AtomicU64; WORDS],
}

const WORDS: usize = 6;

/// The policy is known.
const POLICY: u64 = 1;
/// The system record is known.
const SYSTEM: u64 = 2;

impl TermsLock {
    /// Neither is known.
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            number: zero(),
            words: std::array::from_fn(|_| zero()),
        }
    }

    #[inline]
    const fn lock(&self) -> SeqLock<'_, WORDS> {
        SeqLock {
            number: &self.number,
            words: &self.words,
        }
    }

    /// The terms; `None` where one of both is not known, or is being written just now.
    #[inline]
    pub(super) fn read(&self) -> Option<Terms> {
        let (_, [known, bytes, lifetime, never, off, epoch]) = self.lock().read()?;
        if known != POLICY | SYSTEM {
            return None;
        }
        Some(Terms {
            max_credential_bytes: bytes,
            lifetimes: Lifetimes {
                max_lifetime: Duration::from_millis(lifetime),
                allow_never: never != 0,
            },
            switched_off: off != 0,
            epoch: u32::try_from(epoch).ok()?,
        })
    }

    pub(super) fn set_policy(&self, policy: &Policy) {
        self.change(|[known, bytes, lifetime, never, ..]| {
            let lifetimes = policy.access_tokens().lifetimes();
            *known |= POLICY;
            *bytes = u64::from(policy.input().max_credential_bytes);
            *lifetime = millis(lifetimes.max_lifetime);
            *never = u64::from(lifetimes.allow_never);
        });
    }

    pub(super) fn set_system(&self, system: Option<&SystemRecord>) {
        self.change(|[known, _, _, _, off, epoch]| match system {
            None => *known &= !SYSTEM,
            Some(system) => {
                *known |= SYSTEM;
                *off = u64::from(!system.is_on(Subsystem::AccessTokens));
                *epoch = u64::from(system.switch(Subsystem::AccessTokens).epoch.number());
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut [u64; WORDS])) {
        // Nobody else writes, so it reads whole.
        if let Some((_, mut words)) = self.lock().read() {
            change(&mut words);
            self.lock().write(&words, |_| ());
        }
    }
}
