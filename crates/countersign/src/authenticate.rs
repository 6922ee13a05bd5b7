//! A request's credentials in one call, in their order (S9), and what to send back.
//!
//! Session, then bearer token, then remembered device: the first that lets somebody in is the one
//! that did, and the others are not looked at. A session of nobody in particular does not end the
//! search. A bearer token that is no good ends it: its request is refused, never anonymous.
//!
//! A dead cookie is cleared only where no living one can be on its way: of two requests that are
//! sent together, the answer to the slower one must not take away what the faster one was given.

use crate::engine::Engine;
use crate::error::Error;
use crate::observer::Refused;
use crate::remember::Recall;
use crate::sessions::{NewLogIn, SessionVerdict};
use crate::verify::{Conditions, Pass, Verdict};
use countersign_core::header::{self, NotBearer};
use countersign_core::{
    CredentialKind, Principal, Refusal, Rejection, Scope, SecretText, Selector, Timestamp,
};
use countersign_sessions::{AttributeName, EndedBy, Live, Method, Refused as SessionRefused};
use countersign_store::pending::Pending;
use std::net::IpAddr;
use std::time::Duration;

/// For how long after its end a session's cookie is left alone: a log-in's answer may be on its
/// way to the browser with another one.
const ANSWERS_ON_THE_WAY: Duration = Duration::from_secs(60);

/// What a request presents. The bytes are taken as they came, of any length.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    /// The value of the session cookie.
    pub session: Option<&'a [u8]>,
    /// The value of the `Authorization` header. Another scheme than `Bearer` is not ours and is
    /// passed over.
    pub authorization: Option<&'a [u8]>,
    /// The value of the remember-me cookie.
    pub remember: Option<&'a [u8]>,
    /// From where.
    pub address: Option<IpAddr>,
    /// Whether it counts as use of the session: not where a page asks by itself now and then
    /// (E12).
    pub passive: bool,
    /// What a bearer token must cover.
    pub scope: Option<&'a Scope>,
    /// Which attributes a session of nobody in particular hands on to the one that a remembered
    /// device opens.
    pub carry: &'a [AttributeName],
}

/// Who a request comes from, and what its answer must carry.
#[derive(Debug)]
pub struct Authenticated {
    /// Who.
    pub who: Who,
    /// What becomes of the session cookie.
    pub session_cookie: CookieChange,
    /// What becomes of the remember-me cookie.
    pub remember_cookie: CookieChange,
}

/// Who a request comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Who {
    /// Somebody with a session.
    Session(Live),
    /// Somebody with an access token. The request has no session and needs no form token.
    Token(Pass),
    /// Somebody whose device is remembered, with the session that was opened for it.
    Remembered(ByDevice),
    /// Nobody that is known.
    Anonymous(Anonymous),
    /// Nobody: a bearer token was presented and is no good. To be answered 401, `invalid_token`
    /// (RFC 6750, section 3.1), or 403, `insufficient_scope`, for [`Rejection::Scope`].
    Refused(Rejection),
}

/// Who came in by a remembered device.
#[derive(Clone, Debug)]
pub struct ByDevice {
    /// The new session. It never counts as freshly authenticated.
    pub session: Live,
    /// The device.
    pub series: Selector,
}

/// A request of nobody that is known.
#[derive(Clone, Debug, Default)]
pub struct Anonymous {
    /// Its session, if it has one.
    pub session: Option<Live>,
    /// Why the session that it presented is no good: what a page may tell its user.
    pub lost_session: Option<SessionRefused>,
    /// Why the device that it presented is not remembered: for the log.
    pub lost_device: Option<Rejection>,
}

/// What becomes of a cookie.
#[derive(Debug, Default)]
pub enum CookieChange {
    /// Nothing.
    #[default]
    Keep,
    /// It is set.
    Set {
        /// Its value.
        value: SecretText,
        /// When it is worth nothing any more; `None` for a cookie of the browser's session.
        expires_at: Option<Timestamp>,
    },
    /// It is dead and is cleared.
    Clear,
}

impl Who {
    /// The principal, where it is somebody.
    #[must_use]
    pub fn principal(&self) -> Option<Principal> {
        match self {
            Self::Session(session) => session.principal(),
            Self::Remembered(remembered) => remembered.session.principal(),
            Self::Token(pass) => Some(pass.principal().clone()),
            Self::Anonymous(_) | Self::Refused(_) => None,
        }
    }

    /// The session, if the request has one, a session of nobody in particular included.
    #[must_use]
    pub const fn session(&self) -> Option<&Live> {
        match self {
            Self::Session(session) => Some(session),
            Self::Remembered(remembered) => Some(&remembered.session),
            Self::Anonymous(anonymous) => anonymous.session.as_ref(),
            Self::Token(_) | Self::Refused(_) => None,
        }
    }
}

