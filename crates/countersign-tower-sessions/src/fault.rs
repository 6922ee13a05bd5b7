//! What a call of the store fails with, in the three kinds that both versions of the trait have.
//!
//! No message names an id.

use crate::principal::NoPrincipal;
use countersign::session::{AttributeFault, NotJson};
use countersign::{Denied, Error};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// What was to be kept does not fit.
    #[error("{0}")]
    Encode(String),
    /// What was kept does not read back.
    #[error("{0}")]
    Decode(String),
    /// It is of somebody whom the engine has no name for.
    #[error(transparent)]
    NoPrincipal(#[from] NoPrincipal),
    /// The engine failed, or refused.
    #[error("{0}")]
    Engine(#[from] Error),
    /// The session's id has to be another one first.
    #[error(
        "the session would belong to somebody else under the same id: \
         cycle its id at a log-in, and flush it at a log-out"
    )]
    SameId,
}

impl From<NotJson> for Fault {
    fn from(error: NotJson) -> Self {
        Self::Encode(error.to_string())
    }
}

impl From<AttributeFault> for Fault {
    fn from(fault: AttributeFault) -> Self {
        Self::Encode(fault.to_string())
    }
}

impl Fault {
    /// A failure of the engine, where what does not fit is told as such.
    pub(crate) fn of(error: Error) -> Self {
        match error {
            Error::Session(Denied::Attributes(fault)) => fault.into(),
            error => Self::Engine(error),
        }
    }
}
