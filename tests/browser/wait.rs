//! Waits that end: a browser is another process, and does what it does when it gets to it.

use std::future::Future;
use std::time::Duration;

/// How long anything may take on a slow machine that does other things besides.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one look is from the next.
const LOOK: Duration = Duration::from_millis(20);

/// What a future gives, within bounds.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// Looks until there is something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    })
    .await
}
