//! Whether what is in memory may be judged by: always, where nobody else writes to the store; for
//! as long as the store's lease holds, where other nodes do.
//!
//! Out of its lease a node asks the store to prove that it is the one which all acknowledged writes
//! go to, which brings what is in memory up to date as well. Where it cannot, nobody comes in: the
//! caller is told that the store is not available, and may try again.

use crate::error::Error;
use crate::inner::Inner;
use countersign_core::policy::Policy;
use countersign_store::error::StoreError;
use countersign_store::lease::{Lease, Term};
use std::sync::Arc;
use std::time::Duration;

/// How often a verdict is looked for within one term before the caller is told to come again.
pub(crate) const ROUNDS: u32 = 4;

/// A store's lease, if it has one.
#[derive(Debug)]
pub(crate) struct Trust(Option<Arc<Lease>>);

/// Until when what is looked at may be judged by: `None` for always.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trusted(Option<Term>);

impl Trusted {
    /// To be asked once the records were looked at.
    #[inline]
    pub(crate) fn holds(self) -> bool {
        self.0.is_none_or(Term::holds)
    }
}

impl Trust {
    pub(crate) const fn new(lease: Option<Arc<Lease>>) -> Self {
        Self(lease)
    }

    /// To be asked before records are looked at.
    #[inline]
    pub(crate) fn term(&self) -> Trusted {
        Trusted(self.0.as_ref().map(|lease| lease.term()))
    }

    /// Whether all that was read since the term was asked for is of one server.
    fn is_of_one_server(&self, term: Trusted) -> bool {
        let unmoved = |(lease, term): (&Arc<Lease>, Term)| lease.is_unmoved(term);
        self.0.as_ref().zip(term.0).is_none_or(unmoved)
    }

    /// Whether nothing is ever kept in memory, because a policy wants every change to be heard of
    /// at once.
    fn is_nothing(&self) -> bool {
        let zero = |lease: &Arc<Lease>| lease.bound().is_zero();
        self.0.as_ref().is_some_and(zero)
    }
}

impl Inner {
    /// Goes by the bound of a policy from now on.
    pub(crate) fn go_by(&self, policy: &Policy) {
        if let Some(lease) = &self.trust.0 {
            let bound = Duration::from_millis(u64::from(policy.cache().staleness_ms));
            // Before nothing is to be trusted, nothing is there.
            self.cache.hold(!bound.is_zero());
            lease.set_bound(bound);
        }
    }

    /// A term that holds now, proved anew if it has to be.
    ///
    /// Where nothing is kept in memory there is none: what is read is proved afterwards.
    pub(crate) async fn renewed(&self) -> Result<Trusted, Error> {
        let term = self.trust.term();
        if self.trust.is_nothing() || term.holds() {
            return Ok(term);
        }
        self.store.attest().await?;
        let term = self.trust.term();
        match term.holds() {
            true => Ok(term),
            false => Err(lapsed()),
        }
    }

    /// Whether what the store was asked since the term was asked for was what is so now, as far as
    /// any acknowledged write goes; always, where nobody else writes to it.
    pub(crate) async fn was_so(&self, term: Trusted) -> Result<bool, Error> {
        if self.trust.0.is_none() {
            return Ok(true);
        }
        self.store.attest().await?;
        Ok(self.trust.is_of_one_server(term))
    }

    /// Whether what was looked at since the term was asked for may be judged by.
    pub(crate) async fn proven(&self, term: Trusted) -> Result<bool, Error> {
        if term.holds() {
            return Ok(true);
        }
        if self.trust.is_nothing() {
            // It was read just now, from whoever acknowledges this: unless that changed in between.
            return self.was_so(term).await;
        }
        Ok(false)
    }
}

/// What a caller is told where no verdict could be given within a term.
pub(crate) fn lapsed() -> Error {
    Error::Store(StoreError::Unavailable(
        "it could not be proved in time that nothing was revoked meanwhile".to_owned(),
    ))
}
