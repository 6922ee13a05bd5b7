//! An application behind the HTTP edge that takes forms of both kinds, and tells what it saw.

use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::{Arc, Mutex};

use axum_core::body::Body;
use axum_core::extract::FromRequest as _;
use axum_core::response::{IntoResponse as _, Response};
use countersign::{Method, NewLogIn};
use countersign_axum::{
    CheckedForm, CheckedMultipart, CountersignLayer, CountersignService, Part, TurnedAway,
};
use countersign_testkit::samples;
use futures_core::Stream;
use http::{Request, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use crate::edge::fresh_engine;
use crate::small;

/// A field as the handler sees it.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub is_file: bool,
    pub content: Vec<u8>,
}

impl Field {
    /// A field that was typed.
    pub fn text(name: String, text: String) -> Self {
        let content = text.into_bytes();
        Self {
            name,
            is_file: false,
            content,
        }
    }
}

/// What became of a form: what its handler has seen, if it was reached, and the answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Came {
    pub fields: Option<Vec<Field>>,
    pub status: StatusCode,
}

impl Came {
    /// The handler saw these, and this is the answer.
    pub fn with(fields: Option<Vec<Field>>, status: StatusCode) -> Self {
        Self { fields, status }
    }

    /// The handler was not reached.
    pub fn refused(status: StatusCode) -> Self {
        Self::with(None, status)
    }
}

/// A body of which the next piece is there only when it is asked for again.
#[derive(Debug)]
pub struct Paused {
    left: std::vec::IntoIter<Vec<u8>>,
    pause: bool,
}

impl Paused {
    /// A body of these pieces.
    pub fn new(pieces: Vec<Vec<u8>>) -> Self {
        let left = pieces.into_iter();
        Self { left, pause: false }
    }
}

impl Stream for Paused {
    type Item = Result<Vec<u8>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pause = !self.pause;
        if self.pause {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.next().map(Ok))
    }
}

/// An engine with two sessions, tokens of both, and an application that takes forms.
#[derive(Debug)]
pub struct World {
    /// What the session's cookie holds.
    pub session: String,
    /// A token as a page holds it, and the cookie for scripts.
    pub good: [String; 2],
    other: String,
    inside: Inside,
    service: CountersignService<Inside>,
}

impl Default for World {
    fn default() -> Self {
        let engine = fresh_engine(small(64, 16).build().expect("a policy"));
        let opened = |number| {
            let login = NewLogIn::new(samples::name(number), Method::Password, Duration::ZERO);
            engine.sessions().log_in(None, login).wait().expect("room")
        };
        let (own, other) = (opened(0), opened(1));
        let text = |session| {
            let token = engine.forms().masked(session, None);
            token.expect("randomness").expose().to_owned()
        };
        let cookie = engine.forms().cookie(&own.session).expose().to_owned();
        let inside = Inside::default();
        Self {
            session: own.token.expose().to_owned(),
            good: [text(&own.session), cookie],
            other: text(&other.session),
            service: CountersignLayer::new(engine)
                .expect("cookies of the default")
                .layer(inside.clone()),
            inside,
        }
    }
}

impl World {
    /// Bytes with the tokens in them that bytes stand for.
    pub fn filled(&self, bytes: &[u8]) -> Vec<u8> {
        let mut filled = Vec::with_capacity(bytes.len());
        for byte in bytes {
            match byte {
                1 => filled.extend_from_slice(self.good[0].as_bytes()),
                2 => filled.extend_from_slice(self.good[1].as_bytes()),
                3 => filled.extend_from_slice(self.other.as_bytes()),
                byte => filled.push(*byte),
            }
        }
        filled
    }

    /// Whether a text is a token of the session.
    pub fn is_good(&self, token: &[u8]) -> bool {
        self.good.iter().any(|good| good.as_bytes() == token)
    }

    /// Sends a request.
    pub fn asked(&mut self, request: Request<Body>) -> Came {
        let Ok(response) = futures_executor::block_on(self.service.call(request));
        let fields = self.inside.0.lock().expect("no handler panics").take();
        Came::with(fields, response.status())
    }
}

/// What stands behind the layer, and the fields that it saw.
#[derive(Clone, Debug, Default)]
struct Inside(Arc<Mutex<Option<Vec<Field>>>>);

impl Inside {
    fn saw(&self, fields: impl IntoIterator<Item = Field>) {
        let mut seen = self.0.lock().expect("no handler panics");
        seen.get_or_insert_default().extend(fields);
    }

    async fn form(&self, request: Request<Body>) -> Result<(), TurnedAway> {
        let form = CheckedForm::<Vec<(String, String)>>::from_request(request, &()).await;
        let CheckedForm(pairs) = form?;
        self.saw(
            pairs
                .into_iter()
                .map(|(name, text)| Field::text(name, text)),
        );
        Ok(())
    }

    async fn upload(&self, request: Request<Body>) -> Result<(), TurnedAway> {
        let mut form = CheckedMultipart::from_request(request, &()).await?;
        self.saw([]);
        while let Some(part) = form.next().await? {
            let field = match part {
                Part::Text { name, text } => Field::text(name, text),
                Part::File(mut file) => {
                    let (name, mut content) = (file.name().to_owned(), Vec::new());
                    while let Some(chunk) = file.chunk().await? {
                        content.extend_from_slice(&chunk);
                    }
                    Field {
                        name,
                        is_file: true,
                        content,
                    }
                }
            };
            self.saw([field]);
        }
        Ok(())
    }
}

impl Service<Request<Body>> for Inside {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inside = self.clone();
        Box::pin(async move {
            let taken = match request.uri().path() {
                "/upload" => inside.upload(request).await,
                _ => inside.form(request).await,
            };
            Ok(taken.into_response())
        })
    }
}
