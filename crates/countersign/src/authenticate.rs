//! A request's credentials in one call, in their order (S9), and what to send back.
//!
//! Session, then bearer token, then remembered device: the first that lets somebody in is the one
//! that did, and the others are not looked at. A session of nobody in particular does not end the
//! search. A bearer token that is no good ends it: its request is refused, never anonymous.
//!
//! Of two requests that are sent together, the answer to the slower one must not take away what the
//! faster one was given. So a dead cookie is cleared only where no living one can be on its way,
//! and where another session has just taken the place of the one that was presented, or it has just
//! got another token, no device opens a third.

use crate::engine::Engine;
use crate::error::Error;
use crate::observer::Refused;
use crate::remember::Recall;
use crate::sessions::{NewLogIn, SessionVerdict, is_on_its_way, may_overtake};
use crate::verify::{Conditions, Pass, Verdict};
use countersign_core::header::{self, NotBearer};
use countersign_core::{
    CredentialKind, Principal, Refusal, Rejection, Scope, SecretText, Selector, SplitToken,
    Timestamp,
};
use countersign_sessions::{
    AttributeName, Denied, EndedBy, Live, Method, Refused as SessionRefused,
};
use countersign_store::pending::Pending;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What a request presents. The bytes are taken as they came, of any length.
#[derive(Clone, Copy, Default)]
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
    /// A page asks by itself now and then: that is no use of its session, and no reason for its
    /// device to open another (E12).
    pub passive: bool,
    /// What a bearer token must cover.
    pub scope: Option<&'a Scope>,
    /// Which attributes a session of nobody in particular hands on to the one that a remembered
    /// device opens.
    pub carry: &'a [AttributeName],
}

/// Which credentials there are, and never what is in them.
impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("session_bytes", &self.session.map(<[u8]>::len))
            .field("authorization_bytes", &self.authorization.map(<[u8]>::len))
            .field("remember_bytes", &self.remember.map(<[u8]>::len))
            .field("address", &self.address)
            .field("passive", &self.passive)
            .finish_non_exhaustive()
    }
}

/// Who a request comes from, and what its answer must carry. By default nobody, and nothing.
#[derive(Debug, Default)]
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
    /// Why the device that it presented lets nobody in: for the log.
    pub lost_device: Option<Rejection>,
    /// Why no session could be opened for a device that is remembered, such as a limit: what a
    /// page may tell its user.
    pub no_session: Option<Denied>,
    /// Seconds ago another session took the place of the one that was presented, or it got another
    /// token. That answer may still be on its way: a session that is opened for this one sets no
    /// cookie, or it takes the other away.
    pub overtaking: bool,
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

/// Nobody that is known, with nothing lost.
impl Default for Who {
    fn default() -> Self {
        Self::Anonymous(Anonymous::default())
    }
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

