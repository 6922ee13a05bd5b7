//! What to say to a presented form token, so that a page can tell what happened and keep the work
//! (S6, E9).
//!
//! The caller finds the sessions, in its table and among those that ended lately; here is decided.
//! A verdict about another session than the current one is given only where the MAC under that
//! session's secret proves that the token is of it: whoever makes up a hint learns nothing.

use super::{CSRF_TOKEN_DIGITS, CsrfCookie, CsrfToken, FormAction};
use crate::principal::Principal;
use crate::secret::SecretKey;
use crate::selector::Selector;
use crate::text::ServerId;
use core::fmt;

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionFate {
    /// It goes on.
    Living,
    /// It ended by time: idle too long, or at its absolute timeout.
    Expired,
    /// It was ended by its owner or an operator, or made way for room.
    Ended,
    /// This one took its place, by log-in or renewal.
    Replaced(Selector),
}

/// A session as far as a form token needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct FormSession<'a> {
    /// Its name, and by its time when it was opened.
    pub selector: Selector,
    /// Whose it is or was; none for an anonymous one.
    pub principal: Option<&'a Principal>,
    /// Its secret for form tokens.
    pub secret: &'a SecretKey,
    /// What became of it.
    pub fate: SessionFate,
}

/// What a presented form token comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a form is carried out only where its token is accepted"]
pub enum CsrfVerdict {
    /// It is of the current session: the form may be carried out.
    Accepted,
    /// There is none, or an empty one.
    Missing,
    /// It is no form token of ours by its form.
    Malformed,
    /// It is of a session that ended by time.
    Expired,
    /// It is of a session that was ended otherwise, and nobody has signed in again.
    SignedOut,
    /// It is of an earlier session of whoever is signed in now, or of this very session before its
    /// privilege changed.
    Superseded,
    /// It is of another session: somebody else's, or a newer one.
    OtherSession,
    /// It names another server.
    ForeignServer,
    /// It is of no session that is known, or not for this action, or forged.
    Mismatch,
}

impl CsrfVerdict {
    /// Every verdict.
    pub const ALL: [Self; 9] = [
        Self::Accepted,
        Self::Missing,
        Self::Malformed,
        Self::Expired,
        Self::SignedOut,
        Self::Superseded,
        Self::OtherSession,
        Self::ForeignServer,
        Self::Mismatch,
    ];

    /// Whether the form may be carried out.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted)
    }

    /// The word that scripts rely on.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Expired => "expired",
            Self::SignedOut => "signed_out",
            Self::Superseded => "superseded",
            Self::OtherSession => "other_session",
            Self::ForeignServer => "foreign_server",
            Self::Mismatch => "mismatch",
        }
    }
}

impl fmt::Display for CsrfVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Reads what a request presents: a token, or the whole value of the cookie as scripts send it.
///
/// What comes out is unproven; its hint says which session to look for before [`judge`].
///
/// # Errors
/// [`CsrfVerdict::Missing`], [`CsrfVerdict::Malformed`] or [`CsrfVerdict::ForeignServer`].
pub fn read(server: &ServerId, presented: Option<&[u8]>) -> Result<CsrfToken, CsrfVerdict> {
    let text = presented
        .filter(|text| !text.is_empty())
        .ok_or(CsrfVerdict::Missing)?;
    // What is as long as a token is none of the cookie's values, so a token is not searched.
    if text.len() == CSRF_TOKEN_DIGITS || !text.contains(&b'|') {
        return CsrfToken::parse(text).map_err(|_| CsrfVerdict::Malformed);
    }
    let cookie = CsrfCookie::parse(text).map_err(|_| CsrfVerdict::Malformed)?;
    if cookie.server_id == *server {
        Ok(cookie.token)
    } else {
        Err(CsrfVerdict::ForeignServer)
    }
}

/// Judges a token that was read.
///
/// `current` is the living session of the request; `named` is the one that the token's hint names,
/// living or recently ended, if it is known at all. A session that has had several secrets is
/// named with one after another, until one of them proves the token.
pub fn judge(
    token: &CsrfToken,
    action: Option<FormAction<'_>>,
    current: Option<FormSession<'_>>,
    named: Option<FormSession<'_>>,
) -> CsrfVerdict {
    // An ended session lets nothing be done, whoever hands it in as the current one.
    let current = current.filter(|session| session.fate == SessionFate::Living);
    if current.is_some_and(|session| token.verify(session.secret, action)) {
        return CsrfVerdict::Accepted;
    }
    match named {
        Some(named) if token.verify(named.secret, action) => about(named, current),
        _ => CsrfVerdict::Mismatch,
    }
}

/// What to say of a token that is proven to be of `named`, under a secret that is not the current
/// session's.
fn about(named: FormSession<'_>, current: Option<FormSession<'_>>) -> CsrfVerdict {
    let in_its_place = |now: FormSession<'_>| named.fate == SessionFate::Replaced(now.selector);
    let newer = |now: FormSession<'_>| named.selector.minted_at() <= now.selector.minted_at();
    match (named.principal, current) {
        // Its own, from before its privilege changed.
        (_, Some(now)) if named.selector == now.selector => CsrfVerdict::Superseded,
        (_, Some(now)) if in_its_place(now) => CsrfVerdict::Superseded,
        (Some(then), Some(now)) if now.principal == Some(then) => match named.fate {
            SessionFate::Living if !newer(now) => CsrfVerdict::OtherSession,
            _ => CsrfVerdict::Superseded,
        },
        (Some(_), Some(now)) if now.principal.is_some() => CsrfVerdict::OtherSession,
        // Nobody is signed in, or nobody was: then what became of it is all there is to say.
        _ => match named.fate {
            SessionFate::Living => CsrfVerdict::OtherSession,
            SessionFate::Expired => CsrfVerdict::Expired,
            SessionFate::Ended | SessionFate::Replaced(_) => CsrfVerdict::SignedOut,
        },
    }
}
