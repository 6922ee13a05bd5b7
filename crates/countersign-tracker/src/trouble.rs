//! What a handler answers when it does not do what it was asked.

use crate::error::TrackerError;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use countersign_axum::{AttributeError, BadForm, EngineFailed, TurnedAway};

/// When to try again what could not be done for others who asked, in seconds.
const RETRY_AFTER_S: u16 = 5;

/// Why a request is not carried out.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The library turned it away.
    Away(TurnedAway),
    /// There is nothing of that name.
    NotFound,
    /// It is not for whoever asks, in words for them.
    Forbidden(&'static str),
    /// It breaks a rule, in words for whoever asked.
    Rule(String),
    /// Too many ask for the same at once: it can be tried again.
    Busy,
    /// The tracker failed halfway: why, in words for the log, and what to do, for whoever asked.
    HalfDone { why: String, said: &'static str },
    /// The tracker failed, in words for the log.
    Broken(String),
}

/// What is said to whoever asked; a page is made of it where there is one to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Said(pub(crate) String);

impl Trouble {
    pub(crate) fn rule(said: impl Into<String>) -> Self {
        Self::Rule(said.into())
    }

    fn told(self) -> Result<(StatusCode, String), TurnedAway> {
        Ok(match self {
            Self::Away(away) => return Err(away),
            Self::NotFound => (StatusCode::NOT_FOUND, "There is nothing here.".to_owned()),
            Self::Forbidden(said) => (StatusCode::FORBIDDEN, said.to_owned()),
            Self::Rule(said) => (StatusCode::UNPROCESSABLE_ENTITY, format!("Sorry: {said}.")),
            Self::Busy => {
                let said = "Too many people are logging in. Please try again in a moment.";
                (StatusCode::SERVICE_UNAVAILABLE, said.to_owned())
            }
            Self::HalfDone { why, said } => {
                log(&why);
                (StatusCode::INTERNAL_SERVER_ERROR, said.to_owned())
            }
            Self::Broken(what) => {
                log(&what);
                let said = "This does not work at the moment.".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, said)
            }
        })
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        match self.told() {
            Err(away) => away.into_response(),
            Ok((status, said)) => {
                let mut response = (status, format!("{said}\n")).into_response();
                response.extensions_mut().insert(Said(said));
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    let after = HeaderValue::from(RETRY_AFTER_S);
                    response.headers_mut().insert(RETRY_AFTER, after);
                }
                response
            }
        }
    }
}

impl From<TurnedAway> for Trouble {
    fn from(away: TurnedAway) -> Self {
        Self::Away(away)
    }
}

impl From<EngineFailed> for Trouble {
    fn from(failed: EngineFailed) -> Self {
        Self::Away(failed.into())
    }
}

impl From<countersign::Error> for Trouble {
    fn from(error: countersign::Error) -> Self {
        EngineFailed::from(error).into()
    }
}

impl From<BadForm> for Trouble {
    fn from(bad: BadForm) -> Self {
        Self::Away(bad.into())
    }
}

impl From<AttributeError> for Trouble {
    fn from(error: AttributeError) -> Self {
        match error {
            AttributeError::Engine(failed) => failed.into(),
            error => Self::Broken(error.to_string()),
        }
    }
}

impl From<TrackerError> for Trouble {
    fn from(error: TrackerError) -> Self {
        match error {
            TrackerError::Rule(said) => Self::Rule(said),
            TrackerError::Busy => Self::Busy,
            TrackerError::Engine(error) => error.into(),
            error => Self::Broken(error.to_string()),
        }
    }
}

/// A line for the operator.
#[expect(clippy::print_stderr, reason = "this is where an example's log goes")]
pub(crate) fn log(line: &str) {
    eprintln!("tracker: {line}");
}
