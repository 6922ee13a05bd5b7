//! What the targets share: an input that is read as choices, one after the other, and a policy
//! under which little is held. Both are those of the models, which tests run as well.
//! What stands behind the HTTP edge is here too.

pub mod edge;
pub mod forms;
pub mod multipart;

pub use countersign_models::{Choices, small};
