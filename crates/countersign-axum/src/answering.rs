//! A response on its way out through the layer: its page where it was turned away, its cookies.

use crate::turned_away::{MadeOf, TurnedAway};
use crate::visit::Visit;
use axum_core::response::{IntoResponse, Response};
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
            visit: Visit,
        },
        Boxed {
            boxed: Boxed<E>,
        },
    }
}

impl<F, E> Answering<F, E> {
    pub(crate) const fn inside(inside: F, visit: Visit) -> Self {
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
                (response, visit.clone())
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
        if let Some(page) = page {
            response = page;
            turned_away.put_headers(&mut response);
        }
    }
    visit.finish(response.headers_mut());
    response
}

impl<F, E> fmt::Debug for Answering<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering")
    }
}
