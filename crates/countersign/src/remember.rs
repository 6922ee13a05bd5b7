//! Remembered devices as a host uses them: start, present, list, revoke, forget.

use crate::inner::Inner;
use std::sync::Arc;

/// Remembered devices. Made by [`Engine::remember`](crate::Engine::remember).
#[derive(Clone, Copy, Debug)]
pub struct Remember<'a>(pub(crate) &'a Arc<Inner>);
