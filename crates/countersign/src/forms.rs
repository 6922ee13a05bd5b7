//! Form tokens as a host uses them: make one for a session, and judge what a form brought back.
//!
//! What is said of a lost one is decided in `countersign_core::csrf`; here the sessions are found
//! that it may be of, living or recently ended. This is no access check: whose session it is was
//! judged before, from the session's own token.

use crate::error::Error;
use crate::inner::Inner;
use crate::observer::Refused;
use countersign_core::csrf::{
    self, CsrfCookie, CsrfToken, CsrfVerdict, FormAction, MadeWhile, SessionFate,
};
use countersign_core::{CredentialKind, Principal, Rejection, SecretText, Selector};
use countersign_sessions::{EndedBy, FormSession, Live, Owner};
use std::iter;
use std::sync::Arc;

/// Form tokens. Made by [`Engine::forms`](crate::Engine::forms).
///
/// A token is made with its session and is good in it alone, all session long (S4). Every call
/// that makes or judges one takes the session as a [`Live`] from a call of the same request
/// ([`Sessions::touch`](crate::Sessions::touch), a log-in, an elevation): nothing here looks
/// whether the principal may still come in, so a `Live` that was kept would be a verdict that was
/// kept (invariant I11).
#[derive(Clone, Copy, Debug)]
pub struct FormTokens<'a>(pub(crate) &'a Arc<Inner>);

impl FormTokens<'_> {
    /// The token in the form that is the same all session long, for scripts: 44 digits.
    ///
    /// With an action it is good for a form of that action and no other.
    #[must_use]
    pub fn stable(&self, session: &Live, action: Option<FormAction<'_>>) -> SecretText {
        self.0.stable(session, action).text()
    }

    /// The token as another text each time, for a page that is compressed with it: 44 digits.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn masked(
        &self,
        session: &Live,
        action: Option<FormAction<'_>>,
    ) -> Result<SecretText, Error> {
        let random = crate::entropy::bytes(&*self.0.entropy)?;
        let secret = session.csrf_secret(&self.0.keyring);
        let token = CsrfToken::mint_masked(session.selector(), &secret, action, random);
        Ok(token.text())
    }

    /// The value of the cookie that scripts read, under the policy's `form_tokens.cookie_name`
    /// (S5): `<server id>|<stable token>|lin`, or `lout` for a session of nobody in particular.
    #[must_use]
    pub fn cookie(&self, session: &Live) -> SecretText {
        let cookie = CsrfCookie {
            server_id: self.0.server_id.clone(),
            token: self.0.stable(session, None),
            made_while: made_while(session),
        };
        // A token in its stable form has a cookie: the other case does not happen.
        let text = cookie.text();
        text.unwrap_or_else(|| SecretText::new(String::new()))
    }

    /// Whether a text is the cookie of the session, as [`FormTokens::cookie`] writes it: then it
    /// need not be sent again.
    #[must_use]
    pub fn is_cookie_of(&self, session: &Live, text: &[u8]) -> bool {
        let token = CsrfCookie::token_in(text, &self.0.server_id, made_while(session));
        token.is_some_and(|token| {
            let secret = session.csrf_secret(&self.0.keyring);
            token.is_stable_of(session.selector(), &secret)
        })
    }

    /// Judges the token that came with a form: the value of the field, of a header, or of the
    /// cookie as a script sends it.
    ///
    /// `current` is the request's session from a call that was just made, none where it has none;
    /// a session that the engine refuses is no current one. The form may be carried out only where
    /// the answer is [`CsrfVerdict::Accepted`]; the others tell what happened, so that a page can
    /// keep the user's work (E9). What is told of another session than the current one has been
    /// proven by the token.
    pub fn check(
        &self,
        current: Option<&Live>,
        presented: Option<&[u8]>,
        action: Option<FormAction<'_>>,
    ) -> CsrfVerdict {
        self.judge(current, presented, action).verdict
    }

    /// The same, and whose form it is: for a page that keeps what was typed until somebody has
    /// signed in, who may be somebody else.
    #[must_use]
    pub fn judge(
        &self,
        current: Option<&Live>,
        presented: Option<&[u8]>,
        action: Option<FormAction<'_>>,
    ) -> FormVerdict {
        let (verdict, proven) = match csrf::read(&self.0.server_id, presented) {
            Ok(token) => self.0.judge_form(&token, current, action),
            Err(verdict) => (verdict, None),
        };
        let (selector, owner) = match proven {
            Some(ProvenSession { selector, owner }) => (Some(selector), owner),
            None => (None, None),
        };
        if let Some(rejection) = rejection_of(verdict) {
            let refused = Refused {
                at: self.0.now(),
                kind: CredentialKind::Csrf,
                selector,
                rejection,
                address: None,
                suppressed: 0,
            };
            self.0.refuse(&self.0.policy.load(), refused);
        }
        FormVerdict { verdict, owner }
    }
}

