//! What every call on the table is made in: the instant, the keys and the policy.
//!
//! The table keeps none of them: time is an argument (invariant I1), keys are not state, and a
//! policy that is replaced holds from the next call on.

use countersign_core::policy::SessionPolicy;
use countersign_core::{Keyring, Timestamp};

/// What a call is made in.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The instant of the call.
    pub now: Timestamp,
    /// The keys.
    pub keyring: &'a Keyring,
    /// The policy.
    pub policy: &'a SessionPolicy,
}
