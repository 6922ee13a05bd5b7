//! The one file that reads randomness (invariant I2).

use crate::error::Error;
use countersign_core::Fresh;
use std::fmt;

/// Where the engine takes random bytes from.
///
/// A source whose bytes can be guessed gives away every credential that is issued from it.
pub trait Entropy: Send + Sync + fmt::Debug + 'static {
    /// Fills `bytes`, all of them, or says why it could not.
    ///
    /// # Errors
    /// What the source said; nothing is issued then.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), String>;
}

/// The operating system's generator, asked anew each time: nothing to seed, nothing to fork.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads randomness"
    )]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), String> {
        getrandom::fill(bytes).map_err(|error| error.to_string())
    }
}

/// Random bytes for one decision.
pub(crate) fn fresh(entropy: &dyn Entropy) -> Result<Fresh, Error> {
    Fresh::filled(|bytes| entropy.fill(bytes)).map_err(Error::Entropy)
}

pub(crate) fn bytes<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N], Error> {
    let mut bytes = [0u8; N];
    entropy.fill(&mut bytes).map_err(Error::Entropy)?;
    Ok(bytes)
}
