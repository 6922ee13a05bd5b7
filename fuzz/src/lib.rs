//! What the targets share: an input that is read as choices, one after the other, and a policy
//! under which little is held. Both are those of the models, which tests run as well.
//! What stands behind the target for forms is here too.

pub mod forms;
pub mod multipart;

pub use countersign_models::{Choices, small};
