//! Audit events and refusals as `tracing` events, under the feature of that name.

use crate::observer::Refused;
use crate::sessions::{RestoreReport, SessionEvent};
use countersign_core::Event;

pub(crate) fn event(event: &Event) {
    tracing::info!(
        target: "countersign::audit",
        id = %event.id,
        kind = event.kind.name(),
        principal = event.principal.as_ref().map(tracing::field::display),
        of = event.credential.map(|named| named.kind.name()),
        credential = event.credential.map(|named| tracing::field::display(named.selector)),
        subsystem = event.subsystem.map(tracing::field::display),
        reason = event.reason.as_ref().map(tracing::field::display),
    );
}

pub(crate) fn refused(refused: &Refused) {
    tracing::debug!(
        target: "countersign::refused",
        kind = refused.kind.name(),
        selector = refused.selector.map(tracing::field::display),
        reason = refused.rejection.reason(),
        address = refused.address.map(tracing::field::display),
        suppressed = refused.suppressed,
    );
}

pub(crate) fn session(event: &SessionEvent) {
    tracing::info!(
        target: "countersign::session",
        selector = %event.selector,
        principal = event.owner.as_ref().map(tracing::field::display),
        change = event.change.name(),
        by = event.change.detail(),
        suppressed = event.suppressed,
    );
}

pub(crate) fn restored(report: &RestoreReport) {
    match &report.outcome {
        Ok(restored) => tracing::info!(
            target: "countersign::session",
            living = restored.living,
            expired = restored.expired,
            revoked = restored.revoked,
            damaged = restored.damaged,
            "sessions were carried over",
        ),
        Err(fault) => tracing::warn!(
            target: "countersign::session",
            %fault,
            "sessions were not carried over",
        ),
    }
}