impl Engine {
    /// Who a request comes from, by the credentials that it presents.
    ///
    /// A remembered device opens a session, and what its secret proves is written. Nothing else
    /// is: a flood of refused credentials writes nothing.
    pub fn authenticate(&self, presented: Presented<'_>) -> Pending<Result<Authenticated, Error>> {
        let Some(text) = presented.session else {
            return self.without_session(presented, Lost::default());
        };
        let found = match presented.passive {
            true => self.sessions().peek(text, presented.address),
            false => self.sessions().touch(text, presented.address),
        };
        match found.try_ready() {
            Ok(Ok(verdict)) => match self.by_session(verdict) {
                Found::Known(session) => Pending::ready(Ok(Authenticated::by(session))),
                Found::Nobody(lost) => self.without_session(presented, lost),
            },
            Ok(Err(error)) => Pending::ready(Err(error)),
            Err(found) => {
                let (engine, kept) = (self.clone(), Kept::of(self, &presented));
                self.inner().run(|_| async move {
                    match engine.by_session(found.await?) {
                        Found::Known(session) => Ok(Authenticated::by(session)),
                        Found::Nobody(lost) => engine.without_session(kept.presented(), lost).await,
                    }
                })
            }
        }
    }

    fn by_session(&self, verdict: SessionVerdict) -> Found {
        match verdict {
            SessionVerdict::In(session) if session.owner().is_some() => {
                Found::Known(Who::Session(session))
            }
            SessionVerdict::In(session) => Found::Nobody(Lost {
                session: Some(session),
                ..Lost::default()
            }),
            SessionVerdict::Refused(refused) => Found::Nobody(Lost {
                cookie: session_cookie_of(&refused, self.inner().now()),
                refused: Some(refused),
                session: None,
            }),
        }
    }

    fn without_session(
        &self,
        presented: Presented<'_>,
        lost: Lost,
    ) -> Pending<Result<Authenticated, Error>> {
        let inner = self.inner();
        match presented.authorization.map(|value| self.bearer_in(value)) {
            Some(Ok(token)) => {
                let (scope, address) = (presented.scope, presented.address);
                let conditions = Conditions { scope, address };
                return match inner.verify(token, conditions).try_ready() {
                    Ok(verdict) => Pending::ready(verdict.map(|verdict| lost.by_token(verdict))),
                    Err(found) => inner.run(|_| async move { Ok(lost.by_token(found.await?)) }),
                };
            }
            Some(Err(NotBearer::Missing | NotBearer::Token)) => {
                let refused = Refused {
                    at: inner.now(),
                    kind: CredentialKind::Access,
                    selector: None,
                    rejection: Rejection::Malformed,
                    address: presented.address,
                    suppressed: 0,
                };
                let rejection = inner.refuse(&inner.policy.load(), refused);
                return Pending::ready(Ok(lost.by_token(Verdict::Refused(rejection))));
            }
            // No credential of ours.
            Some(Err(_)) | None => {}
        }
        let Some(text) = presented.remember else {
            return Pending::ready(Ok(lost.nobody(None)));
        };
        let recall = self.remember().present(text, presented.address);
        let (engine, carry) = (self.clone(), presented.carry.to_vec());
        inner.run(|_| async move { engine.by_device(recall.await?, lost, carry).await })
    }

