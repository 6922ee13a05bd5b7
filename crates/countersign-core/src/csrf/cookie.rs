//! The cookie that scripts read the stable form token from (S5): `<server id>|<token>|lin`.
//!
//! The original's shape, with one separator instead of two: `|` stands in no server id and in no
//! token, so there is one way to take a value apart; `_`, which the original uses at times, may
//! stand in a server id. A value that is not written as ours is refused as a whole.
//!
//! The flag tells scripts what the page was made for. Nobody believes it: no verdict looks at it.

use super::{CSRF_TOKEN_DIGITS, CsrfToken, MalformedCsrfToken};
use crate::secret::SecretText;
use crate::text::ServerId;

/// The longest value of the cookie.
pub const CSRF_COOKIE_MAX: usize = ServerId::MAX_BYTES + 1 + CSRF_TOKEN_DIGITS + 1 + 4;

/// Whether somebody was signed in when the token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeWhile {
    /// `lin`.
    SignedIn,
    /// `lout`.
    SignedOut,
}

impl MadeWhile {
    const fn flag(self) -> &'static str {
        match self {
            Self::SignedIn => "lin",
            Self::SignedOut => "lout",
        }
    }
}

/// The value of the cookie.
#[derive(Debug)]
pub struct CsrfCookie {
    /// Which server made it: several may share a host name and so their cookies.
    pub server_id: ServerId,
    /// The token, in its stable form.
    pub token: CsrfToken,
    /// Whether somebody was signed in.
    pub made_while: MadeWhile,
}

/// Why a text is no value of the cookie; the checks stand in the order of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedCsrfCookie {
    /// Longer than any.
    #[error("the cookie has at most {CSRF_COOKIE_MAX} bytes")]
    TooLong,
    /// Not three parts.
    #[error("the cookie has three parts with `|` between them")]
    Parts,
    /// The first part is no server id.
    #[error("the cookie's first part is no server id")]
    ServerId,
    /// The second part is no form token.
    #[error(transparent)]
    Token(#[from] MalformedCsrfToken),
    /// It is one in its masked form.
    #[error("the cookie's token is not of the stable form")]
    Masked,
    /// The third part is neither `lin` nor `lout`.
    #[error("the cookie's flag is neither `lin` nor `lout`")]
    Flag,
}

impl CsrfCookie {
    /// Reads a cookie's value, all of it.
    ///
    /// # Errors
    /// The first fault, in the order of [`MalformedCsrfCookie`]'s variants.
    pub fn parse(text: &[u8]) -> Result<Self, MalformedCsrfCookie> {
        if text.len() > CSRF_COOKIE_MAX {
            return Err(MalformedCsrfCookie::TooLong);
        }
        let mut parts = text.split(|&byte| byte == b'|');
        let (Some(server), Some(token), Some(flag), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(MalformedCsrfCookie::Parts);
        };
        let server = core::str::from_utf8(server).ok();
        let server = server.and_then(|text| ServerId::new(text).ok());
        let server_id = server.ok_or(MalformedCsrfCookie::ServerId)?;
        let token = CsrfToken::parse(token)?;
        if !token.is_stable() {
            return Err(MalformedCsrfCookie::Masked);
        }
        let made_while = match flag {
            b"lin" => MadeWhile::SignedIn,
            b"lout" => MadeWhile::SignedOut,
            _ => return Err(MalformedCsrfCookie::Flag),
        };
        Ok(Self {
            server_id,
            token,
            made_while,
        })
    }

    /// The token in a text that is otherwise the cookie of this server and this flag; `None` for
    /// any other text.
    #[must_use]
    pub fn token_in(text: &[u8], server: &ServerId, made_while: MadeWhile) -> Option<CsrfToken> {
        let text = text.strip_prefix(server.as_str().as_bytes())?;
        let text = text.strip_suffix(made_while.flag().as_bytes())?;
        let token = text.strip_prefix(b"|")?.strip_suffix(b"|")?;
        CsrfToken::parse(token).ok()
    }

    /// The cookie's value; `None` where the token is masked, which is for pages.
    #[must_use]
    pub fn text(&self) -> Option<SecretText> {
        if !self.token.is_stable() {
            return None;
        }
        let (server, flag) = (self.server_id.as_str(), self.made_while.flag());
        let mut text = String::with_capacity(CSRF_COOKIE_MAX);
        for part in [server, "|", self.token.text().expose(), "|", flag] {
            text.push_str(part);
        }
        Some(SecretText::new(text))
    }
}