    /// Who it is whose session lets nobody in any more.
    fn lost(session: SessionRefused) -> Self {
        Self::Anonymous(Anonymous {
            lost_session: Some(session),
            ..Anonymous::default()
        })
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
            Ok(Ok(verdict)) => match self.by_session(verdict, text) {
                Found::Known(session) => Pending::ready(Ok(Authenticated::by(session))),
                Found::Nobody(lost) => self.without_session(presented, lost),
            },
            Ok(Err(error)) => Pending::ready(Err(error)),
            Err(found) => {
                let (engine, kept) = (self.clone(), Kept::of(self, text, &presented));
                self.inner().run(|_| async move {
                    match engine.by_session(found.await?, &kept.session) {
                        Found::Known(session) => Ok(Authenticated::by(session)),
                        Found::Nobody(lost) => engine.without_session(kept.presented(), lost).await,
                    }
                })
            }
        }
    }

    /// Judges once more who a request comes from that is still under way, such as when its body
    /// has come in, which may have taken as long as its sender liked: what let it in may have been
    /// revoked since.
    ///
    /// Nothing comes back where it stands; or else who it is by now: [`Who::Anonymous`] with why
    /// the session is lost, also where it has got another token since, or [`Who::Refused`] for an
    /// access token. It is no use of either, it is counted where it refuses alone, and nothing
    /// becomes of the cookies: the next request sees to them.
    pub fn revalidate(
        &self,
        who: &Who,
        address: Option<IpAddr>,
    ) -> Pending<Result<Option<Who>, Error>> {
        let inner = self.inner();
        match (who, who.session()) {
            (Who::Token(pass), _) => match inner.pass_again(pass, address).try_ready() {
                Ok(refused) => Pending::ready(refused.map(|refused| refused.map(Who::Refused))),
                Err(found) => inner.run(|_| async move { Ok(found.await?.map(Who::Refused)) }),
            },
            (_, Some(live)) => match inner.session_again(live, address).try_ready() {
                Ok(refused) => Pending::ready(refused.map(|refused| refused.map(Who::lost))),
                Err(found) => inner.run(|_| async move { Ok(found.await?.map(Who::lost)) }),
            },
            _ => Pending::ready(Ok(None)),
        }
    }

    fn by_session(&self, verdict: SessionVerdict, presented: &[u8]) -> Found {
        match verdict {
            SessionVerdict::In(session) if session.owner().is_some() => {
                Found::Known(Who::Session(session))
            }
            SessionVerdict::In(session) => Found::Nobody(Lost {
                session: Some(session),
                ..Lost::default()
            }),
            SessionVerdict::Refused(refused) => {
                let fate = self.fate_of(&refused, presented);
                Found::Nobody(Lost {
                    refused: Some(refused),
                    ..fate
                })
            }
        }
    }

    /// What becomes of the cookie of a session that is no good.
    fn fate_of(&self, refused: &SessionRefused, presented: &[u8]) -> Lost {
        let inner = self.inner();
        let now = inner.now();
        let (replaced_at, stays) = match refused {
            SessionRefused::Gone(gone) => {
                let on_its_way = is_on_its_way(gone.at, now);
                let replaced = on_its_way && gone.by == EndedBy::LogIn;
                (replaced.then_some(gone.at), on_its_way)
            }
            // It goes on under another token, which may be on its way or was lost.
            SessionRefused::Rejected(Rejection::Mismatch) => {
                let token = inner.format.parse(CredentialKind::Session, presented);
                let renewed = |token: SplitToken| inner.renewed.find(token.selector(), now);
                (token.ok().and_then(renewed), true)
            }
            // It goes on once its principal is enabled.
            SessionRefused::Rejected(Rejection::Disabled) => (None, true),
            _ => (None, false),
        };
        Lost {
            replaced: replaced_at.is_some(),
            overtaking: replaced_at.is_some_and(|at| may_overtake(at, now)),
            cookie: match stays {
                true => CookieChange::Keep,
                false => CookieChange::Clear,
            },
            ..Lost::default()
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
        // What the browser is about to have must not be overwritten.
        let looked_at = !presented.passive && !lost.replaced;
        let Some(text) = presented.remember.filter(|_| looked_at) else {
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
        // Sent whatever comes of the session: what it replaces is on its way out.
        let remember_cookie = match recalled.successor {
            Some(value) => CookieChange::Set {
                value,
                expires_at: Some(recalled.expires_at),
            },
            None => CookieChange::Keep,
        };
        let login = NewLogIn {
            carry,
            ends_by: Some(recalled.expires_at),
            series: Some(recalled.selector),
            ..NewLogIn::new(recalled.principal, Method::RememberMe, Duration::ZERO)
        };
        let opened = match self.sessions().log_in(lost.session.clone(), login).await {
            Ok(opened) => opened,
            Err(error) => return lost.no_session(error, remember_cookie),
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
    /// Another session has just taken its place, or it has just got another token.
    replaced: bool,
    /// So lately that this answer may arrive first.
    overtaking: bool,
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
            session_cookie: self.cookie,
            remember_cookie: remember_cookie.unwrap_or_default(),
            who: Who::Anonymous(Anonymous {
                session: self.session,
                lost_session: self.refused,
                lost_device,
                no_session: None,
                overtaking: self.overtaking,
            }),
        }
    }

    /// A device that is remembered, and for which no session can be opened.
    fn no_session(
        self,
        error: Error,
        remember_cookie: CookieChange,
    ) -> Result<Authenticated, Error> {
        let (lost_device, no_session) = match error {
            Error::Refused(Refusal::SwitchedOff(_)) => (Some(Rejection::SwitchedOff), None),
            Error::Refused(Refusal::Disabled) => (Some(Rejection::Disabled), None),
            Error::Session(denied) => (None, Some(denied)),
            error => return Err(error),
        };
        Ok(Authenticated {
            session_cookie: self.cookie,
            remember_cookie,
            who: Who::Anonymous(Anonymous {
                session: self.session,
                lost_session: self.refused,
                lost_device,
                no_session,
                overtaking: self.overtaking,
            }),
        })
    }
}

/// What a request presents besides a session, kept until a store that is far away has answered.
struct Kept {
    session: Vec<u8>,
    passive: bool,
    authorization: Option<Vec<u8>>,
    remember: Option<Vec<u8>>,
    address: Option<IpAddr>,
    scope: Option<Scope>,
    carry: Vec<AttributeName>,
}

impl Kept {
    fn of(engine: &Engine, session: &[u8], presented: &Presented<'_>) -> Self {
        let longest = engine.longest_header();
        let keep = |text: &[u8]| text.get(..longest).unwrap_or(text).to_vec();
        Self {
            session: keep(session),
            passive: presented.passive,
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
            passive: self.passive,
            scope: self.scope.as_ref(),
            carry: &self.carry,
        }
    }
}
