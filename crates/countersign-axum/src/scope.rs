//! A layer for routes that need a scope.

use crate::extract::CurrentPrincipal;
use crate::turned_away::{NoLayer, TurnedAway};
use crate::visit::Visit;
use axum_core::response::{IntoResponse, Response};
use countersign::Scope;
use countersign::core::ScopeError;
use http::Request;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Lets through whoever is signed in and, where that is by access token, whose token covers a
/// scope. It stands inside of [`CountersignLayer`](crate::CountersignLayer).
///
/// 401 for strangers; 403 with `insufficient_scope` for a token that does not (RFC 6750). A
/// session has no scopes: it may do whatever its principal may.
///
/// ```
/// use axum::{Router, routing::get};
/// use countersign_axum::RequireScope;
///
/// let routes: Router = Router::new()
///     .route("/api/issues", get(|| async { "[]" }))
///     .route_layer(RequireScope::new("issues:read")?);
/// # Ok::<(), countersign::core::ScopeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RequireScope(Scope);

impl RequireScope {
    /// For a scope, which is exact: no `*`.
    ///
    /// # Errors
    /// When it is no scope.
    pub fn new(scope: &str) -> Result<Self, ScopeError> {
        match scope.ends_with('*') {
            true => Err(ScopeError::Malformed(scope.to_owned())),
            false => Ok(Self(Scope::new(scope)?)),
        }
    }
}

impl<S> Layer<S> for RequireScope {
    type Service = RequireScopeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let scope = self.0.clone();
        RequireScopeService { scope, inner }
    }
}

/// A service behind [`RequireScope`].
#[derive(Clone, Debug)]
pub struct RequireScopeService<S> {
    scope: Scope,
    inner: S,
}

impl<S> RequireScopeService<S> {
    fn judge<B>(&self, request: &Request<B>) -> Result<(), TurnedAway> {
        let visit = request.extensions().get::<Visit>().ok_or(NoLayer)?;
        let principal = CurrentPrincipal::of(visit);
        let principal = principal.ok_or_else(|| visit.not_authenticated())?;
        principal.require(&self.scope)
    }
}

impl<S, B> Service<Request<B>> for RequireScopeService<S>
where
    S: Service<Request<B>>,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.judge(&request) {
            Ok(()) => {
                let inside = self.inner.call(request);
                Box::pin(async move { Ok(inside.await?.into_response()) })
            }
            Err(turned_away) => Box::pin(std::future::ready(Ok(turned_away.into_response()))),
        }
    }
}
