//! What tests of the engine and of stores share: a clock that is moved by hand, random bytes that
//! can be repeated, and the suite that every store must pass. Not published.

pub mod clock;
pub mod entropy;

pub use clock::ManualClock;
pub use entropy::SeededEntropy;
