//! Image tokens as a host uses them: sign, verify, revoke by attachment.

use crate::inner::Inner;
use std::sync::Arc;

/// Image tokens. Made by [`Engine::images`](crate::Engine::images).
#[derive(Clone, Copy, Debug)]
pub struct ImageTokens<'a>(pub(crate) &'a Arc<Inner>);