    /// The token in the value of an `Authorization` header, which is looked at within bounds.
    fn bearer_in<'a>(&self, value: &'a [u8]) -> Result<&'a [u8], NotBearer> {
        header::bearer(value.get(..self.longest_header()).unwrap_or(value))
    }

    /// By one byte longer than any that could be good, so that it is seen to be too long.
    fn longest_header(&self) -> usize {
        let policy = self.inner().policy.load();
        let longest = policy.input().max_credential_bytes as usize;
        longest
            .saturating_add(header::LINE_FRAME_MAX)
            .saturating_add(1)
    }

    async fn by_device(
        &self,
        recall: Recall,
        lost: Lost,
        carry: Vec<AttributeName>,
    ) -> Result<Authenticated, Error> {
        let recalled = match recall {
            Recall::In(recalled) => recalled,
            Recall::Refused(rejection) => return Ok(lost.nobody(Some(rejection))),
        };
        let login = NewLogIn {
            carry,
            series: Some(recalled.selector),
            ..NewLogIn::new(recalled.principal, Method::RememberMe, Duration::ZERO)
        };
        let opened = match self.sessions().log_in(lost.session.clone(), login).await {
            Ok(opened) => opened,
            // A device opens nothing but a session: what it was handed it is handed again.
            Err(Error::Refused(Refusal::SwitchedOff(_))) => {
                return Ok(lost.nobody(Some(Rejection::SwitchedOff)));
            }
            Err(Error::Refused(Refusal::Disabled)) => {
                return Ok(lost.nobody(Some(Rejection::Disabled)));
            }
            Err(error) => return Err(error),
        };
        // The device may have been forgotten, or its theft proven, since it was recalled; what
        // ended its sessions then did not find this one.
        let stands = self.inner().fallen_device(recalled.selector).await;
        if !matches!(stands, Ok(None)) {
            let by = match stands {
                Ok(Some(Rejection::Reused)) => EndedBy::Theft,
                _ => EndedBy::Operator,
            };
            // One that is over already is as good.
            let _ = self.inner().end_session(opened.session.selector(), by);
            return stands.map(|fallen| lost.nobody(fallen));
        }
        let remember_cookie = match recalled.successor {
            Some(value) => CookieChange::Set {
                value,
                expires_at: Some(recalled.expires_at),
            },
            None => CookieChange::Keep,
        };
        Ok(Authenticated {
            who: Who::Remembered(ByDevice {
                session: opened.session,
                series: recalled.selector,
            }),
            session_cookie: CookieChange::Set {
                value: opened.token,
                expires_at: None,
            },
            remember_cookie,
        })
    }
}

/// What becomes of the cookie of a session that is no good.
fn session_cookie_of(refused: &SessionRefused, now: Timestamp) -> CookieChange {
    let living_may_come = match refused {
        SessionRefused::Gone(gone) => now.since(gone.at) < ANSWERS_ON_THE_WAY,
        // The session goes on under another token; or it does once its principal is enabled.
        SessionRefused::Rejected(Rejection::Mismatch | Rejection::Disabled) => true,
        _ => false,
    };
    match living_may_come {
        true => CookieChange::Keep,
        false => CookieChange::Clear,
    }
}

/// What becomes of the cookie of a device that is not remembered.
const fn remember_cookie_of(rejection: Rejection) -> CookieChange {
    match rejection {
        // It is remembered again once its principal is enabled; or its browser has another secret.
        Rejection::Disabled | Rejection::Mismatch => CookieChange::Keep,
        _ => CookieChange::Clear,
    }
}

impl Authenticated {
    const fn by(who: Who) -> Self {
        Self {
            who,
            session_cookie: CookieChange::Keep,
            remember_cookie: CookieChange::Keep,
        }
    }
}

/// What a session cookie came to.
enum Found {
    Known(Who),
    Nobody(Lost),
}

/// What is known of a request that no session of somebody lets in.
#[derive(Debug, Default)]
struct Lost {
    session: Option<Live>,
    refused: Option<SessionRefused>,
    cookie: CookieChange,
}

impl Lost {
    fn by_token(self, verdict: Verdict) -> Authenticated {
        let who = match verdict {
            Verdict::In(pass) => Who::Token(pass),
            Verdict::Refused(rejection) => Who::Refused(rejection),
        };
        Authenticated {
            session_cookie: self.cookie,
            ..Authenticated::by(who)
        }
    }

    fn nobody(self, lost_device: Option<Rejection>) -> Authenticated {
        let remember_cookie = lost_device.map(remember_cookie_of);
        Authenticated {
            who: Who::Anonymous(Anonymous {
                session: self.session,
                lost_session: self.refused,
                lost_device,
            }),
            session_cookie: self.cookie,
            remember_cookie: remember_cookie.unwrap_or_default(),
        }
    }
}

/// What a request presents besides a session, kept until a store that is far away has answered.
struct Kept {
    authorization: Option<Vec<u8>>,
    remember: Option<Vec<u8>>,
    address: Option<IpAddr>,
    scope: Option<Scope>,
    carry: Vec<AttributeName>,
}

impl Kept {
    fn of(engine: &Engine, presented: &Presented<'_>) -> Self {
        let longest = engine.longest_header();
        let keep = |text: &[u8]| text.get(..longest).unwrap_or(text).to_vec();
        Self {
            authorization: presented.authorization.map(keep),
            remember: presented.remember.map(keep),
            address: presented.address,
            scope: presented.scope.cloned(),
            carry: presented.carry.to_vec(),
        }
    }

    fn presented(&self) -> Presented<'_> {
        Presented {
            session: None,
            authorization: self.authorization.as_deref(),
            remember: self.remember.as_deref(),
            address: self.address,
            passive: false,
            scope: self.scope.as_ref(),
            carry: &self.carry,
        }
    }
}
