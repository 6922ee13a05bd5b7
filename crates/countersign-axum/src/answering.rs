//! A response on its way out through the layer: its page where it was turned away, its cookies.

use crate::turned_away::{MadeOf, TurnedAway};
use crate::visit::Visit;
use axum_core::response::{IntoResponse, Response};
use http::header::{
    CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED, RETRY_AFTER,
    SET_COOKIE, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

type Boxed<E> = Pin<Box<dyn Future<Output = Result<Response, E>> + Send>>;

pin_project! {
    /// The response of a service behind [`CountersignLayer`](crate::CountersignLayer).
    ///
    /// Where the engine has answered from memory and nobody is turned away, which is nearly
    /// always, it is what the service inside returns and allocates nothing.
    pub struct Answering<F, E> {
        #[pin]
        state: State<F, E>,
    }
}

pin_project! {
    #[project = StateProjected]
    enum State<F, E> {
        Inside {
            #[pin]
            inside: F,
            // None where a layer further out answers for the cookies.
            visit: Option<Visit>,
        },
        Boxed {
            boxed: Boxed<E>,
        },
    }
}

impl<F, E> Answering<F, E> {
    pub(crate) const fn inside(inside: F, visit: Option<Visit>) -> Self {
        let state = State::Inside { inside, visit };
        Self { state }
    }

    pub(crate) fn boxed(
        answer: impl Future<Output = Result<Response, E>> + Send + 'static,
    ) -> Self {
        let boxed: Boxed<E> = Box::pin(answer);
        let state = State::Boxed { boxed };
        Self { state }
    }

    pub(crate) fn turned_away(turned_away: TurnedAway, visit: Visit) -> Self {
        Self::boxed(async move { Ok(dressed(turned_away.into_response(), visit).await) })
    }
}

impl<F, R, E> Future for Answering<F, E>
where
    F: Future<Output = Result<R, E>>,
    R: IntoResponse,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let (mut response, visit) = match state.as_mut().project() {
            StateProjected::Inside { inside, visit } => {
                let response = ready!(inside.poll(context))?.into_response();
                match visit.take() {
                    Some(visit) => (response, visit),
                    None => return Poll::Ready(Ok(response)),
                }
            }
            StateProjected::Boxed { boxed } => return boxed.as_mut().poll(context),
        };
        if response.extensions().get::<MadeOf>().is_none() {
            visit.finish(response.headers_mut());
            return Poll::Ready(Ok(response));
        }
        let mut boxed: Boxed<E> = Box::pin(async move { Ok(dressed(response, visit).await) });
        let polled = boxed.as_mut().poll(context);
        state.set(State::Boxed { boxed });
        polled
    }
}

/// Makes a page of what was turned away, and writes the cookies.
pub(crate) async fn dressed(mut response: Response, visit: Visit) -> Response {
    if let Some(MadeOf(turned_away)) = response.extensions_mut().remove() {
        let page = visit.shared().pages.page(&turned_away, &visit).await;
        if let Some(mut page) = page {
            carry_over(response.headers(), page.headers_mut());
            response = page;
            turned_away.put_headers(&mut response);
        }
    }
    visit.finish(response.headers_mut());
    response
}

/// What tells of the line of text that a page takes the place of, or is said with the page.
const OF_THE_TEXT: [HeaderName; 12] = [
    CONTENT_TYPE,
    CONTENT_LENGTH,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LOCATION,
    CONTENT_RANGE,
    CONTENT_DISPOSITION,
    TRANSFER_ENCODING,
    ETAG,
    LAST_MODIFIED,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
];

/// Keeps with the page what stands between it and the handler has said, such as cookies of the
/// host's own.
fn carry_over(said: &HeaderMap, page: &mut HeaderMap) {
    for name in said.keys().filter(|name| !OF_THE_TEXT.contains(name)) {
        if *name == SET_COOKIE || !page.contains_key(name) {
            for value in said.get_all(name) {
                page.append(name, value.clone());
            }
        }
    }
}

impl<F, E> fmt::Debug for Answering<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering")
    }
}
