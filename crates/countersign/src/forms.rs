//! Form tokens as a host uses them: make one for a session, and judge what a form brought back.

use crate::inner::Inner;
use std::sync::Arc;

/// Form tokens. Made by [`Engine::forms`](crate::Engine::forms).
#[derive(Clone, Copy, Debug)]
pub struct FormTokens<'a>(pub(crate) &'a Arc<Inner>);
