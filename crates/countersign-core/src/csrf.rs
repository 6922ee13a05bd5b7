//! Form tokens: what shows that a form came from our own page, and from which session (S4, E9).
//!
//! ```text
//! session hint  8   the last 8 bytes of the session's selector, which are random
//! nonce         8   zero in the stable form, random in the masked form
//! MAC          16   keyed hash under the session's own secret
//! ```
//! The 32 bytes are written as 44 base62 digits. The stable form is the same all session long, for
//! the cookie and for scripts; the masked form is a new text each time it is put into a page, so
//! that compressing pages tells nothing about it.
//! The hint names a session that the token claims to be of. It proves nothing: what is said of a
//! session is said only after the MAC under that session's secret has proven it (`judge`).
//!
//! This is no access check: whose session it is was decided before, from the session's own token.

mod cookie;
mod judge;

pub use cookie::{CSRF_COOKIE_MAX, CsrfCookie, MadeWhile, MalformedCsrfCookie};
pub use judge::{CsrfVerdict, FormSession, SessionFate, judge, read};

use crate::base62::{self, Base62Error};
use crate::contexts;
use crate::digest::Mac;
use crate::secret::{SecretKey, SecretText};
use crate::selector::Selector;
use crate::text::{TextError, check};
use core::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Digits of a form token.
pub const CSRF_TOKEN_DIGITS: usize = 44;
/// The bytes that they stand for.
const CSRF_TOKEN_BYTES: usize = 32;
/// The most bytes of a form's action.
pub const FORM_ACTION_MAX: usize = 64;

const STABLE: [u8; 8] = [0; 8];

/// Which session a form token claims to be of: the random half of its selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionHint([u8; 8]);

impl SessionHint {
    /// The hint of a session.
    #[must_use]
    pub const fn of(session: Selector) -> Self {
        let [_, _, _, _, _, _, _, _, hint @ ..] = session.to_bytes();
        Self(hint)
    }

    /// The 8 bytes, for an index.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    /// Takes the last 8 bytes of a UUID and nothing else.
    fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        let [variant, ..] = bytes;
        (variant & 0xc0 == 0x80).then_some(Self(bytes))
    }
}

/// What a form does, where its token is to be good for nothing else: 1 to 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormAction<'a>(&'a str);

impl<'a> FormAction<'a> {
    /// Takes a text, such as `project.delete`.
    ///
    /// # Errors
    /// When it is empty, too long, padded with blanks, or holds control characters.
    pub fn new(text: &'a str) -> Result<Self, TextError> {
        check("the form's action", text, FORM_ACTION_MAX)?;
        Ok(Self(text))
    }
}

/// Why a text is no form token; the checks stand in the order of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedCsrfToken {
    /// Not 44 bytes.
    #[error("a form token has {CSRF_TOKEN_DIGITS} digits")]
    Length,
    /// A character that is no base62 digit.
    #[error("the text holds a character other than 0-9, A-Z and a-z")]
    Digit,
    /// A group of digits above 2^64 - 1.
    #[error("a group of digits stands for too large a number")]
    Overflow,
    /// The hint is not the end of a UUID.
    #[error("no session has such a hint")]
    Hint,
}

/// A form token. There is one text for each.
pub struct CsrfToken {
    hint: SessionHint,
    nonce: [u8; 8],
    mac: Mac,
}

impl CsrfToken {
    /// The stable form of a session's token: the same whenever it is asked for.
    #[must_use]
    pub fn mint_stable(
        session: Selector,
        secret: &SecretKey,
        action: Option<FormAction<'_>>,
    ) -> Self {
        Self::mint(SessionHint::of(session), STABLE, secret, action)
    }

    /// A masked form of a session's token, from 8 fresh random bytes.
    #[must_use]
    pub fn mint_masked(
        session: Selector,
        secret: &SecretKey,
        action: Option<FormAction<'_>>,
        random: [u8; 8],
    ) -> Self {
        // Zero stands for the stable form, and comes up once in 2^64 draws.
        let nonce = if random == STABLE { [0xff; 8] } else { random };
        Self::mint(SessionHint::of(session), nonce, secret, action)
    }

    fn mint(
        hint: SessionHint,
        nonce: [u8; 8],
        secret: &SecretKey,
        action: Option<FormAction<'_>>,
    ) -> Self {
        let mac = mac(secret, hint, nonce, action);
        Self { hint, nonce, mac }
    }

