//! What the host may watch: audit events and refusals as they happen.

use crate::sessions::{RestoreReport, SessionEvent};
use countersign_core::{CredentialKind, Event, Rejection, Selector, Timestamp};
use std::fmt;
use std::net::IpAddr;

/// Told of events and refusals as they happen.
///
/// Calls come from the threads that do the work: an observer that blocks holds them up. Nothing
/// it is told contains a secret.
pub trait Observer: Send + Sync + fmt::Debug + 'static {
    /// Something happened and is in the audit log.
    fn event(&self, event: &Event) {
        let _ = event;
    }

    /// A credential was refused. Beyond the policy's rate only every first one of a second is
    /// told, with the count of those that were not.
    fn refused(&self, refused: &Refused) {
        let _ = refused;
    }

    /// Something became of a session. It is told here alone: nothing about sessions is written.
    fn session(&self, event: &SessionEvent) {
        let _ = event;
    }

    /// A snapshot of sessions was found when the engine was opened.
    fn restored(&self, report: &RestoreReport) {
        let _ = report;
    }
}

/// One refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub at: Timestamp,
    /// What was presented.
    pub kind: CredentialKind,
    /// Which credential, where its form told.
    pub selector: Option<Selector>,
    /// Why.
    pub rejection: Rejection,
    /// From where, where the host said so.
    pub address: Option<IpAddr>,
    /// How many refusals before this one were only counted.
    pub suppressed: u64,
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullObserver;

impl Observer for NullObserver {}
