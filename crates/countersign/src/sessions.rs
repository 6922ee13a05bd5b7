//! Sessions as a host uses them: the table with the engine's clock, keys, policy and epochs.

use crate::inner::Inner;
use std::sync::Arc;

/// Sessions. Made by [`Engine::sessions`](crate::Engine::sessions).
#[derive(Clone, Copy, Debug)]
pub struct Sessions<'a>(pub(crate) &'a Arc<Inner>);
