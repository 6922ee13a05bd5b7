//! The layer: finds out who a request comes from, keeps forged ones out, writes the cookies.

use crate::answering::{Answering, dressed};
use crate::builder::{Address, ConfigError, LayerBuilder, Passive};
use crate::cookies::{CookieNames, CookiePlan};
use crate::origin::Wall;
use crate::pages::Pages;
use crate::read::Carrier;
use crate::turned_away::Realm;
use crate::visit::{Arrival, Asking, Visit};
use axum_core::response::{IntoResponse, Response};
use countersign::{AttributeName, Engine};
use http::Request;
use http::request::Parts;
use parking_lot::RwLock;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

/// The layer that stands before an application. A clone is the same layer.
///
/// ```
/// # fn example(engine: countersign::Engine) -> Result<(), countersign_axum::ConfigError> {
/// use countersign_axum::CountersignLayer;
///
/// let layer = CountersignLayer::builder(engine)
///     .trusted_origin("https://shop.example.net")
///     .realm("issues")
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// For each request it
///
/// 1. refuses cookies that came twice or are too long, and requests that would change something
///    and do not come from one of our pages;
/// 2. asks the engine who it is: session, then bearer token, then remembered device (S9); a bearer
///    token that is no good is refused, whatever the route, unless a session came in before it;
/// 3. puts a [`Visit`] into the request's extensions, and calls what is inside;
/// 4. makes a page of what the [extractors](crate#extractors) turned away;
/// 5. writes the cookies into the head of the response, whatever its status and body are, and
///    `Cache-Control: private, no-cache` where the handler said nothing of caches and the request
///    came with a credential.
///
/// Inside of another layer of the same engine it does nothing: the outer one has done it all.
///
/// What is in memory is judged on the runtime's thread; what may read the disk is done on one of
/// the engine's ([`Engine::off_thread`]). A panic in a handler leaves without passing here: put a
/// layer that catches panics inside of this one. It goes outside of what compresses bodies or
/// limits their time, and inside of what logs requests.
#[derive(Clone)]
pub struct CountersignLayer(Arc<Shared>);

/// What every request shares.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) names: CookieNames,
    pub(crate) plan: RwLock<Arc<CookiePlan>>,
    pub(crate) wall: Wall,
    pub(crate) realm: Realm,
    pub(crate) carry: Vec<AttributeName>,
    pub(crate) passive: Option<Passive>,
    pub(crate) address: Option<Address>,
    pub(crate) pages: Arc<dyn Pages>,
    pub(crate) pass_over_ambiguous: bool,
    pub(crate) max_cookie_bytes: usize,
    #[cfg(feature = "multipart")]
    pub(crate) max_drained_bytes: usize,
    pub(crate) image_parameter: String,
    pub(crate) image_max_age: Duration,
}

impl CountersignLayer {
    /// A layer with all defaults.
    ///
    /// # Errors
    /// When the policy's cookies cannot be written.
    pub fn new(engine: Engine) -> Result<Self, ConfigError> {
        Self::builder(engine).build()
    }

    /// For everything that [`CountersignLayer::new`] leaves at its default.
    pub fn builder(engine: Engine) -> LayerBuilder {
        LayerBuilder::new(engine)
    }

    pub(crate) fn from_parts(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Shared {
    /// The cookies under the policy that is in force.
    pub(crate) fn plan(&self) -> Arc<CookiePlan> {
        let policy = self.engine.policy();
        let plan = Arc::clone(&self.plan.read());
        if Arc::ptr_eq(plan.policy(), &policy) {
            return plan;
        }
        // A policy whose cookies cannot be told apart changes none of them: those that browsers
        // hold stay good.
        match CookiePlan::new(policy, self.names) {
            Ok(new) => {
                let new = Arc::new(new);
                *self.plan.write() = Arc::clone(&new);
                new
            }
            Err(_) => plan,
        }
    }

    pub(crate) fn passes_over(&self, carrier: Carrier) -> bool {
        // A bearer request is never taken for anonymous.
        self.pass_over_ambiguous && carrier != Carrier::Authorization
    }

    pub(crate) fn is_passive(&self, parts: &Parts) -> bool {
        self.passive.as_ref().is_some_and(|passive| passive(parts))
    }

    pub(crate) fn address_of(&self, parts: &Parts) -> Option<IpAddr> {
        self.address.as_ref().and_then(|address| address(parts))
    }
}

impl<S> Layer<S> for CountersignLayer {
    type Service = CountersignService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let shared = Arc::clone(&self.0);
        CountersignService { shared, inner }
    }
}

impl fmt::Debug for CountersignLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CountersignLayer")
    }
}

/// A service behind the layer. Made by [`CountersignLayer`].
#[derive(Clone)]
pub struct CountersignService<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S: fmt::Debug> fmt::Debug for CountersignService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CountersignService");
        shown.field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B> Service<Request<B>> for CountersignService<S>
where
    S: Service<Request<B>> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Answering<S::Future, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let outer = request.extensions().get::<Visit>();
        if outer.is_some_and(|outer| outer.engine().is_same(&self.shared.engine)) {
            // A layer further out has asked already, and answers for the cookies.
            return Answering::inside(self.inner.call(request), None);
        }
        let (mut parts, body) = request.into_parts();
        match Visit::arrive(&self.shared, &parts) {
            Arrival::Judged(visit, Ok(())) => {
                parts.extensions.insert(visit.clone());
                let inside = self.inner.call(Request::from_parts(parts, body));
                Answering::inside(inside, Some(visit))
            }
            Arrival::Judged(visit, Err(turned_away)) => Answering::turned_away(turned_away, visit),
            Arrival::Asking(asking) => {
                // The one that was asked whether it is ready is the one that is called.
                let fresh = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, fresh);
                Answering::boxed(ask(*asking, inner, parts, body))
            }
        }
    }
}

async fn ask<S, B>(
    asking: Asking,
    mut inner: S,
    mut parts: Parts,
    body: B,
) -> Result<Response, S::Error>
where
    S: Service<Request<B>>,
    S::Response: IntoResponse,
{
    let (visit, judged) = asking.answer(&parts).await;
    let response = match judged {
        Ok(()) => {
            parts.extensions.insert(visit.clone());
            let inside = inner.call(Request::from_parts(parts, body)).await?;
            inside.into_response()
        }
        Err(turned_away) => turned_away.into_response(),
    };
    Ok(dressed(response, visit).await)
}