/// What a presented form token comes to, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormVerdict {
    /// What it comes to.
    pub verdict: CsrfVerdict,
    /// Whose session the token of a form that is not accepted is proven to be of, though it may
    /// have ended. None where that is not proven, or it is a session of nobody in particular; and
    /// where it is accepted: then it is of the current one.
    pub owner: Option<Principal>,
}

/// The session that a token is proven to be of.
struct ProvenSession {
    selector: Selector,
    owner: Option<Principal>,
}

impl Inner {
    fn stable(&self, session: &Live, action: Option<FormAction<'_>>) -> CsrfToken {
        let secret = session.csrf_secret(&self.keyring);
        CsrfToken::mint_stable(session.selector(), &secret, action)
    }

    /// The verdict, and which session the token is proven to be of.
    fn judge_form(
        &self,
        token: &CsrfToken,
        current: Option<&Live>,
        action: Option<FormAction<'_>>,
    ) -> (CsrfVerdict, Option<ProvenSession>) {
        let keyring = &self.keyring;
        let mine = current.map(|live| (live, live.csrf_secret(keyring)));
        let mine = mine.as_ref().map(|(live, secret)| csrf::FormSession {
            selector: live.selector(),
            // Who it is counts only for what is said of another session's token.
            principal: None,
            secret,
            fate: SessionFate::Living,
        });
        let verdict = csrf::judge(token, action, mine, None);
        let proven = |selector, owner| Some(ProvenSession { selector, owner });
        if let Some(current) = current.filter(|_| verdict.is_accepted()) {
            // Whose it is, is known, and need not be copied.
            return (verdict, proven(current.selector(), None));
        }
        let Some(named) = self.named_by(token) else {
            return (verdict, None);
        };
        let now = current.and_then(Live::principal);
        let current = mine.map(|mine| csrf::FormSession {
            principal: now.as_ref(),
            ..mine
        });
        let principal = named.owner.as_ref().and_then(Owner::principal);
        let latest = iter::once_with(|| named.csrf_secret(keyring));
        for secret in latest.chain(named.earlier_csrf_secrets(keyring)) {
            let session = csrf::FormSession {
                selector: named.selector,
                principal: principal.as_ref(),
                secret: &secret,
                fate: fate_of(&named),
            };
            let verdict = csrf::judge(token, action, current, Some(session));
            if verdict != CsrfVerdict::Mismatch {
                return (verdict, proven(named.selector, principal));
            }
        }
        (CsrfVerdict::Mismatch, None)
    }

    /// The session that a token's hint leads to. That it is the token's is not proven by that.
    fn named_by(&self, token: &CsrfToken) -> Option<FormSession> {
        let policy = self.policy.load();
        let (moment, hint) = (self.moment(&policy), token.hint().to_bytes());
        let done = self.sessions.form_session(&moment, hint);
        self.tell_ended(done.ended);
        done.outcome
    }
}

const fn made_while(session: &Live) -> MadeWhile {
    match session.owner() {
        Some(_) => MadeWhile::SignedIn,
        None => MadeWhile::SignedOut,
    }
}

/// What became of a session, as far as a form needs to know it.
fn fate_of(session: &FormSession) -> SessionFate {
    match (session.gone.map(|gone| gone.by), session.successor) {
        (None, _) => SessionFate::Living,
        (Some(EndedBy::Idle | EndedBy::Absolute), _) => SessionFate::Expired,
        (Some(_), Some(successor)) => SessionFate::Replaced(successor),
        (Some(_), None) => SessionFate::Ended,
    }
}

/// The reason among those that all kinds share; none where nothing was refused.
const fn rejection_of(verdict: CsrfVerdict) -> Option<Rejection> {
    match verdict {
        CsrfVerdict::Accepted => None,
        CsrfVerdict::Missing | CsrfVerdict::Malformed => Some(Rejection::Malformed),
        CsrfVerdict::Expired => Some(Rejection::Expired),
        CsrfVerdict::SignedOut | CsrfVerdict::Superseded => Some(Rejection::Revoked),
        CsrfVerdict::OtherSession | CsrfVerdict::Mismatch => Some(Rejection::Mismatch),
        CsrfVerdict::ForeignServer => Some(Rejection::Unknown),
    }
}
