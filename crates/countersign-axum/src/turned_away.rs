//! Requests that are turned away: each reason is a type with a status.
//!
//! A stranger is told only that a credential was refused; the reason is in the value, for the
//! host and its logs. The response that one of these becomes says the same in a line of text; the
//! layer makes a page of it ([`Pages`](crate::Pages)).

mod engine_failed;
mod lost_form;

pub use engine_failed::EngineFailed;
pub use lost_form::{LostFiles, LostForm, Typed};

use crate::origin::Foreign;
use crate::read::Carrier;
use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use countersign::{Rejection, Scope};
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use std::fmt;
use std::sync::Arc;

/// What a protected area is called in a challenge (RFC 9110, section 11.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Realm(pub(crate) Arc<str>);

impl Realm {
    /// Printable ASCII without what would end the quoted text.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let allowed = |c: u8| (b' '..=b'~').contains(&c) && c != b'"' && c != b'\\';
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.into()))
    }

    /// The challenge, with what RFC 6750 says of a token that was presented.
    fn challenge(&self, said: fmt::Arguments<'_>) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("Bearer realm=\"{}\"{said}", self.0)).ok()
    }
}

/// A credential came twice, so that nobody can say which of the two counts: 400, for a bearer token
/// `invalid_request`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {carrier} came more than once")]
pub struct AmbiguousCredential {
    /// Which.
    pub carrier: Carrier,
    pub(crate) realm: Realm,
}

/// The cookies are longer than what is looked at: 431 (RFC 6585).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cookies have {bytes} bytes; at most {max} are looked at")]
pub struct CookiesTooLong {
    /// How many bytes they have.
    pub bytes: usize,
    /// How many they may have.
    pub max: usize,
}

/// Nobody is signed in: 401, with a challenge that names no error (RFC 6750, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is for those who are signed in")]
pub struct NotAuthenticated {
    pub(crate) realm: Realm,
}

/// A bearer token was presented and is no good: 401, `invalid_token`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access token is not valid")]
pub struct BadToken {
    /// Why, for the log alone.
    pub rejection: Rejection,
    pub(crate) realm: Realm,
}

/// The bearer token does not cover what the request needs: 403, `insufficient_scope`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access token does not cover the scope {scope}")]
pub struct MissingScope {
    /// What it would have to cover.
    pub scope: Scope,
    pub(crate) realm: Realm,
}

/// What was asked for needs a session, and this request came with a token: 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is for those who are signed in with a session")]
pub struct NoSession;

/// The session's authentication is not fresh: 403. The host asks for the password again and calls
/// [`Visit::elevate`](crate::Visit::elevate).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sign in again to go on")]
pub struct NotFresh;

/// A request that would change something does not come from our own pages: 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request does not come from a page of this application ({reason})")]
pub struct ForeignRequest {
    /// How that shows.
    pub reason: Foreign,
}

/// A form does not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadForm {
    /// It is of another content type: 415.
    #[error("the form is of a content type that is not taken here")]
    ContentType,
    /// It is longer than what the host takes ([`DefaultBodyLimit`]): 413.
    ///
    /// [`DefaultBodyLimit`]: axum_core::extract::DefaultBodyLimit
    #[error("the form is too long")]
    TooLong,
    /// It ends early, or does not read: 400.
    #[error("the form does not read")]
    Unreadable,
    /// Its fields are not those that are asked for: 422.
    #[error("the form's fields do not fit: {0}")]
    Fields(String),
}

/// An image token does not open the image, or there is none: 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the link does not open this image")]
pub struct BadImage {
    /// Why, for the log alone; `None` where no token came.
    pub rejection: Option<Rejection>,
}

/// An extractor was asked on a route that the layer does not stand before: 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the route is not behind the layer")]
pub struct NoLayer;

/// A cookie was to be changed after the head of the response had been made: 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the response is on its way: its cookies cannot change any more")]
pub struct TooLate;

