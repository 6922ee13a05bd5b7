//! What went wrong, in the words of whoever knows.

use core::error::Error;
use core::fmt;

/// Why a server did not do what it was asked for: what it said, or what was waited for in vain.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(String);

/// What the harness hands on within itself.
pub(super) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The failure of doing something, such as making a file.
    pub(super) fn of<E: fmt::Display>(what: &str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As it is told, since a test that ends by it shows it in this form: over several lines.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failure {}
