//! Work of several steps that is carried through though whoever asked for it goes away.
//!
//! A server drops a handler when its client hangs up, at whichever `await` it is. What must not
//! be left half done is therefore not done by the handler: it is a task, which the handler waits
//! for as long as it is there.

use crate::error::TrackerError;
use crate::trouble::Trouble;

/// Carries out all of it, or as much as succeeds.
pub(crate) async fn carry_through<T: Send + 'static>(
    steps: impl Future<Output = Result<T, Trouble>> + Send + 'static,
) -> Result<T, Trouble> {
    let task = tokio::spawn(steps).await;
    task.map_err(|error| TrackerError::stopped(&error))?
}
