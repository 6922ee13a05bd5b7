//! Images that are opened by a link out of a mail, without a session (S10).

use crate::extract::visit_in;
use crate::read::Carrier;
use crate::turned_away::{AmbiguousCredential, BadImage, TurnedAway};
use crate::visit::Visit;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponseParts, ResponseParts};
use countersign::{AttachmentId, ImagePass, ImageVerdict, Principal, SecretText};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use std::convert::Infallible;
use std::time::Duration;

/// The image token in a request's query: the one credential that is taken from a URL.
///
/// 403 where there is none, 400 where there are several. Whether it opens an image is told by
/// [`ImageAccess::open`], which is given the image that the route names.
#[derive(Debug)]
pub struct ImageAccess {
    token: SecretText,
    visit: Visit,
}

/// An image that was opened by its token. Put it in front of the response's body: it brings the
/// headers.
///
/// The image may stay in the cache of the one who looks at it, for as long as the layer says and
/// no longer than the token works; the page's address, which holds the token, is told to nobody;
/// and the body is taken for what its `Content-Type` says and nothing else.
///
/// ```
/// use axum_core::response::IntoResponse;
/// use countersign::AttachmentId;
/// use countersign_axum::{ImageAccess, TurnedAway};
/// use http::header::CONTENT_TYPE;
///
/// async fn logo(link: ImageAccess) -> Result<impl IntoResponse, TurnedAway> {
///     let opened = link.open(&AttachmentId::new("logo")?).await?;
///     // Whether `opened.principal()` may still see it is for the host to say.
///     Ok((opened, [(CONTENT_TYPE, "image/png")], vec![0x89_u8]))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct OpenedImage {
    pass: ImagePass,
    max_age: Duration,
}

impl ImageAccess {
    /// Opens an image on behalf of the principal whom the link was made for.
    ///
    /// # Errors
    /// [`BadImage`] where the token is no good for it.
    pub async fn open(&self, image: &AttachmentId) -> Result<OpenedImage, TurnedAway> {
        let (text, address) = (self.token.expose(), self.visit.address());
        let found = self
            .visit
            .off_thread(|engine| engine.images().verify(text, image, address));
        match found.await? {
            ImageVerdict::In(pass) => {
                let left = pass.expires_at().since(self.visit.engine().now());
                let max_age = self.visit.shared().image_max_age.min(left);
                Ok(OpenedImage { pass, max_age })
            }
            ImageVerdict::Refused(rejection) => {
                let rejection = Some(rejection);
                Err(BadImage { rejection }.into())
            }
        }
    }
}

impl OpenedImage {
    /// On whose behalf: whether they may still see the image is for the host to say.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        self.pass.principal()
    }

    /// What was opened, and until when the link works.
    #[must_use]
    pub const fn pass(&self) -> &ImagePass {
        &self.pass
    }
}

impl IntoResponseParts for OpenedImage {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        let headers = parts.headers_mut();
        let private = format!("private, max-age={}", self.max_age.as_secs());
        if let Ok(value) = HeaderValue::from_str(&private) {
            headers.insert(CACHE_CONTROL, value);
        }
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Ok(parts)
    }
}

impl<S: Sync> FromRequestParts<S> for ImageAccess {
    type Rejection = TurnedAway;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, TurnedAway> {
        let visit = visit_in(parts)?;
        let query = parts.uri.query().unwrap_or_default();
        let name = visit.shared().image_parameter.as_str();
        let pairs = form_urlencoded::parse(query.as_bytes());
        let mut tokens = pairs.filter(|(own, _)| own == name);
        match (tokens.next(), tokens.next()) {
            (None, _) => Err(BadImage { rejection: None }.into()),
            (Some((_, token)), None) => {
                let token = SecretText::new(token.into_owned());
                Ok(Self { token, visit })
            }
            (Some(_), Some(_)) => {
                let carrier = Carrier::ImageToken;
                let realm = visit.shared().realm.clone();
                Err(AmbiguousCredential { carrier, realm }.into())
            }
        }
    }
}
