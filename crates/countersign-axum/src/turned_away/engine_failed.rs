//! Errors of the engine as answers: its failures, and what its rules forbid.

use super::TurnedAway;
use countersign::core::TextError;
use countersign::{Denied, Error, Refusal};
use http::StatusCode;

/// The engine could not do what was asked: 503 where it failed, 4xx where a rule forbids it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", self.told())]
pub struct EngineFailed {
    /// What the engine says, for the log alone.
    pub error: Error,
}

impl From<Error> for EngineFailed {
    fn from(error: Error) -> Self {
        Self { error }
    }
}

impl From<TextError> for EngineFailed {
    fn from(error: TextError) -> Self {
        Self::from(Error::from(error))
    }
}

/// So that a handler's calls on the engine, and the texts that it makes for them, end in `?`.
impl From<Error> for TurnedAway {
    fn from(error: Error) -> Self {
        EngineFailed::from(error).into()
    }
}

impl From<TextError> for TurnedAway {
    fn from(error: TextError) -> Self {
        EngineFailed::from(error).into()
    }
}

impl EngineFailed {
    /// The status that it is answered with.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match &self.error {
            Error::Refused(Refusal::Disabled | Refusal::SwitchedOff(_)) => StatusCode::FORBIDDEN,
            Error::Refused(Refusal::NotFound) | Error::Session(Denied::Unknown) => {
                StatusCode::NOT_FOUND
            }
            Error::Refused(Refusal::NotYet { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Refused(_) | Error::Text(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Session(denied) => status_of(denied),
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) const fn code(&self) -> &'static str {
        self.error.code()
    }

    pub(crate) const fn is_retryable(&self) -> bool {
        self.error.is_retryable()
    }

    /// What a stranger may be told. A rule's words are for whoever broke it; a failure's are not.
    fn told(&self) -> String {
        match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => "this does not work at the moment".to_owned(),
            _ => self.error.to_string(),
        }
    }
}

const fn status_of(denied: &Denied) -> StatusCode {
    match denied {
        Denied::Gone(_) | Denied::Renewed | Denied::Exhausted => StatusCode::CONFLICT,
        Denied::NotPresent | Denied::Anonymous | Denied::LimitReached { .. } => {
            StatusCode::FORBIDDEN
        }
        Denied::Attributes(_) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