    /// Reads a text as a form token, all of it.
    ///
    /// # Errors
    /// The first fault, in the order of [`MalformedCsrfToken`]'s variants.
    pub fn parse(text: &[u8]) -> Result<Self, MalformedCsrfToken> {
        let digits = <&[u8; CSRF_TOKEN_DIGITS]>::try_from(text);
        let digits = digits.map_err(|_| MalformedCsrfToken::Length)?;
        let body = base62::decode::<CSRF_TOKEN_DIGITS, CSRF_TOKEN_BYTES>(digits);
        let body = Zeroizing::new(body.map_err(|error| match error {
            Base62Error::Digit => MalformedCsrfToken::Digit,
            Base62Error::Overflow => MalformedCsrfToken::Overflow,
        })?);
        let [hint, nonce, front, back] = body.as_chunks::<8>().0 else {
            // 32 bytes are four chunks of 8: there is no other case.
            return Err(MalformedCsrfToken::Length);
        };
        let mut mac = [0; 16];
        let (first, second) = mac.split_at_mut(8);
        first.copy_from_slice(front);
        second.copy_from_slice(back);
        Ok(Self {
            hint: SessionHint::from_bytes(*hint).ok_or(MalformedCsrfToken::Hint)?,
            nonce: *nonce,
            mac: Mac::from_16(mac),
        })
    }

    /// The 44 digits, for a form, a script or a cookie of the session that it is of.
    #[must_use]
    pub fn text(&self) -> SecretText {
        let mut body = Zeroizing::new([0; CSRF_TOKEN_BYTES]);
        let parts = self.hint.0.iter().chain(&self.nonce);
        for (slot, byte) in body.iter_mut().zip(parts.chain(self.mac.expose())) {
            *slot = *byte;
        }
        let digits: Zeroizing<[u8; CSRF_TOKEN_DIGITS]> = Zeroizing::new(base62::encode(&body));
        SecretText::new(base62::as_text(&*digits).to_owned())
    }

    /// The session that it claims to be of.
    #[must_use]
    pub const fn hint(&self) -> SessionHint {
        self.hint
    }

    /// Whether it is of the stable form.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        self.nonce == STABLE
    }

    /// Whether it is the stable form of this session's token, for no action in particular.
    #[must_use]
    pub fn is_stable_of(&self, session: Selector, secret: &SecretKey) -> bool {
        self.is_stable() && self.hint == SessionHint::of(session) && self.verify(secret, None)
    }

    /// Whether it was minted under this secret for this action, in time that does not depend on
    /// where its MAC differs.
    #[must_use]
    pub fn verify(&self, secret: &SecretKey, action: Option<FormAction<'_>>) -> bool {
        mac(secret, self.hint, self.nonce, action) == self.mac
    }
}

impl Drop for CsrfToken {
    fn drop(&mut self) {
        self.mac.zeroize();
    }
}

impl fmt::Debug for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfToken(redacted)")
    }
}

/// The parts have fixed lengths but for the last, which is never empty where there is one: no two
/// lists of parts are the same bytes. Without an action they fit one block of the hash.
fn mac(
    secret: &SecretKey,
    hint: SessionHint,
    nonce: [u8; 8],
    action: Option<FormAction<'_>>,
) -> Mac {
    const CONTEXT: usize = contexts::FORM_TOKEN.len();
    let mut covered = [0; CONTEXT + 8 + 8];
    let (context, own) = covered.split_at_mut(CONTEXT);
    context.copy_from_slice(contexts::FORM_TOKEN.as_bytes());
    let (session, fresh) = own.split_at_mut(8);
    session.copy_from_slice(&hint.0);
    fresh.copy_from_slice(&nonce);
    let mut hash = match action {
        // A hasher that takes parts is two kilobytes to set up and to wipe.
        None => blake3::keyed_hash(secret.expose(), &covered),
        Some(action) => {
            let mut hasher = blake3::Hasher::new_keyed(secret.expose());
            hasher.update(&covered).update(action.0.as_bytes());
            let hash = hasher.finalize();
            hasher.zeroize();
            hash
        }
    };
    let mut code = [0; 16];
    let (front, _) = hash.as_bytes().split_at(16);
    code.copy_from_slice(front);
    hash.zeroize();
    Mac::from_16(code)
}

#[cfg(test)]
mod tests;