/// A request that is turned away, and why.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TurnedAway {
    /// A credential came twice.
    #[error(transparent)]
    Ambiguous(#[from] AmbiguousCredential),
    /// The cookies are too long.
    #[error(transparent)]
    CookiesTooLong(#[from] CookiesTooLong),
    /// Nobody is signed in.
    #[error(transparent)]
    NotAuthenticated(#[from] NotAuthenticated),
    /// The bearer token is no good.
    #[error(transparent)]
    BadToken(#[from] BadToken),
    /// The bearer token does not cover a scope.
    #[error(transparent)]
    MissingScope(#[from] MissingScope),
    /// There is no session.
    #[error(transparent)]
    NoSession(#[from] NoSession),
    /// The session's authentication is not fresh.
    #[error(transparent)]
    NotFresh(#[from] NotFresh),
    /// The request comes from elsewhere.
    #[error(transparent)]
    Foreign(#[from] ForeignRequest),
    /// The form's token is lost.
    #[error(transparent)]
    LostForm(#[from] LostForm),
    /// The form does not read.
    #[error(transparent)]
    BadForm(#[from] BadForm),
    /// The image token opens nothing.
    #[error(transparent)]
    BadImage(#[from] BadImage),
    /// The engine failed, or refuses what was asked.
    #[error(transparent)]
    Engine(#[from] EngineFailed),
    /// There is no layer.
    #[error(transparent)]
    NoLayer(#[from] NoLayer),
    /// The head of the response had been made.
    #[error(transparent)]
    TooLate(#[from] TooLate),
}

impl TurnedAway {
    /// The status that it is answered with.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Ambiguous(_) | Self::BadForm(BadForm::Unreadable) => StatusCode::BAD_REQUEST,
            Self::CookiesTooLong(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NotAuthenticated(_) | Self::BadToken(_) => StatusCode::UNAUTHORIZED,
            Self::MissingScope(_)
            | Self::NoSession(_)
            | Self::NotFresh(_)
            | Self::Foreign(_)
            | Self::LostForm(_)
            | Self::BadImage(_) => StatusCode::FORBIDDEN,
            Self::BadForm(BadForm::ContentType) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BadForm(BadForm::TooLong) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadForm(BadForm::Fields(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Engine(failed) => failed.status(),
            Self::NoLayer(_) | Self::TooLate(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The word that scripts rely on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Ambiguous(_) => "ambiguous_credential",
            Self::CookiesTooLong(_) => "cookies_too_long",
            Self::NotAuthenticated(_) => "not_authenticated",
            Self::BadToken(_) => "invalid_token",
            Self::MissingScope(_) => "insufficient_scope",
            Self::NoSession(_) => "no_session",
            Self::NotFresh(_) => "not_fresh",
            Self::Foreign(_) => "foreign_request",
            Self::LostForm(_) => "lost_form",
            Self::BadForm(_) => "bad_form",
            Self::BadImage(_) => "bad_image",
            Self::Engine(failed) => failed.code(),
            Self::NoLayer(_) => "no_layer",
            Self::TooLate(_) => "too_late",
        }
    }

    /// What RFC 6750 has a client told about the token that it sent, or should have sent.
    pub(crate) fn challenge(&self) -> Option<HeaderValue> {
        match self {
            Self::Ambiguous(AmbiguousCredential {
                carrier: Carrier::Authorization,
                realm,
            }) => realm.challenge(format_args!(", error=\"invalid_request\"")),
            Self::NotAuthenticated(NotAuthenticated { realm }) => realm.challenge(format_args!("")),
            Self::BadToken(BadToken { realm, .. }) => {
                realm.challenge(format_args!(", error=\"invalid_token\""))
            }
            Self::MissingScope(MissingScope { scope, realm }) => realm.challenge(format_args!(
                ", error=\"insufficient_scope\", scope=\"{scope}\""
            )),
            _ => None,
        }
    }

    /// The headers that go with it whatever its page looks like.
    pub(crate) fn put_headers<B>(&self, response: &mut Response<B>) {
        let retryable = matches!(self, Self::Engine(failed) if failed.is_retryable());
        let status = response.status();
        let headers = response.headers_mut();
        // A host may answer with a page of its own, such as a way to sign in.
        if status == self.status()
            && let Some(challenge) = self.challenge()
        {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if retryable && status == self.status() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
}

/// What a response was made of, for the layer to make a page of it.
#[derive(Clone, Debug)]
pub(crate) struct MadeOf(pub(crate) Arc<TurnedAway>);

impl MadeOf {
    pub(crate) fn is_lost_form(response: &Response) -> bool {
        let made_of = response.extensions().get::<Self>();
        made_of.is_some_and(|Self(turned_away)| matches!(**turned_away, TurnedAway::LostForm(_)))
    }
}

impl IntoResponse for TurnedAway {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(format!("{self}\n")));
        *response.status_mut() = self.status();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        self.put_headers(&mut response);
        response.extensions_mut().insert(MadeOf(Arc::new(self)));
        response
    }
}

macro_rules! into_response {
    ($($name:ty),* $(,)?) => {$(
        impl IntoResponse for $name {
            fn into_response(self) -> Response {
                TurnedAway::from(self).into_response()
            }
        }
    )*};
}

into_response!(
    AmbiguousCredential,
    CookiesTooLong,
    NotAuthenticated,
    BadToken,
    MissingScope,
    NoSession,
    NotFresh,
    ForeignRequest,
    LostForm,
    BadForm,
    BadImage,
    EngineFailed,
    NoLayer,
    TooLate,
);
