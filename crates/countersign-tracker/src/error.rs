//! Why a tracker does not start, or cannot do what it was asked.

use std::io;
use std::path::Path;
use tokio::task::JoinError;

/// The tracker cannot do what it was asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrackerError {
    /// The engine does not open, or failed.
    #[error(transparent)]
    Engine(#[from] countersign::Error),
    /// The policy does not hold together.
    #[error(transparent)]
    Policy(#[from] countersign::core::policy::PolicyError),
    /// The layer does not hold together.
    #[error(transparent)]
    Layer(#[from] countersign_axum::ConfigError),
    /// A file cannot be read or written.
    #[error("{path}: {detail}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        detail: String,
    },
    /// It cannot listen.
    #[error("cannot listen: {0}")]
    Listen(String),
    /// A password cannot be hashed.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
    /// More passwords are waiting to be hashed than may.
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    /// There is no randomness.
    #[error("no randomness: {0}")]
    Entropy(String),
    /// Work that was handed to another thread or task did not come to its end.
    #[error("it did not come to its end: {0}")]
    Stopped(String),
    /// A page does not render.
    #[error("the page does not render: {0}")]
    Page(String),
    /// What was asked for breaks a rule, in words for whoever asked.
    #[error("{0}")]
    Rule(String),
}

impl TrackerError {
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Self::File {
            path: path.display().to_string(),
            detail: error.to_string(),
        }
    }

    /// A panic's words may be among its own, so they are for the log alone.
    pub(crate) fn stopped(error: &JoinError) -> Self {
        Self::Stopped(error.to_string())
    }
}
