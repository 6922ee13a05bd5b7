//! A form whose token has been checked before its fields are handed out.

use crate::extract::visit_in;
use crate::turned_away::{BadForm, LostForm, TurnedAway, Typed};
use crate::visit::Visit;
use axum_core::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use countersign::FormVerdict;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// The headers in which scripts send the token.
const HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("x-csrf-token"),
    HeaderName::from_static("x-atlassian-token"),
];

/// A form, `application/x-www-form-urlencoded`, with its token checked.
///
/// The token is in the field that the policy names, or in a header `X-CSRF-Token` or
/// `X-Atlassian-Token`, which then counts alone. A request with an access token needs none. The
/// field is not handed on to `T`.
///
/// A token that was made for an action ([`Visit::form_token`]) is refused here: read that form by
/// other means, and judge its token with [`Visit::check_form`].
///
/// [`LostForm`] where the token is not good, with what was typed; [`BadForm`] where the form does
/// not read. Its length is bounded by axum's `DefaultBodyLimit`.
///
/// Whoever sends it is judged once more when it is there ([`Visit::revalidate`]): a body that was
/// held back carries nothing out for a session that has ended meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct CheckedForm<T>(pub T);

/// A request of a script on our own page, whatever its body is: its token is in a header
/// `X-CSRF-Token` or `X-Atlassian-Token`, and has been checked.
///
/// It stands in front of the extractor for the body, such as `Json`. A request with an access token
/// needs no form token. [`LostForm`] where the token is not good; what was sent is not with it: the
/// script still has it.
///
/// ```
/// use axum::{Json, Router, routing::put};
/// use countersign_axum::{CheckedRequest, CurrentPrincipal};
///
/// async fn rename(who: CurrentPrincipal, _: CheckedRequest, Json(name): Json<String>) -> String {
///     format!("{} calls it {name}", who.principal())
/// }
///
/// let routes: Router = Router::new().route("/name", put(rename));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CheckedRequest(());

impl<S: Sync> FromRequestParts<S> for CheckedRequest {
    type Rejection = TurnedAway;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, TurnedAway> {
        let visit = visit_in(parts)?;
        let in_header = HeaderToken::in_headers(&parts.headers);
        match judged(&visit, &in_header, &FieldToken::Absent) {
            Ok(()) => Ok(Self(())),
            Err(lost) => Err(LostForm::without_text(lost).into()),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for CheckedForm<T> {
    type Rejection = TurnedAway;

    async fn from_request(request: Request, state: &S) -> Result<Self, TurnedAway> {
        let (parts, body) = request.into_parts();
        let visit = visit_in(&parts)?;
        let in_header = HeaderToken::in_headers(&parts.headers);
        if !is_kind(&parts.headers, "application/x-www-form-urlencoded") {
            return Err(BadForm::ContentType.into());
        }
        let request = Request::from_parts(parts, body);
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => BadForm::TooLong,
            _ => BadForm::Unreadable,
        })?;
        // The body may have taken as long as its sender liked.
        visit.look_again().await?;
        let form = Pairs::read(&body, visit.form_field());
        if let Err(lost) = judged(&visit, &in_header, &form.token) {
            return Err(form.lost(lost).into());
        }
        let fields = serde_html_form::from_bytes(&form.others);
        let fields = fields.map_err(|error| BadForm::Fields(error.to_string()))?;
        Ok(Self(fields))
    }
}

/// Judges the token of a form: the one of the header, if there is one.
fn judged(visit: &Visit, header: &HeaderToken, field: &FieldToken) -> Result<(), FormVerdict> {
    match header.judged(visit) {
        Some(verdict) => verdict,
        None => match field {
            FieldToken::Absent => visit.judge_form(None, None),
            FieldToken::Is(token) => visit.judge_form(Some(token.as_bytes()), None),
            FieldToken::Twice => twice(visit),
        },
    }
}

/// Two tokens are none that could be judged.
pub(crate) fn twice(visit: &Visit) -> Result<(), FormVerdict> {
    visit.judge_form(Some(b"?"), None)
}

/// The token in a header.
pub(crate) enum HeaderToken {
    Absent,
    Is(Vec<u8>),
    Twice,
}

impl HeaderToken {
    pub(crate) fn in_headers(headers: &HeaderMap) -> Self {
        let mut values = HEADERS.into_iter().flat_map(|name| headers.get_all(name));
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::Is(value.as_bytes().to_vec()),
            (Some(_), Some(_)) => Self::Twice,
        }
    }

    /// The verdict, if there is a token in a header.
    pub(crate) fn judged(&self, visit: &Visit) -> Option<Result<(), FormVerdict>> {
        match self {
            Self::Absent => None,
            Self::Is(token) => Some(visit.judge_form(Some(token), None)),
            Self::Twice => Some(twice(visit)),
        }
    }
}

/// The token in the form.
enum FieldToken {
    Absent,
    Is(String),
    Twice,
}

/// A form's pairs, with the token apart.
struct Pairs {
    token: FieldToken,
    /// The others, as they came.
    others: Vec<u8>,
}

impl Pairs {
    fn read(body: &[u8], field: &str) -> Self {
        let (mut token, mut others) = (FieldToken::Absent, Vec::with_capacity(body.len()));
        for piece in body.split(|&c| c == b'&') {
            match form_urlencoded::parse(piece).next() {
                Some((name, value)) if name == field => {
                    token = match token {
                        FieldToken::Absent => FieldToken::Is(value.into_owned()),
                        FieldToken::Is(_) | FieldToken::Twice => FieldToken::Twice,
                    };
                }
                Some(_) => {
                    if !others.is_empty() {
                        others.push(b'&');
                    }
                    others.extend_from_slice(piece);
                }
                None => {}
            }
        }
        Self { token, others }
    }

    fn lost(&self, lost: FormVerdict) -> LostForm {
        let mut typed = Typed::default();
        for (name, text) in form_urlencoded::parse(&self.others) {
            typed.keep(&name, &text);
        }
        LostForm {
            typed,
            ..LostForm::without_text(lost)
        }
    }
}

/// Whether a request says, once, that it is of this kind.
fn is_kind(headers: &HeaderMap, kind: &str) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let essence = value
        .to_str()
        .ok()
        .and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(kind))
}
