//! An engine in memory, and what stands behind the HTTP edge.

use core::convert::Infallible;
use core::future::{Ready, ready};
use core::task::{Context, Poll};
use std::sync::Arc;

use axum_core::response::Response;
use countersign::store::MemoryStore;
use countersign::{Engine, Maintenance, Policy};
use countersign_testkit::{ManualClock, SeededEntropy, samples};
use http::Request;
use tower_service::Service;

/// An engine that comes to the same in every run.
pub fn engine(store: Arc<MemoryStore>, policy: Policy) -> Engine {
    let engine = Engine::builder()
        .clock(ManualClock::default())
        .entropy(SeededEntropy::new(7))
        .maintenance(Maintenance::HostDriven)
        .policy(policy)
        .open_store(store, &samples::keys());
    engine.expect("a store in memory")
}

/// The same over a store of its own.
pub fn fresh_engine(policy: Policy) -> Engine {
    engine(Arc::new(MemoryStore::new([])), policy)
}

/// An application that is one function of a request.
#[derive(Clone, Debug)]
pub struct Inside(pub fn(&Request<()>) -> Response);

impl Service<Request<()>> for Inside {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        ready(Ok(self.0(&request)))
    }
}
