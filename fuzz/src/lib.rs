//! What the targets share: an input that is read as choices, one after the other, and a policy
//! under which little is held. Both are those of the models, which tests run as well.

pub use countersign_models::{Choices, small};
